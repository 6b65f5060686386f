"""Amazon Redshift."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from sqlalchemy.engine import URL

from .sql.database import SQLAlchemyDatabase


class Redshift(SQLAlchemyDatabase):
    """A database of Amazon Redshift: SQL with bound parameters, and its tables with rows and sizes."""

    _name: ClassVar[str] = "Redshift"
    _slug: ClassVar[str] = "redshift"
    _logo: ClassVar[str] = "tabler:brand-aws"
    _docs_url: ClassVar[str] = "https://docs.aws.amazon.com/redshift/latest/mgmt/"
    _untested_here: ClassVar[str] = (
        "No stand-in of Redshift exists: its address is tested, and what it shares with SQL databases."
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.redshift import Redshift

        rows = Redshift.load("warehouse").fetch("SELECT * FROM orders WHERE day = :day", {"day": "2026-01-31"})
        """

    host: str = Field(min_length=1, description="Endpoint of the cluster or workgroup, without port.")
    port: int = Field(5439, ge=1, le=65_535, description="Port of the endpoint.")
    database: str = Field(min_length=1, description="Name of the database.")
    username: str = Field(min_length=1, description="Who logs in.")
    password: SecretStr = Field(description="The password.")
    sslmode: Literal["verify-full", "verify-ca", "require", "prefer", "disable"] = Field(
        "verify-ca", description="How the connection is encrypted, and whether the server has to prove who it is."
    )

    def url(self) -> URL:
        """The address, as sqlalchemy-redshift takes it."""
        password = self.password.get_secret_value()
        query = {"sslmode": self.sslmode}
        return URL.create("redshift+psycopg2", self.username, password, self.host, self.port, self.database, query)
