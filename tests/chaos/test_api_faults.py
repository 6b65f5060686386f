"""The API frozen, then killed (pain 9)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from orchestrator.errors import OrchestratorError

from ..stack import Stack, until
from .tools import HELD, create, deploy, part, queue_name

#: Seconds for which it does not answer: more than a call is waited for, and more than two leases.
AWAY = 12


def test_agents_wait_for_an_api_that_is_away(stack: Stack, tmp_path: Path) -> None:
    """An idle, a busy and a new agent; the run that goes on meanwhile is not taken for dead."""
    queues = [queue_name() for _ in range(3)]
    marker, release = tmp_path / "marker", tmp_path / "release"
    deployments = [deploy(stack, tmp_path / queue, queue, HELD) for queue in queues]
    arguments = {"marker": str(marker), "release": str(release)}
    with stack.agent(queues[0]) as idle, stack.agent(queues[1]) as busy:
        (held,) = create(stack, deployments[1], **arguments)
        until(marker.exists, "the run to begin")
        api = part(stack, "api")
        workers = [api, *api.children(recursive=True)]
        for process in workers:
            process.send_signal(signal.SIGSTOP)
        with stack.process("agent", "start", "-q", queues[2]) as new:
            time.sleep(AWAY)  # the outage; no condition ends it
            for process in workers:
                process.send_signal(signal.SIGKILL)
            assert {agent.poll() for agent in (idle, busy, new)} == {None}
            until(lambda: answers(stack), "the API to be started again")
            later = [create(stack, deployment, **arguments)[0] for deployment in deployments]
            release.touch()
            runs = [stack.wait_for_run(run) for run in [held, *later]]
            assert {agent.poll() for agent in (idle, busy, new)} == {None}
    assert {run["state"]["type"] for run in runs} == {"COMPLETED"}
    assert {run["attempt"] for run in runs} == {1}
    assert marker.read_text() == "xxxx"


def answers(stack: Stack) -> bool:
    """Whether the API is there."""
    try:
        stack.client.get("flows")
    except OrchestratorError:
        return False
    return True
