"""``orchestrator database``: the tables of the server's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from .. import settings
from ..errors import InvalidInput, Unavailable
from .output import confirm, note, yes_option


@click.group()
def group() -> None:
    """Migrate the server's database: the external one, or the embedded one while the server is stopped."""


@group.command()
@click.option("--revision", default="head", show_default=True, help="Where to stop.")
def upgrade(revision: str) -> None:
    """Bring the database to this version's tables and block types. `server start` does this by itself."""
    from ..server.upgrade import upgrade as bring_up

    with _database() as url:
        changed = bring_up(url, revision)
        note(f"{_shown(url)}: " + ("upgraded" if changed else "nothing to do"))


@group.command()
@click.argument("revision")
@yes_option
def downgrade(revision: str, yes: bool) -> None:
    """Undo migrations down to REVISION; what only newer tables hold is lost (`base`: everything)."""
    from ..server.db import migrate

    with _database() as url:
        confirm(f"Downgrade {_shown(url)} to {revision}, losing what only newer tables hold?", yes)
        migrate.downgrade(url, revision)
        note(f"{_shown(url)}: downgraded to {revision}")


@group.command()
@yes_option
def reset(yes: bool) -> None:
    """Delete everything: flows, runs, blocks, keys, events. The next start makes a new admin key."""
    from ..server.db import migrate
    from ..server.upgrade import upgrade as bring_up

    with _database() as url:
        confirm(f"Delete all flows, runs, blocks, keys and events in {_shown(url)}?", yes)
        migrate.downgrade(url, "base")
        bring_up(url)
        note(f"{_shown(url)}: emptied")


@group.command("admin-key")
@click.argument("name", default="admin")
def admin_key(name: str) -> None:
    """Make an admin key without having one, and print it: the first key of a server whose parts are started one by
    one, or the way back in. Whoever reaches the database may do this.
    """
    from ..clock import now
    from ..server.db import migrate, session
    from ..server.services.identity import keys

    with _database() as url:
        migrate.upgrade(url)
        session.configure(url, pool_size=1)
        try:
            with session.transaction() as work:
                _, text = keys.create(work, name, "admin", now())
        finally:
            session.dispose()
    click.echo(text)
    note("Keep it safe: it cannot be shown again. Use it as ORCHESTRATOR_API_KEY.")


@contextmanager
def _database() -> Iterator[str]:
    """The database's address; what goes wrong with it becomes one line."""
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from ..embedded import offline

    with offline.database(settings.load()) as url:
        try:
            yield url
        except CommandError as error:
            raise InvalidInput(f"revision: {error}") from None
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise Unavailable(f"{_shown(url)}: {reason}") from None


def _shown(url: str) -> str:
    """A database's address without user and password."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"the database {parsed.database or ''} at {parsed.host or 'the local socket'}{port}"
