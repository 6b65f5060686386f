"""An agent's part in launching a run, for tests of infrastructure blocks by themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from orchestrator.interfaces import Elsewhere, LaunchSpec, Running


class Host:
    """What an infrastructure is lent; keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.events: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.is_wanted = True

    def start(self, spec: LaunchSpec) -> Running:
        raise AssertionError("it is not to run here")

    def wanted(self) -> bool:
        return self.is_wanted

    def hide(self, values: Iterable[Any]) -> None:
        """Nothing here is read by others."""

    def tell(self, message: str) -> None:
        self.told.append(message)

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str = "") -> None:
        self.events.append((event, resource, payload))


def spec_of(program: str, api_url: str = "http://orchestrator.example.com:4200") -> LaunchSpec:
    """A run that executes a line of Python in place of its flow."""
    run_id = uuid.uuid4()
    remote = {"ORCHESTRATOR_API_URL": api_url, "ORCHESTRATOR_API_KEY": "run_canary", "ORCHESTRATOR_RUN_ID": str(run_id)}
    return LaunchSpec(
        run_id=run_id, attempt=2, name="Brave Test", command=("-c", program), remote_env=remote, grace_s=2.0
    )


def finish(running: Elsewhere, timeout: float = 60.0) -> tuple[int | None, str, str]:
    """Follow to the end as an agent does; code, output, reason."""
    code = running.wait(timeout)
    output = b"".join(data for _, data in running.logs()).decode()
    reason = running.reason()
    running.clean_up()
    return code, output, reason
