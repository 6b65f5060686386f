"""Databases that understand SQL: Postgres, MySQL, SQLite, DuckDB, and what else SQLAlchemy opens."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator
from sqlalchemy.engine import URL

from .database_credentials import DatabaseCredentials, SecretUrl, url_of
from .sql.database import SQLAlchemyDatabase


class SQLDatabase(SQLAlchemyDatabase):
    """Executes SQL with bound parameters, streams large results, and tells which tables are there and how they move."""

    _name: ClassVar[str] = "SQL database"
    _slug: ClassVar[str] = "sql-database"
    _logo: ClassVar[str] = "tabler:database"
    _docs_url: ClassVar[str] = "https://docs.sqlalchemy.org/en/20/dialects/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.sql_database import SQLDatabase

        shop = SQLDatabase.load("shop")
        for order in shop.stream("SELECT * FROM orders WHERE day = :day", {"day": "2026-01-31"}):
            print(order["id"])
        with shop.transaction():
            shop.execute("DELETE FROM totals WHERE day = :day", {"day": "2026-01-31"})
            shop.execute("INSERT INTO totals SELECT day, sum(price) FROM orders GROUP BY day")
        """

    credentials: DatabaseCredentials | None = Field(
        None, description="Where the database is, and the account; several databases may share one."
    )
    connection_url: SecretUrl | None = Field(
        None,
        description="In place of credentials: an SQLAlchemy URL, such as sqlite:////srv/shop.db.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> SQLDatabase:
        if (self.credentials is None) == (self.connection_url is None):
            raise ValueError("give either credentials or connection_url")
        return self

    def url(self) -> URL:
        """Where the database is, with account and password."""
        return url_of(self.credentials, self.connection_url, "the SQL database")
