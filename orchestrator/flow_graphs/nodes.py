"""What a graph of a flow consists of."""

from __future__ import annotations

import re
from dataclasses import dataclass

TASK, FLOW, PARAMETER, QUESTION = "task", "flow", "parameter", "question"
DATA, WAIT = "data", "wait_for"

#: Characters of a name that are drawn.
LABEL_MAX = 40
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


@dataclass(frozen=True)
class Node:
    """A task run, a subflow, a parameter, or a question to people.

    Attributes:
        id: Its id within the graph.
        name: What it is called.
        kind: ``task``, ``flow``, ``parameter`` or ``question``: where the flow waits for people or messages.
        times: How many runs it stands for: 1; more where it is mapped; 0: nobody can tell before it runs.
    """

    id: str
    name: str
    kind: str = TASK
    times: int = 1

    @property
    def label(self) -> str:
        """What is drawn: the name, cut when it is very long, and how many there are of it."""
        name = _UNSEEN.sub(" ", self.name).strip() or "?"
        short = name if len(name) <= LABEL_MAX else name[: LABEL_MAX - 1] + "…"
        return short if self.times == 1 else f"{short} × {self.times or 'n'}"


@dataclass(frozen=True)
class Edge:
    """One waits for the other: for its ``data``, or because of ``wait_for``."""

    source: str
    target: str
    kind: str = DATA
