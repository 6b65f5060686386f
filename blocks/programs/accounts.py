"""Accounts of databases, in the words of the programs that use them. Passwords go through the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import InvalidInput

from ..database_credentials import DatabaseCredentials

# Names of variables, not the passwords.
PASSWORD = "ORCHESTRATOR_JOB_PASSWORD"  # noqa: S105
DBT_PASSWORD = "DBT_ENV_SECRET_PASSWORD"  # noqa: S105 - dbt masks what is called so in its own logs


def password_of(credentials: DatabaseCredentials | None) -> list[str]:
    """The account's password, to be masked."""
    password = credentials.url().password if credentials else None
    return [str(password)] if password else []


def dbt_output(credentials: DatabaseCredentials, schema: str, threads: int) -> dict[str, Any]:
    """One output of a dbt profile. Raises InvalidInput for a database that needs a profile of its own."""
    url = credentials.url()
    backend, shared = url.get_backend_name(), {"schema": schema, "threads": threads}
    if backend == "duckdb":
        return {"type": "duckdb", "path": url.database or ":memory:", **shared}
    secret = "{{ env_var('" + DBT_PASSWORD + "', '') }}"
    options = {key: value for key, value in url.query.items() if key in ("sslmode", "sslrootcert", "sslcert", "sslkey")}
    if backend in ("postgresql", "redshift"):
        kind, port = ("postgres", 5432) if backend == "postgresql" else ("redshift", 5439)
        return {"type": kind, "host": url.host, "port": url.port or port, "user": url.username, "password": secret,
                "dbname": url.database, **shared, **options}  # fmt: skip
    if backend in ("mysql", "mariadb"):
        return {"type": backend, "server": url.host, "port": url.port or 3306, "username": url.username,
                "password": secret, **shared}  # fmt: skip
    raise InvalidInput(f"no dbt profile can be made for {backend}: write one, and give its folder as profiles_dir")


def soda_source(credentials: DatabaseCredentials, schema: str | None) -> dict[str, Any]:
    """The connection of a Soda data source. Raises InvalidInput for a database that needs a file of its own."""
    url = credentials.url()
    backend = url.get_backend_name()
    place: Mapping[str, Any] = {"schema": schema} if schema else {}
    if backend == "duckdb":
        return {"type": "duckdb", "path": url.database or ":memory:", **place}
    kinds = {"postgresql": ("postgres", 5432), "redshift": ("redshift", 5439), "mysql": ("mysql", 3306),
             "mariadb": ("mysql", 3306)}  # fmt: skip
    if backend not in kinds:
        raise InvalidInput(f"no Soda configuration can be made for {backend}: give a configuration_file")
    kind, port = kinds[backend]
    return {"type": kind, "host": url.host, "port": str(url.port or port), "username": url.username,
            "password": "${" + PASSWORD + "}", "database": url.database, **place}  # fmt: skip
