"""What an agent says to the API, beside reports."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.client import Client
from orchestrator.documents.records import Job, Registration

#: Seconds beyond the wait that was asked for before a held call is given up.
PATIENCE = 10.0
#: Seconds for a call that is not held.
PROMPT = 10.0
#: Longest pause between two tries of something the API could not take, in seconds.
BACK_OFF_MAX = 30.0

Held = tuple[uuid.UUID, int]


@dataclass(frozen=True)
class Pulse:
    """The answer to a heartbeat: which of the attempts shall be cancelled, and which are not the agent's any more."""

    cancel: list[Held]
    lost: list[Held]
    #: Whether work waits that the agent could take, and has not asked for lately.
    waiting: bool = False
    #: Why the server takes it for UNHEALTHY; empty: it does not.
    unhealthy: str = ""


@dataclass(frozen=True)
class Pulling:
    """How claiming goes: seconds since the last claim that was answered, and how many slots are free."""

    age_s: float
    free: int


class AgentApi:
    """The calls of one agent. Every call raises what :meth:`orchestrator.client.Client.request` raises."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def register(self, document: dict[str, Any]) -> Registration:
        """Make the agent known; the server gives it an id."""
        return Registration.read(self._post("agents", document))

    def heartbeat(self, agent_id: uuid.UUID, running: Iterable[Held], pulling: Pulling) -> Pulse:
        """Renew the leases of the attempts that run, and tell how claiming goes."""
        body = {
            "running": [{"run_id": str(run), "attempt": attempt} for run, attempt in running],
            "pulling": {"age_s": pulling.age_s, "free": pulling.free},
        }
        answer = self._post(f"agents/{agent_id}/heartbeat", body)
        found = _held(answer.get("cancel")), _held(answer.get("lost"))
        return Pulse(*found, bool(answer.get("waiting")), str(answer.get("unhealthy") or ""))

    def claim(
        self,
        agent_id: uuid.UUID,
        queues: Iterable[str],
        preferred: str | None = None,
        cached: Iterable[str] = (),
        wait_s: float = 0,
        prefixes: Iterable[str] = (),
    ) -> Job | None:
        """Get the most urgent run of the queues, and of those whose names begin like one of the prefixes; None when
        there is none after ``wait_s`` seconds.
        """
        body = {"queues": [*queues], "preferred": preferred, "cached": [*cached], "wait_s": wait_s}
        body |= {"prefixes": [*prefixes]} if prefixes else {}
        timeout = wait_s + PATIENCE if wait_s else PROMPT
        answer = self.client.request("POST", f"agents/{agent_id}/claim", json=body, timeout=timeout)
        return Job.read(answer) if answer else None

    def confirm(self, run_id: uuid.UUID, attempt: int) -> None:
        """Say that user code is about to start. Raises TransitionRefused or Conflict when it must not."""
        self._post(f"flow-runs/{run_id}/state", {"type": "RUNNING", "attempt": attempt})

    def take_hooks(self, run_id: uuid.UUID, attempt: int) -> bool:
        """Undertake to call the hooks of an attempt's end; False where somebody else has, or it is over."""
        return bool(self._post(f"flow-runs/{run_id}/hooks", {"attempt": attempt})["call"])

    def give_back(self, run_id: uuid.UUID, attempt: int) -> None:
        """Let another agent have a run that was claimed and not begun."""
        message = "handed back by an agent that is being stopped"
        self._post(f"flow-runs/{run_id}/state", {"type": "SCHEDULED", "attempt": attempt, "message": message})

    def goodbye(self, agent_id: uuid.UUID) -> None:
        """The agent takes no more work."""
        self.client.request("DELETE", f"agents/{agent_id}", timeout=PROMPT)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.request("POST", path, json=body, timeout=PROMPT)


def back_off(first: float = 0.5, most: float = BACK_OFF_MAX) -> Iterator[float]:
    """Pauses between tries, in seconds: doubling from ``first`` to ``most``, each somewhere in its upper half."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, most)


def _held(items: Any) -> list[Held]:
    return [(uuid.UUID(str(item["run_id"])), int(item["attempt"])) for item in items or ()]
