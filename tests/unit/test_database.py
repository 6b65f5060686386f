"""Migrations and sessions."""

from __future__ import annotations

import pytest

from orchestrator.errors import SettingsError
from orchestrator.server.db import migrate, session


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    assert migrate.pending_changes(database_url) == []


def test_upgrade_twice_changes_nothing(database_url: str) -> None:
    assert migrate.upgrade(database_url) is False


def test_sqlite_is_refused_with_one_line() -> None:
    with pytest.raises(SettingsError, match="needs PostgreSQL 14 or newer"):
        session.configure("sqlite:///x.db")
