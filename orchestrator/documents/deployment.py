"""One deployment as a document: what files, REST and the dashboard have in common, and how it is written as YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import yaml

from ..timing import plans

#: What may become of a new run that is due while its deployment has as many as it may.
COLLISIONS = ("enqueue", "cancel-new")


@dataclass(frozen=True)
class Document:
    """One deployment, as its YAML document tells it."""

    flow: str
    name: str
    entrypoint: str
    description: str = ""
    tags: list[str] = field(default_factory=list)
    version: str = ""
    #: ``{block: TYPE/NAME, path, snapshot}``; None: no storage, the code is on the agents' computers. A block of the
    #: deployment's own is ``{type, data}`` in place of its address.
    storage: dict[str, Any] | None = None
    #: ``{block: TYPE/NAME, overrides: {field: value}}``; None: a plain process.
    infrastructure: dict[str, Any] | None = None
    #: ``{block: TYPE/NAME, path}``; None: large results go where the setting of the agent says.
    results: dict[str, Any] | None = None
    #: ``{block: TYPE/NAME, on: [state types]}`` each.
    notifications: list[dict[str, Any]] = field(default_factory=list)
    #: Trigger documents. None: the file says nothing of triggers, and those on the server stay.
    triggers: list[dict[str, Any]] | None = None
    #: Expectation documents; None as with triggers.
    expectations: list[dict[str, Any]] | None = None
    #: Ids of resources, such as ``postgres://house/sales/orders``.
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    work_queue: str = "default"
    #: How often a run that crashed is queued again.
    crash_retries: int = 0
    #: How many of its runs may go on at once; None: any number.
    concurrency_limit: int | None = None
    #: One of :data:`COLLISIONS`.
    collision: str = "enqueue"
    #: Only agents that have all of these labels take its runs.
    labels: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    #: None: the file says nothing of schedules, and those on the server stay; an empty list removes them.
    schedules: list[dict[str, Any]] | None = None
    parameter_schema: dict[str, Any] = field(default_factory=dict)
    #: ``file:line`` that it was read from.
    source: str = field(default="", compare=False)

    @property
    def address(self) -> str:
        """``flow/name``."""
        return f"{self.flow}/{self.name}"

    def body(self) -> dict[str, Any]:
        """What ``POST deployments`` takes."""
        body = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "source"}
        for name in ("infrastructure", "results"):
            if body[name] is None:
                del body[name]
        for name in ("triggers", "expectations"):
            if body[name] is None:
                del body[name]
        if self.schedules is None:
            del body["schedules"]
        else:
            body["schedules"] = [_schedule_body(item) for item in self.schedules]
        return body


def render(document: Document) -> str:
    """A document as YAML: always the same keys in the same order, each with its comment."""
    parts = [f"# Deployment {document.address}. Create or update it with: orchestrator deployment apply <this file>\n"]
    for item in fields(Document):
        value = getattr(document, item.name)
        if item.name in _COMMENTS and not (item.name in ("schedules", "triggers", "expectations") and value is None):
            parts.append("\n" + _COMMENTS[item.name] + _dump({item.name: value}))
    if document.schedules is None:
        parts.append("\n" + _COMMENTS["schedules"] + _SCHEDULE_EXAMPLE)
    return "".join(parts)


def not_json(value: Any) -> str:
    """What of a value JSON cannot hold, in words; empty when it can hold all of it."""
    if isinstance(value, dict):
        strange = next((key for key in value if not isinstance(key, str)), None)
        return f"the key {strange!r}" if strange is not None else not_json([*value.values()])
    if isinstance(value, list):
        return next((wrong for item in value if (wrong := not_json(item))), "")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return "" if value is None or isinstance(value, (str, int, float, bool)) else f"a {type(value).__name__}"


_COMMENTS = {
    "flow": "# What is run, and the name that this deployment of it is addressed by: flow/name.\n",
    "name": "",
    "description": "",
    "tags": "",
    "version": "",
    "entrypoint": "# file:function, below the project's root.\n",
    "storage": "# Where the code lies. The snapshot is the hash of all its files; `deployment build` writes it.\n",
    "infrastructure": "# What runs are executed in: a block, and values laid over its fields. null: a plain process.\n",
    "results": "# Where results go that are too large for the run: a block, a folder in it. null: as agents say.\n",
    "notifications": "# Whom to tell when a run comes into one of these states; without `on`: failed and crashed.\n",
    "triggers": "# What is done when events happen, or fail to. Without this key they stay; with [] they go.\n",
    "expectations": "# What should happen by when. Without this key they stay; with [] they go.\n",
    "reads": "# Resources that runs read and write, by their ids: for the map, holds, and who is told what is late.\n",
    "writes": "",
    "work_queue": "# Agents of this queue take the runs: orchestrator agent start -q <queue>\n",
    "crash_retries": "# How often a run that CRASHED is queued again, beside the retries of its code.\n",
    "concurrency_limit": "# How many of its runs may go on at once (null: any number). One that is due while so many\n"
    "# do waits (enqueue), or is cancelled (cancel-new).\n",
    "collision": "",
    "labels": "# Only agents that were started with all of these labels take its runs.\n",
    "parameters": "# Laid over the defaults of the flow's signature.\n",
    "schedules": (
        "# When it runs by itself. Without this key the schedules on the server stay; with [] they are removed.\n"
        "# Each has one of cron, interval (seconds, or 90s, 5m, 1h30m, 2d) and rrule, in a timezone.\n"
    ),
    "parameter_schema": "# The parameters that the flow's signature takes; `deployment build` writes it.\n",
}
_SCHEDULE_EXAMPLE = """\
# schedules:
#   - slug: nightly
#     cron: 30 2 * * *
#     timezone: Europe/Berlin
"""


def _schedule_body(item: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule as the API takes it: durations in seconds, times as instants, and what is not as it is anyway."""
    own = {key: value for key, value in item.items() if key not in plans.ALL_FIELDS}
    plan = plans.read({key: value for key, value in item.items() if key in plans.ALL_FIELDS})
    return {**own, **plan.brief()}


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, and nothing is written by reference."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
