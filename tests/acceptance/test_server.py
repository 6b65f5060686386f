"""``orchestrator server`` with all its real parts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from ..paths import traversable_folder
from ..polling import free_port, until
from ..stack import Stack


@pytest.fixture
def own() -> Iterator[Stack]:
    """A home of its own, with no server yet; whatever is started in it is stopped."""
    with traversable_folder() as home:
        stack = Stack(home, free_port())
        try:
            yield stack
        finally:
            stack.cli("server", "stop")


def test_status_tells_address_parts_and_health(stack: Stack) -> None:
    facts = stack.json("server", "status")
    assert facts["ready"] is True
    assert facts["api_url"] == f"http://127.0.0.1:{stack.port}"
    assert {part["name"] for part in facts["parts"]} == {"postgres", "redis", "api", "services", "beat"}
    assert all(part["status"] == "running" and psutil.pid_exists(part["pid"]) for part in facts["parts"])
    assert facts["health"]["parts"]["loops"]["dispatch"]["last_tick_age_s"] < 60
    table = stack.cli("server", "status").stdout
    assert facts["api_url"] in table
    assert "services" in table


def test_a_server_in_the_background_until_it_is_stopped(own: Stack) -> None:
    started = own.cli("server", "start", "--background", "--agent", "--port", str(own.port), timeout=200)
    assert started.returncode == 0, started.stderr
    assert f"ready at http://127.0.0.1:{own.port}" in started.stderr
    until(lambda: own.cli("server", "status").returncode == 0, "the agent to run too")
    assert own.client.get("flows")["items"] == []

    facts = own.json("server", "status")
    family = psutil.Process(facts["pid"]).children(recursive=True)
    again = own.cli("server", "start", "--background", "--port", str(free_port()))
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert "already running" in again.stderr

    assert "ready" in own.cli("server", "logs", "server", "-n", "5").stdout
    assert own.cli("server", "stop").returncode == 0
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert own.cli("server", "status").returncode == 1


def test_kill_9_of_the_server_leaves_nothing(own: Stack) -> None:
    with own.process("server", "start", "--agent", "--port", str(own.port)) as server:
        until(lambda: own.cli("server", "status").returncode == 0, "the server to be ready", 90)
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) > 8
        server.kill()
        server.wait(10)
        until(lambda: not any(child.is_running() for child in family), "its parts to be gone", 10)
    with own.process("server", "start", "--port", str(own.port)) as server:
        until(lambda: own.cli("server", "status").returncode == 0, "the server to be ready again", 90)
        assert own.client.get("flows")["items"] == [], "the key of the first start still opens the data"


def test_a_hung_services_process_is_noticed(stack: Stack) -> None:
    """A process that lives but does not tick is not healthy."""
    parts = {part["name"]: part["pid"] for part in stack.json("server", "status")["parts"]}
    os.kill(parts["services"], signal.SIGSTOP)
    try:
        until(lambda: stack.cli("server", "status").returncode == 1, "the hang to be noticed", 60)
    finally:
        os.kill(parts["services"], signal.SIGCONT)
    until(lambda: stack.cli("server", "status").returncode == 0, "the loops to go on", 60)
