"""Bring the database to this version's tables, under an advisory lock so that many may start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from ...clock import now
from ...errors import Conflict, Unavailable
from .models import Base
from .models.event import Xid8
from .partitions import ensure_partitions, is_ours
from .session import normalise_url

# Reflection knows every column type.
ischema_names["xid8"] = Xid8

_LOCK = 0x0EC7_0001
OLDEST_SERVER = 140_000


def upgrade(url: str, revision: str = "head") -> bool:
    """Run the missing migrations and make the coming days' partitions.

    Args:
        url: A direct address (no transaction pooler): the lock is held by the session.
        revision: Where to stop.

    Returns:
        Whether anything was changed.

    Raises:
        Unavailable: Postgres does not answer.
        Conflict: Postgres is too old, or the database was written by a newer version of this project.
    """
    with _locked(url) as connection:
        before = _current(connection)
        _refuse_newer(before)
        command.upgrade(_config(connection), revision)
        connection.commit()
        ensure_partitions(connection, now())
        connection.commit()
        return _current(connection) != before


def head() -> str | None:
    """The revision that this version's tables are at."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to ``revision`` (``base``: all of them, and all data)."""
    with _locked(url) as connection:
        command.downgrade(_config(connection), revision)
        connection.commit()


def pending_changes(url: str) -> list[object]:
    """What the models have that the migrations do not make; empty in a sound tree (a test holds this)."""
    with _locked(url) as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        return list(compare_metadata(context, Base.metadata))


class _locked:
    """A connection that holds the migration lock until it is left."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(normalise_url(url), poolclass=NullPool)

    def __enter__(self) -> Connection:
        try:
            self._connection = self._engine.connect()
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise Unavailable(f"Postgres cannot be reached: {reason}") from None
        version = self._connection.execute(text("SHOW server_version_num")).scalar_one()
        if int(version) < OLDEST_SERVER:
            raise Conflict(f"Postgres is at {int(version) // 10_000}; 14 or newer is needed")
        self._connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        self._connection.commit()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
        self._connection.close()
        self._engine.dispose()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return revision


def _refuse_newer(revision: str | None) -> None:
    script = ScriptDirectory.from_config(_config())
    known = {item.revision for item in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise Conflict(
            f"the database is at revision {revision}, which this version of Orchestrator does not know;"
            " install the newer version"
        )
