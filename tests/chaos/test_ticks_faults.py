"""Beat and the services process, frozen (pain 12)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import urllib3

from orchestrator.clock import now, to_text

from ..stack import Stack, until
from .tools import deploy, part, queue_name


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """A process that neither works nor ends."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def health(stack: Stack) -> tuple[int, dict[str, Any]]:
    """What ``/health/ready`` says."""
    answer = urllib3.request("GET", f"{stack.client.api_url}/health/ready", timeout=5)
    return answer.status, answer.json()


def test_frozen_beat_and_frozen_services(stack: Stack, tmp_path: Path) -> None:
    """Without beat, the loops go on and the server is ready. Without services, it says which loop stands still."""
    deployment = deploy(stack, tmp_path / "p", queue_name(), "():\n    return 1")
    found = stack.client.get(f"deployments/{deployment}")
    services_log = stack.home / "logs" / "services.log"
    told = services_log.read_text().count("Stepping without")
    with frozen(part(stack, "beat")):
        anchor = to_text(now() + timedelta(seconds=1))
        stack.client.post(f"deployments/{found['id']}/schedules", json={"interval": 1, "anchor": anchor})
        until(lambda: services_log.read_text().count("Stepping without") > told, "services to step by itself", 20)
        assert health(stack)[0] == 200
        with frozen(part(stack, "services")):
            until(lambda: health(stack)[0] == 503, "the health to tell", 30)
            told_of = lambda: health(stack)[1]["parts"]["loops"]["dispatch"]  # noqa: E731
            until(lambda: not told_of()["ok"], "the health to name dispatch", 30)
            assert "stands still" in told_of()["message"]
    until(lambda: health(stack)[0] == 200, "the server to be ready again", 30)

    def scheduled() -> list[str]:
        return [run["slot"] for run in stack.client.pages("flow-runs", {"deployment_id": found["id"]})]

    until(lambda: len(scheduled()) > 2, "scheduled runs")
    stack.client.patch(f"deployments/{found['id']}", json={"paused": True})
    slots = scheduled()
    assert len(slots) == len(set(slots)), "slots are doubled"
