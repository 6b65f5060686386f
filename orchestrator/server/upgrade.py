"""Bringing a database to what this version needs: its tables, and the block types of the installed packages."""

from __future__ import annotations

from ..kinds import kind_facts
from .db import migrate, session
from .services.configuring import block_types


def upgrade(url: str, revision: str = "head") -> bool:
    """Run the missing migrations; once the tables are this version's, make the installed block types known.

    For processes that start the server or stand in for it: the database that this process had configured is forgotten.

    Args:
        url: A direct address (no transaction pooler).
        revision: Where to stop.

    Returns:
        Whether tables were changed.

    Raises:
        Unavailable, Conflict: As :func:`orchestrator.server.db.migrate.upgrade`.
    """
    changed = migrate.upgrade(url, revision)
    if revision == "head":
        kinds = kind_facts.ask()
        session.configure(url, pool_size=1)
        try:
            with session.transaction() as work:
                block_types.register_installed(work, kinds)
        finally:
            session.dispose()
    return changed
