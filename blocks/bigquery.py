"""Google BigQuery."""

from __future__ import annotations

import base64
import json
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from sqlalchemy.engine import URL

from .sql.database import SQLAlchemyDatabase


class BigQuery(SQLAlchemyDatabase):
    """Datasets of a Google Cloud project: SQL with bound parameters, and their tables."""

    _name: ClassVar[str] = "BigQuery"
    _slug: ClassVar[str] = "bigquery"
    _logo: ClassVar[str] = "tabler:brand-google-big-query"
    _docs_url: ClassVar[str] = "https://googleapis.dev/python/sqlalchemy-bigquery/latest/README.html"
    _untested_here: ClassVar[str] = (
        "No stand-in of BigQuery exists: its address is tested, and what it shares with SQL databases."
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.bigquery import BigQuery

        rows = BigQuery.load("analytics").fetch("SELECT * FROM shop.orders WHERE day = :day", {"day": "2026-01-31"})
        """

    project: str = Field(pattern=r"^[a-z][a-z0-9.:-]{4,62}$", description="Id of the project that pays for statements.")
    dataset: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_]*$", description="Dataset of tables that are named without one."
    )
    location: str | None = Field(None, pattern=r"^[A-Za-z0-9-]*$", description="Such as EU or us-east1.")
    service_account: SecretStr | None = Field(
        None,
        description="The JSON key of a service account; empty: the computer's own credentials.",
        json_schema_extra={"x-multiline": True},
    )

    @field_validator("service_account")
    @classmethod
    def _a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None or not key.get_secret_value().strip():
            return None
        try:
            whole = {"client_email", "private_key"} <= json.loads(key.get_secret_value()).keys()
        except (ValueError, AttributeError):
            whole = False
        if not whole:
            raise ValueError("this is no key of a service account: write the JSON file that Google Cloud gave")
        return key

    def url(self) -> URL:
        """The address, as sqlalchemy-bigquery takes it."""
        query = {"location": self.location or ""}
        if self.service_account is not None:
            query["credentials_base64"] = base64.b64encode(self.service_account.get_secret_value().encode()).decode()
        shown = {key: value for key, value in query.items() if value}
        return URL.create("bigquery", host=self.project, database=self.dataset or None, query=shown)
