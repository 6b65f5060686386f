"""The databases that tests of SQL run against, each as a block."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.sql_database import SQLDatabase

from . import mariadb

ENGINES = ["postgres", "mysql", "sqlite", "duckdb"]


@contextlib.contextmanager
def database(engine: str, postgres_url: str) -> Iterator[SQLDatabase]:
    """An empty database of one of :data:`ENGINES`; skips the test where its server is not installed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-db-")))
        if engine == "postgres":
            yield SQLDatabase(connection_url=stack.enter_context(_postgres(postgres_url)))
        elif engine == "mysql":
            if why := mariadb.missing():
                pytest.skip(why)
            host, port = stack.enter_context(mariadb.mariadb(folder))
            yield SQLDatabase(
                credentials=DatabaseCredentials(
                    dialect="mysql", host=host, port=port, username="etl", password=mariadb.PASSWORD, database="shop"
                )
            )
        else:
            account = DatabaseCredentials(dialect=engine, database=str(folder / f"shop.{engine}"))
            yield SQLDatabase(credentials=account)


@contextlib.contextmanager
def _postgres(server: str) -> Iterator[str]:
    url = make_url(server).set(drivername="postgresql")
    name = f"shop_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url.render_as_string(False), autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(False)
        finally:
            link.execute(f"DROP DATABASE {name} WITH (FORCE)")
