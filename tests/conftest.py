"""Shared fixtures: a real Postgres and a real Redis for the session, a fresh database for each test that asks."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as property_settings
from sqlalchemy import make_url

from orchestrator import masking
from orchestrator.server.db import migrate, session

from . import cataloguing
from .api import app, client_as  # noqa: F401
from .live_api import api  # noqa: F401

# How fast a machine makes examples, and tries one, is no property of what is tested.
property_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the settings of the person who runs it, nor those of another test."""
    for name in list(os.environ):
        if name.startswith("ORCHESTRATOR_") and not name.startswith("ORCHESTRATOR_TEST_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def nothing_masked() -> Iterator[None]:
    """What one test loads as a secret is an ordinary text in the next one."""
    yield
    masking.here.forget()


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    """A run as on an agent sets the level of the root logger for its process, which here is that of all tests."""
    root = logging.getLogger()
    before = root.level
    yield
    root.setLevel(before)


@pytest.fixture(scope="session", autouse=True)
def importable_fakes() -> Iterator[None]:
    """Processes that tests start find the stand-ins by name, but not the checkout: they run the installed package."""
    fakes = str(Path(__file__).parent / "fakes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [fakes, os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture(scope="session")
def services() -> Iterator[tuple[str, str]]:
    """Addresses of Postgres and Redis: embedded ones, or those that ORCHESTRATOR_TEST_*_URL name."""
    given = os.environ.get("ORCHESTRATOR_TEST_DATABASE_URL"), os.environ.get("ORCHESTRATOR_TEST_REDIS_URL")
    if given[0] and given[1]:
        yield given[0], given[1]
        return
    from orchestrator.embedded import EmbeddedServices

    from .paths import traversable_folder

    with traversable_folder() as folder, EmbeddedServices(folder) as embedded:
        yield embedded.database_url, embedded.redis_url


@pytest.fixture(scope="session")
def redis_url(services: tuple[str, str]) -> str:
    """A real Redis; tests share it, so keys carry names of their own."""
    return services[1]


@pytest.fixture(scope="session")
def template_database(services: tuple[str, str]) -> str:
    """Name of a migrated database that :func:`database_url` copies."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    _execute(services[0], f"CREATE DATABASE {name}")
    migrate.upgrade(_named(services[0], name))
    return name


@pytest.fixture
def database_url(services: tuple[str, str], template_database: str) -> Iterator[str]:
    """A fresh, migrated database, which this process is configured to use; the events that a test leaves in it are held
    against their catalogue.
    """
    with fresh_database(services[0], template_database) as url:
        yield url
        session.configure(url)
        assert cataloguing.surprises() == []


@pytest.fixture(scope="module")
def module_database_url(services: tuple[str, str], template_database: str) -> Iterator[str]:
    """The same, one for all tests of a module, where a server is started once for them."""
    with fresh_database(services[0], template_database) as url:
        yield url


@contextmanager
def fresh_database(server: str, template: str) -> Iterator[str]:
    """A copy of the template; dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    url = _named(server, name)
    session.configure(url, pool_size=8)
    yield url
    session.dispose()
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False), autocommit=True) as link:
        link.execute(statement)


@pytest.hookimpl(tryfirst=True)
def pytest_report_to_serializable(report: Any) -> None:
    """What hostile code logs may hold characters that have no bytes; a worker could not hand its report over."""
    if isinstance(report, pytest.TestReport):
        report.sections = [
            (title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections
        ]
