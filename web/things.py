"""Where a resource's id leads: our own things have pages of their own, everything else has a resource's page."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flask import url_for

#: What ids of our own things begin with.
OURS = "orchestrator."

#: Kinds with a page each: the endpoint, and the name of its argument.
_PAGES = {
    "flow-run": ("web.run.show", "run_id"),
    "deployment": ("web.deployment.show", "deployment_id"),
    "block": ("web.block.show", "block_id"),
    "expectation": ("web.expectations.one", "expectation_id"),
    "trigger": ("web.triggers.one", "trigger_id"),
    "firing": ("web.firings.one", "firing_id"),
    "action": ("web.actions.one", "action_id"),
}
#: Kinds that a list shows.
_LISTS = {"work-queue": "web.queues.show", "agent": "web.agents.show", "hold": "web.holds.show"}

#: An icon for each kind of ours; other systems' by the first word of their kind.
ICONS = {
    "flow-run": "player-play",
    "task-run": "subtask",
    "deployment": "rocket",
    "flow": "route",
    "schedule": "calendar-time",
    "block": "puzzle",
    "expectation": "calendar-time",
    "chain-definition": "link",
    "hold": "hand-stop",
    "block-type": "category",
    "work-queue": "stack-2",
    "agent": "robot",
    "variable": "variable",
    "api-key": "key",
    "trigger": "bolt",
    "firing": "bell-ringing",
    "action": "checklist",
    "tag": "tag",
    "sql": "table",
    "postgres": "table",
    "table": "table",
    "dataset": "table",
    "s3": "bucket",
    "bucket": "bucket",
    "object": "file-text",
    "file": "file-text",
    "folder": "folder",
    "docker": "brand-docker",
    "kubernetes": "server-2",
    "job": "subtask",
    "queue": "stack-2",
    "git": "git-branch",
    "database": "database",
    "container": "box",
    "image": "box",
    "pod": "box",
}


def kind_of(identifier: str) -> str:
    """``deployment`` of ``orchestrator.deployment.<id>``; empty for what is not ours."""
    return identifier[len(OURS) :].partition(".")[0] if identifier.startswith(OURS) else ""


def address_of(identifier: str) -> str:
    """The page of what has this id."""
    kind = kind_of(identifier)
    if kind in _PAGES and (key := _uuid_of(identifier)) is not None:
        endpoint, argument = _PAGES[kind]
        values: dict[str, Any] = {argument: key}
        return url_for(endpoint, **values)
    if kind in _LISTS:
        return url_for(_LISTS[kind])
    return url_for("web.resource.show", id=identifier)


def own_page(identifier: str) -> str | None:
    """The page that one of our own things has beside its page as a resource."""
    kind = kind_of(identifier)
    return address_of(identifier) if kind in _PAGES or kind in _LISTS else None


def icon_of(kind: str) -> str:
    """The name of a kind's icon."""
    words = kind.lower().replace("_", "-").split(".")
    return ICONS.get(kind) or next((ICONS[word] for word in reversed(words) if word in ICONS), "hexagon")


def name_of(labels: Mapping[str, Any]) -> str:
    """What people call the resource that has these labels."""
    return str(labels.get("resource.name") or labels.get("resource.id") or "")


def _uuid_of(identifier: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(identifier.rpartition(".")[2])
    except ValueError:
        return None
