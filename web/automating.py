"""Where "automate this" leads: the page that makes a trigger, filled in with what is known where one stands."""

from __future__ import annotations

from typing import Any

from flask import url_for

from orchestrator.server.db.models import Event

from . import things


def automate(event: str = "", resource: str = "", deployment: str = "") -> str:
    """The address of a new trigger.

    Args:
        event: Name of an event.
        resource: Id of a resource.
        deployment: ``flow/name``.
    """
    known: dict[str, Any] = {"event": event, "resource": resource, "deployment": deployment}
    return url_for("web.trigger_form.new", **{name: value for name, value in known.items() if value})


def automate_event(event: Event) -> str:
    """The address of a new trigger for such events; of a run it is the deployment that counts: none comes twice."""
    passing = things.kind_of(event.resource_id) in {"flow-run", "task-run"}
    return automate(event.event, "" if passing else event.resource_id, _deployment(event))


def _deployment(event: Event) -> str:
    """``flow/name`` of the deployment that an event is related to; empty where that cannot be told."""
    names = {things.kind_of(str(labels.get("resource.id", ""))): things.name_of(labels) for labels in event.related}
    name = names.get("deployment", "")
    if "/" in name or not name:
        return name
    return f"{names['flow']}/{name}" if names.get("flow") else ""
