"""The supervisor and ``orchestrator server stop|status|logs``, as processes, over small parts."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from orchestrator.clock import now
from orchestrator.embedded import state
from orchestrator.server.db import session
from orchestrator.server.services.configuring import block_types
from orchestrator.server.services.identity import keys
from orchestrator.settings import load

from ..paths import traversable_folder
from ..polling import free_port, until
from ..stack import Stack, command

READY = "ready http"

BUILT_IN = {"json", "local-file-system", "process", "s3", "secret"}


@pytest.fixture
def stack(database_url: str, redis_url: str) -> Iterator[Stack]:
    """A home of its own, over an external database and Redis."""
    extra = {
        "ORCHESTRATOR_DATABASE_URL": database_url,
        "ORCHESTRATOR_REDIS_URL": redis_url,
        "ORCHESTRATOR_SECRET_KEY": "a key for tests",
    }
    with traversable_folder() as home:
        yield Stack(home, free_port(), extra)


@pytest.fixture
def embedded() -> Iterator[Stack]:
    """A home of its own, with embedded services."""
    with traversable_folder() as home:
        yield Stack(home, free_port())


def serve(stack: Stack, scenario: str = "well") -> Any:
    words = [sys.executable, "-m", "fake_server", scenario, str(stack.port)]
    return stack.program(words, "server")


def wait_ready(server: Any) -> None:
    def ready() -> bool:
        assert server.poll() is None, server.log.read_text()
        return READY in server.log.read_text()

    until(ready, "the server to be ready", 60)


def part_pids(stack: Stack) -> dict[str, int]:
    found = state.read(stack.home)
    assert found is not None
    return {part.name: part.pid for part in found.parts if part.pid}


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [item for item in processes if item.is_running() and _status(item) != psutil.STATUS_ZOMBIE]


def refused(stack: Stack, scenario: str = "well") -> str:
    """Start, expecting exit code 1 and a single line, which is returned."""
    words = [sys.executable, "-m", "fake_server", scenario, str(stack.port)]
    done = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    return lines[-1]


def test_a_server_is_started_watched_and_stopped(stack: Stack) -> None:
    with serve(stack) as server:
        wait_ready(server)
        facts = stack.json("server", "status")
        assert facts["ready"] is True
        assert facts["api_url"] == f"http://127.0.0.1:{stack.port}"
        assert [part["name"] for part in facts["parts"]] == ["api", "sleeper", "agent"]
        assert {part["status"] for part in facts["parts"]} == {"running"}
        assert facts["health"] == {"status": "ready"}
        children = [item for pid in part_pids(stack).values() for item in family(pid)]
        assert len(children) > 3

        shown = stack.cli("server", "logs", "sleeper", "-n", "1")
        assert shown.stdout == "sleeping\n"
        assert stack.cli("server", "logs", "nobody").returncode == 2

        done = stack.cli("server", "stop")
        assert done.returncode == 0, done.stderr
        assert server.wait(10) == 0, server.log.read_text()
        assert alive(children) == []
    assert not state.state_file(stack.home).exists()
    assert stack.cli("server", "status").returncode == 1
    assert stack.cli("server", "stop").returncode == 0


def test_a_part_that_dies_is_started_again(stack: Stack) -> None:
    with serve(stack) as server:
        wait_ready(server)
        first = part_pids(stack)["sleeper"]
        grandchildren = family(first)
        os.kill(first, signal.SIGKILL)
        until(lambda: part_pids(stack).get("sleeper") not in {None, first}, "the sleeper to be back")
        assert alive(grandchildren) == []
        assert "sleeper was killed by SIGKILL and is started again in 1 s" in server.log.read_text()
        facts = stack.json("server", "status")
        assert next(part for part in facts["parts"] if part["name"] == "sleeper")["restarts"] == 1


def test_kill_9_of_the_supervisor_leaves_no_process(embedded: Stack) -> None:
    with serve(embedded, "attentive") as server:
        wait_ready(server)
        children = [item for pid in part_pids(embedded).values() for item in family(pid)]
        assert {"postgres", "redis"} <= part_pids(embedded).keys()
        server.kill()
        server.wait(10)
        if sys.platform == "linux":
            until(lambda: not alive(children), "the parts to be gone", 10)
        assert embedded.cli("server", "status").returncode == 1
    with serve(embedded) as server:
        wait_ready(server)
        key = load(embedded.environment).api_key
        assert "admin key" not in server.log.read_text(), "the second start knows the key of the first"
        assert key.startswith("orc_")
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert not (embedded.home / "data" / "postgres" / "postmaster.pid").exists()


def test_stop_ends_what_a_killed_supervisor_left(stack: Stack) -> None:
    left = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        process = state.PartState("sleeper", left.pid, state.processes.identity(left.pid), 0, "")
        other = state.PartState("api", os.getpid(), "another start", 0, "")
        state.write(stack.home, state.ServerState(1, "gone", "http://127.0.0.1:1", "", "", None, [process, other]))
        done = stack.cli("server", "stop")
        assert done.returncode == 0
        assert "sleeper" in done.stderr
        assert left.wait(10) == -signal.SIGTERM
    finally:
        left.kill()


def test_the_first_start_makes_a_key_and_a_profile(stack: Stack, database_url: str) -> None:
    with serve(stack) as server:
        wait_ready(server)
        settings = load(stack.environment)
        assert settings.api_url == f"http://127.0.0.1:{stack.port}"
        profiles = stack.home / "profiles.toml"
        assert stat.S_IMODE(profiles.stat().st_mode) == 0o600
        with session.reading() as work:
            principal = keys.authenticate(work, settings.api_key, now())
            assert {kind.slug for kind in block_types.listing(work)} >= BUILT_IN
        assert principal is not None
        assert principal.role == "admin"
        told = json.loads(until(lambda: _text(stack.home / "told.json"), "the agent to start"))
        assert told["ORCHESTRATOR_API_URL"] == settings.api_url
        assert told["ORCHESTRATOR_API_KEY"] == settings.api_key
        hidden = {"ORCHESTRATOR_DATABASE_URL", "ORCHESTRATOR_REDIS_URL", "ORCHESTRATOR_SECRET_KEY"}
        assert hidden.isdisjoint(told), "user code runs below the agent"


def test_a_profile_of_another_server_is_left_alone(stack: Stack) -> None:
    profiles = stack.home / "profiles.toml"
    profiles.write_text('active = "work"\n[profiles.work]\napi_url = "https://tower.example"\napi_key = "orc_theirs"\n')
    with serve(stack) as server:
        wait_ready(server)
    settings = load(stack.environment)
    assert (settings.api_url, settings.api_key) == ("https://tower.example", "orc_theirs")
    local = load({**stack.environment, "ORCHESTRATOR_PROFILE": "local"})
    assert local.api_url.endswith(f":{stack.port}")
    assert "--profile local" in server.log.read_text()


def test_a_second_supervisor_of_one_home_is_refused(stack: Stack) -> None:
    with serve(stack) as server:
        wait_ready(server)
        line = refused(Stack(stack.home, free_port(), stack.environment))
        assert "already running" in line
        assert "server stop" in line
        assert stack.json("server", "status")["ready"] is True


def test_a_taken_port_is_refused_before_anything_is_started(embedded: Stack) -> None:
    with socket.create_server(("127.0.0.1", embedded.port)):
        line = refused(embedded)
    assert str(embedded.port) in line
    assert "--port" in line
    assert not (embedded.home / "data").exists()
    assert not state.state_file(embedded.home).exists()


def test_a_part_that_does_not_start_is_named_with_its_last_words(stack: Stack) -> None:
    line = refused(stack, "hopeless")
    assert "sleeper does not start: the sleeper cannot sleep" in line
    assert not state.is_running(stack.home)


def test_sigterm_while_starting_stops_what_was_started(stack: Stack) -> None:
    with serve(stack, "slow") as server:
        until(lambda: state.read(stack.home) and part_pids(stack).keys() >= {"sleeper"}, "the parts to be started")
        children = [item for pid in part_pids(stack).values() for item in family(pid)]
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 130
        assert alive(children) == []


def test_a_part_that_ignores_sigterm_is_killed(stack: Stack) -> None:
    with serve(stack, "stubborn") as server:
        wait_ready(server)
        until(lambda: "sleeping" in (_text(stack.home / "logs" / "sleeper.log") or ""), "the sleeper to sleep")
        children = [item for pid in part_pids(stack).values() for item in family(pid)]
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert alive(children) == []
        assert "sleeper was killed, as it had not ended after 1 s" in server.log.read_text()


def test_a_killed_postgres_comes_back_with_the_same_address(embedded: Stack) -> None:
    with serve(embedded) as server:
        wait_ready(server)
        before = part_pids(embedded)
        os.kill(before["postgres"], signal.SIGKILL)
        until(lambda: part_pids(embedded).get("postgres") not in {None, before["postgres"]}, "Postgres to be back")
        assert embedded.json("server", "status")["ready"] is True
        assert part_pids(embedded)["api"] == before["api"], "nothing else is started again"


@pytest.mark.parametrize(
    ("setting", "value", "telling"),
    [
        ("SECRET_KEY", "", "ORCHESTRATOR_SECRET_KEY is needed"),
        ("DATABASE_URL", "sqlite:///runs.db", "ORCHESTRATOR_DATABASE_URL names sqlite"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "Postgres cannot be reached"),
        ("REDIS_URL", "http://127.0.0.1", "ORCHESTRATOR_REDIS_URL is no Redis address"),
        ("PORT", "many", "ORCHESTRATOR_PORT"),
    ],
)
def test_a_bad_setting_is_one_line(stack: Stack, setting: str, value: str, telling: str) -> None:
    stack.environment[f"ORCHESTRATOR_{setting}"] = value
    if setting == "PORT":
        done = stack.cli("server", "start")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert telling in done.stderr
    else:
        assert telling in refused(stack)
    assert not (stack.home / "data").exists()


def test_database_commands_on_an_external_database(stack: Stack, database_url: str) -> None:
    assert "nothing to do" in stack.cli("database", "upgrade").stderr
    assert stack.cli("database", "reset").returncode == 2, "nobody can be asked"
    with session.transaction() as work:
        keys.create(work, "mine", "viewer", now())
    done = stack.cli("database", "reset", "--yes")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(make_url(database_url).set(drivername="postgresql").render_as_string(False)) as link:
        assert link.execute("SELECT count(*) FROM api_key").fetchone() == (0,)
    assert stack.cli("database", "downgrade", "nonsense", "--yes").returncode == 2
    assert stack.cli("database", "downgrade", "base", "--yes").returncode == 0
    assert "upgraded" in stack.cli("database", "upgrade").stderr


@pytest.mark.parametrize("words", [("upgrade",), ("reset", "--yes")])
def test_pain_60_a_fresh_database_lists_all_built_in_types(
    stack: Stack, database_url: str, words: tuple[str, ...]
) -> None:
    """At once: before any API answered, or was started at all."""
    assert stack.cli("database", "downgrade", "base", "--yes").returncode == 0
    done = stack.cli("database", *words)
    assert done.returncode == 0, done.stderr
    with session.reading() as work:
        assert {kind.slug for kind in block_types.listing(work)} >= BUILT_IN


def test_two_that_upgrade_an_empty_database_at_once(stack: Stack) -> None:
    assert stack.cli("database", "downgrade", "base", "--yes").returncode == 0
    words = [*command(), "database", "upgrade"]
    both = [subprocess.Popen(words, env=stack.environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[1].strip().rpartition(": ")[2] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == ["nothing to do", "upgraded"]


def test_a_database_of_a_newer_version_is_one_line(stack: Stack, database_url: str) -> None:
    with psycopg.connect(make_url(database_url).set(drivername="postgresql").render_as_string(False)) as link:
        link.execute("UPDATE alembic_version SET version_num = 'f00d'")
    line = refused(stack)
    assert "revision f00d" in line
    assert "newer version" in line


def test_database_commands_on_the_embedded_database(embedded: Stack) -> None:
    done = embedded.cli("database", "upgrade")
    assert done.returncode == 0, done.stderr
    with serve(embedded) as server:
        wait_ready(server)
        done = embedded.cli("database", "reset", "--yes")
        assert done.returncode == 1
        assert "server stop" in done.stderr
    assert embedded.cli("database", "reset", "--yes").returncode == 0


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def test_an_admin_key_without_having_one(stack: Stack, database_url: str) -> None:
    done = stack.cli("database", "admin-key", "me")
    assert done.returncode == 0, done.stderr
    with session.reading() as work:
        principal = keys.authenticate(work, done.stdout.strip(), now())
    assert principal is not None
    assert principal.role == "admin"
