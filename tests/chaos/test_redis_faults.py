"""Redis restarted again and again, its connections cut; what is left in it afterwards (pains 3 and 43)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from orchestrator.embedded import EmbeddedServices

from ..paths import traversable_folder
from ..stack import Stack, running_stack, until
from .tools import HELD, create, deploy, queue_name

#: Keys that may stay for ever: each has a bound of its own, or is emptied as it is used.
KEPT = {"orchestrator.services", "unacked", "unacked_index"}


@pytest.fixture
def valkey() -> Iterator[EmbeddedServices]:
    """A Redis of the test's own, on a port that stays the same."""
    with traversable_folder() as folder, EmbeddedServices(folder / "data", postgres=False) as services:
        yield services


@pytest.fixture
def own_stack(valkey: EmbeddedServices) -> Iterator[Stack]:
    extra = {
        "ORCHESTRATOR_REDIS_URL": valkey.redis_url,
        "ORCHESTRATOR_HEARTBEAT": "1s",
        "ORCHESTRATOR_LEASE": "4s",
        "ORCHESTRATOR_SWEEP": "1s",
        "ORCHESTRATOR_STOP_GRACE": "3s",
    }
    with running_stack(extra=extra) as running:
        yield running


def restart(valkey: EmbeddedServices) -> None:
    """Kill it and start it at the same address."""
    process = valkey.processes["redis"]
    process.kill()
    process.wait()
    assert valkey.revive("redis") is False


def test_agents_go_on_after_redis_was_restarted_and_cut(
    own_stack: Stack, valkey: EmbeddedServices, tmp_path: Path
) -> None:
    stack, queues = own_stack, [queue_name() for _ in range(3)]
    marker, release = tmp_path / "marker", tmp_path / "release"
    deployments = [deploy(stack, tmp_path / queue, queue, HELD) for queue in queues]
    arguments = {"marker": str(marker), "release": str(release)}
    with ExitStack() as entered:
        agents = [entered.enter_context(stack.agent(queue)) for queue in queues]
        (busy,) = create(stack, deployments[0], **arguments)
        until(marker.exists, "the run to begin")
        for _ in range(5):
            restart(valkey)
            time.sleep(1)  # long enough for some to connect, too short for others
        with redis.Redis.from_url(valkey.redis_url, socket_timeout=5) as link:
            link.client_kill_filter(_type="normal", skipme=True)
        release.touch()
        runs = [busy, *(create(stack, deployment, **arguments)[0] for deployment in deployments)]
        ended = [stack.wait_for_run(run, 60) for run in runs]
        assert {run["state"]["type"] for run in ended} == {"COMPLETED"}
        assert {run["attempt"] for run in ended} == {1}
        assert {agent.poll() for agent in agents} == {None}
        assert marker.read_text() == "xxxx"

        # An agent is killed, and a cancel hinted to it afterwards: what stays in Redis is bounded.
        (lost,) = create(stack, deployments[1], marker=str(tmp_path / "lost"), release=str(tmp_path / "never"))
        until((tmp_path / "lost").exists, "the run to begin")
        os.killpg(agents[1].pid, signal.SIGKILL)
        stack.client.post(f"flow-runs/{lost}/cancel")
        assert stack.wait_for_run(lost, 60)["state"]["type"] == "CANCELLED"
    with redis.Redis.from_url(valkey.redis_url, socket_timeout=5) as link:
        for_ever = {key.decode() for key in link.keys("*") if link.ttl(key) == -1}
        assert for_ever <= KEPT
        assert link.info("memory")["used_memory"] < 50_000_000
