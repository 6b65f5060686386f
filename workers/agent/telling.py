"""What the agent tells of one attempt: output as lines of its log, events beside it, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from orchestrator.clock import now, to_text
from orchestrator.documents.records import Job, State
from orchestrator.ids import time_of, uuid7, uuid7_from
from orchestrator.masking import Masks
from orchestrator.observing.output_lines import Budget, Lines

log = logging.getLogger("orchestrator.agent")


class Telling:
    """Reports of one attempt, masked.

    Args:
        job: The attempt.
        deliver: Takes reports, in order; a dict, or the JSON of one.
        line_max: Bytes of an output line that are kept.
        masks: What is hidden already.
    """

    def __init__(
        self,
        job: Job,
        deliver: Callable[[dict[str, Any] | bytes], None],
        line_max: int,
        masks: Masks | None = None,
    ) -> None:
        self._job, self.deliver = job, deliver
        #: What is hidden in all that is told of the run.
        self.masks = masks or Masks()
        self._budget = Budget()
        self._lines = {
            name: Lines(self._emitter(name), line_max, self._budget, self.masks.uncut) for name in ("stdout", "stderr")
        }

    def put(self, item: dict[str, Any] | bytes) -> None:
        """Report something; what the process itself reports is bytes, and masked already."""
        self.deliver(item if isinstance(item, bytes) else {**self.masks.item(item)})

    def output(self, name: str, data: bytes) -> None:
        """What was read of ``stdout`` or ``stderr``."""
        self._lines[name].feed(data)

    def close_output(self) -> None:
        """Nothing more comes: tell what stands in no whole line yet."""
        for lines in self._lines.values():
            lines.close()
        if notice := self._budget.notice:
            self.log("stdout", notice, logging.WARNING)

    def note(self, message: str) -> None:
        """A line of our own in the run's log."""
        self.log(log.name, message, logging.INFO)

    def log(self, name: str, message: str, level: int) -> None:
        """A line in the run's log."""
        self.put(
            {
                "kind": "log",
                "flow_run_id": str(self._job.id),
                "task_run_id": None,
                "attempt": self._job.attempt,
                "level": level,
                "logger": name,
                "message": message,
                "at": to_text(now()),
            }
        )

    def hooks(self, names: list[str]) -> None:
        """The hooks for its end that the flow has: if we cannot call them, somebody else has to."""
        self.put({"kind": "flow-run-hooks", "id": str(self._job.id), "attempt": self._job.attempt, "names": names})

    def event(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str) -> None:
        """Record an event beside the run; of those with one ``key`` the first counts."""
        job = self._job
        # The same id each time that it is told, with a time that the server takes: events are not kept for ever.
        at = max(time_of(job.id), now() - timedelta(days=1))
        identifier = uuid7_from(at, f"{job.id}\n{key}") if key else uuid7()
        run = {"resource.id": f"orchestrator.flow-run.{job.id}", "resource.name": job.name}
        document = {
            "id": str(identifier),
            "event": event,
            "occurred": to_text(now()),
            "resource": resource,
            "related": [{**run, "resource.role": "flow-run"}],
            "payload": payload,
            "follows": None,
        }
        self.put({"kind": "event", "event": document})

    def end(self, state: State, result: dict[str, Any] | None) -> None:
        """The attempt's terminal state, and what it returned."""
        self.put(
            {
                "kind": "flow-run-state",
                "id": str(self._job.id),
                "attempt": self._job.attempt,
                "state": state.write(),
                "result": result,
            }
        )

    def _emitter(self, name: str) -> Callable[[str], None]:
        return lambda line: self.log(name, line, logging.INFO)
