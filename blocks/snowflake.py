"""Snowflake."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import URL

from .sql.database import SQLAlchemyDatabase

_PEM = re.compile(r"-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*")


class Snowflake(SQLAlchemyDatabase):
    """A database of Snowflake: SQL with bound parameters, and its tables with rows, sizes and last changes."""

    _name: ClassVar[str] = "Snowflake"
    _slug: ClassVar[str] = "snowflake"
    _logo: ClassVar[str] = "tabler:snowflake"
    _docs_url: ClassVar[str] = "https://docs.snowflake.com/en/developer-guide/python-connector/sqlalchemy"
    _untested_here: ClassVar[str] = (
        "No stand-in of Snowflake exists: its address is tested, and what it shares with SQL databases."
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.snowflake import Snowflake

        rows = Snowflake.load("warehouse").fetch("SELECT * FROM orders WHERE day = :day", {"day": "2026-01-31"})
        """

    account: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="The account's identifier: organisation-account."
    )
    username: str = Field(min_length=1, description="Who logs in.")
    password: SecretStr | None = Field(None, description="The password, or a programmatic access token.")
    private_key: SecretStr | None = Field(
        None,
        description="In place of a password: an unencrypted private key, as PEM (PKCS 8).",
        json_schema_extra={"x-multiline": True},
    )
    database: str = Field(min_length=1, description="Name of the database.")
    schema_name: str | None = Field(None, description="Schema of tables that are named without one.")
    warehouse: str | None = Field(None, description="What executes statements; empty: the user's own.")
    role: str | None = Field(None, description="Which role is taken; empty: the user's own.")

    @field_validator("private_key")
    @classmethod
    def _a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value().strip():
            return None
        if not _PEM.fullmatch(key.get_secret_value().strip()):
            raise ValueError("write the key as PEM, from -----BEGIN PRIVATE KEY----- on; an encrypted one has no use")
        return key

    @model_validator(mode="after")
    def _one_of_both(self) -> Snowflake:
        if (self.password is None) == (self.private_key is None):
            raise ValueError("give either password or private_key")
        return self

    def url(self) -> URL:
        """The address, as snowflake-sqlalchemy takes it."""
        query = {"warehouse": self.warehouse, "role": self.role, "application": "orchestrator",
                 "login_timeout": str(max(1, round(self.connect_timeout_s)))}  # fmt: skip
        if self.private_key is not None and (pem := _PEM.fullmatch(self.private_key.get_secret_value().strip())):
            query["private_key"] = "".join(pem[1].split())
        return URL.create(
            "snowflake",
            self.username,
            self.password.get_secret_value() if self.password else None,
            self.account,
            None,
            f"{self.database}/{self.schema_name}" if self.schema_name else self.database,
            {key: value for key, value in query.items() if value},
        )
