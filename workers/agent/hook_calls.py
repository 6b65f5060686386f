"""Hooks of a run that ended without calling them: its process was killed, or taken down.

A fresh process, in the same infrastructure and with the run's own key, loads the code and calls them. What it writes is
in the run's log. The run's end is told to the server after that, since the key dies with it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from orchestrator.documents.records import State
from orchestrator.engine.hooks import ENDS
from orchestrator.interfaces import LaunchSpec, Running

from .hosting import Started
from .launcher import Child
from .supervision import Supervision
from .verdict import Ask, Facts

#: Seconds from SIGTERM to SIGKILL for hooks that take too long.
GRACE = 2.0


class HookCall(Supervision):
    """Watches the process that calls the hooks of another one.

    Args:
        of: The supervision of the process that is gone.
        spec: How that one was started.
        state: The end that it came to.
    """

    def __init__(self, of: Supervision, spec: LaunchSpec, state: State) -> None:
        around, telling = replace(of.around, grace_s=GRACE), of.telling
        super().__init__(of.job, telling.deliver, around, time.monotonic(), telling.masks)
        self._started_by, self._state = spec, state

    def orders(self) -> dict[str, Any]:
        return {"hooks_for": self._state.write()}

    def begin(self, spec: LaunchSpec) -> Child:
        child = super().begin(spec)
        self.ending.time_out(self.around.hook_timeout_s, slack=0.0)
        return child

    def _launch(self) -> Running:
        return Started(self, self.begin(self._started_by))

    def verdict(self, facts: Facts) -> State | None:
        """Nothing is reported; what went wrong is told in the run's log."""
        if facts.ask is Ask.TIMEOUT:
            self.tell(f"the hooks took longer than {self.around.hook_timeout_s:g} s, and were stopped")
        elif facts.error is not None:
            self.tell(f"the hooks could not be called: {facts.error}")
        elif facts.ask is Ask.NOTHING and facts.code != 0:
            self.tell(f"the process of the hooks ended early: {facts.signal or facts.code}")
        return None


def call(ended: Supervision, state: State) -> None:
    """Have the hooks of a run called for its end, and wait until they are done, or their time is over.

    Where the server has sent another agent for them, or cannot be asked for so long, nobody calls them here.
    """
    if ended.spec is None:
        return
    if not ended.may_call_hooks():
        ended.tell(f"{ENDS[state.type]} is left to whom the server sends")
        return
    ended.tell(f"the flow's process is gone; another one calls {ENDS[state.type]}")
    ended.hand_over(HookCall(ended, ended.spec, state))
