"""Where "automate this" leads: the page that makes a trigger, filled in with what is known where one stands."""

from __future__ import annotations

from urllib.parse import urlencode

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
    known = {"event": event, "resource": resource, "deployment": deployment}
    query = urlencode({name: value for name, value in known.items() if value})
    return f"{url_for('web.triggers.show')}/new{'?' if query else ''}{query}"


def automate_event(event: Event) -> str:
    """The address of a new trigger for such events; of a run it is the deployment that counts: none comes twice."""
    named = (str(labels.get("resource.name", "")) for labels in event.related if _is_deployment(labels))
    deployment = next((name for name in named if "/" in name), "")
    passing = things.kind_of(event.resource_id) in {"flow-run", "task-run"}
    return automate(event.event, "" if passing else event.resource_id, deployment)


def _is_deployment(labels: dict[str, str]) -> bool:
    return things.kind_of(str(labels.get("resource.id", ""))) == "deployment"
