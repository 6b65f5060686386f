"""The account of a database that understands SQL."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import sqlalchemy
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from orchestrator.block import Block
from orchestrator.errors import BlockError, InvalidInput
from orchestrator.interfaces import Credentials

from .sql.engines import Limits, make_engine, with_driver
from .sql.errors import address, explained, hidden, missing_driver


def _an_address(value: SecretStr | None) -> SecretStr | None:
    if value is None or not value.get_secret_value():
        return None
    parse_url(value.get_secret_value())
    return value


#: An SQLAlchemy URL that is a secret, as it holds the password; an empty one is none.
SecretUrl = Annotated[SecretStr, AfterValidator(_an_address)]


class DatabaseCredentials(Block, Credentials):
    """Where a database is, and the account that opens it: by parts, or as one SQLAlchemy URL."""

    _name: ClassVar[str] = "Database credentials"
    _slug: ClassVar[str] = "database-credentials"
    _logo: ClassVar[str] = "tabler:database-cog"
    _docs_url: ClassVar[str] = "https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.database_credentials import DatabaseCredentials

        DatabaseCredentials(
            dialect="postgresql", host="db.example.org", database="shop", username="etl", password="open sesame"
        ).save("shop")
        engine = DatabaseCredentials.load("shop").client()
        """

    dialect: str = Field(
        "postgresql",
        max_length=64,
        description="postgresql, mysql, mariadb, sqlite, duckdb, or any dialect+driver that SQLAlchemy finds.",
        json_schema_extra={"x-placeholder": "postgresql"},
    )
    host: str | None = Field(None, description="Name or address of the server; of no use for a file.")
    port: int | None = Field(None, ge=1, le=65_535, description="Empty: the usual one of the dialect.")
    database: str | None = Field(None, description="Name of the database; the path of the file for SQLite and DuckDB.")
    username: str | None = Field(None, description="The account's name.")
    password: SecretStr | None = Field(None, description="The account's password.")
    query: dict[str, str] = Field(
        default_factory=dict, description="Options of the driver, such as sslmode: require. No place for secrets."
    )
    whole_url: SecretUrl | None = Field(
        None,
        description="In place of all that is above: an SQLAlchemy URL, such as postgresql://user:password@host/name.",
    )

    @field_validator("dialect")
    @classmethod
    def _a_dialect(cls, dialect: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)?", dialect):
            raise ValueError("write a dialect as postgresql or mysql+pymysql")
        return dialect

    @model_validator(mode="after")
    def _somewhere(self) -> DatabaseCredentials:
        if self.whole_url is None and self.dialect.partition("+")[0] in ("sqlite", "duckdb"):
            if self.host or self.port or self.username or self.password:
                raise ValueError(f"{self.dialect} is a file: give its path as database, and no host or account")
        elif self.whole_url is None and not (self.host or self.query.get("host")):
            raise ValueError("host is missing: the name or address of the database's server")
        return self

    def url(self) -> URL:
        """The SQLAlchemy URL, with the driver that the product brings."""
        if self.whole_url is not None:
            return with_driver(parse_url(self.whole_url.get_secret_value()))
        return with_driver(
            URL.create(
                self.dialect,
                self.username or None,
                self.password.get_secret_value() if self.password else None,
                self.host or None,
                self.port,
                self.database or None,
                self.query,
            )
        )

    def client(self, **options: Any) -> sqlalchemy.Engine:
        """A new SQLAlchemy engine, for a connection of one's own; whoever asks disposes of it.

        Args:
            options: Those of ``sqlalchemy.create_engine``.
        """
        url = self.url()
        try:
            return make_engine(url, Limits(), **options)
        except (ImportError, exc.NoSuchModuleError) as error:
            raise missing_driver(url, error) from None
        except (exc.ArgumentError, TypeError) as error:
            raise BlockError(f"{address(url)}: {hidden(str(error), url)}") from None

    def test(self) -> str:
        """Connect once."""
        url = self.url()
        engine = self.client(poolclass=sqlalchemy.NullPool)
        try:
            with explained(url), engine.connect() as connection:
                version = connection.dialect.server_version_info or ()
        finally:
            engine.dispose()
        return f"{address(url)} takes the account; its version is {'.'.join(str(part) for part in version)}"


def parse_url(text: str) -> URL:
    """An SQLAlchemy URL. Raises ValueError, which never shows the text: it holds the password."""
    try:
        if text.count("@") > 1:  # a part of the password would be taken for the host, and shown
            raise ValueError
        url = make_url(text)
        address(url)
    except (exc.ArgumentError, ValueError):
        raise ValueError(
            "this is no SQLAlchemy URL: write dialect://user:password@host:port/database, "
            "with % / : and @ in the password as %25 %2F %3A and %40"
        ) from None
    return url


def url_of(credentials: DatabaseCredentials | None, url: SecretStr | None, kind: str) -> URL:
    """The one of both that a kind of database was given."""
    if credentials is not None:
        return credentials.url()
    if url is None:
        raise InvalidInput(f"{kind}: give credentials, or a URL")
    return with_driver(parse_url(url.get_secret_value()))
