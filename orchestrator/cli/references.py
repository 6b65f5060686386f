"""What people call things by, as ids: a name where it is unique, or the id itself."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import Any

from ..client import Client
from ..errors import Conflict, NotFound

_MOST = 5


def flow_run_id(client: Client, reference: str) -> str:
    """The id of a flow run, given by id or by its name. Raises NotFound, or Conflict where several share the name."""
    return _id(client, "flow run", "flow-runs", reference, {"name": reference})


def flow_id(client: Client, reference: str) -> str:
    """The id of a flow, given by id or name. Raises NotFound."""
    return _id(client, "flow", "flows", reference, {})


def deployment_id(client: Client, reference: str) -> str:
    """The id of a deployment, given by id, ``flow/name``, or its name where that is unique.

    Raises:
        NotFound, Conflict: There is none, or there are several; the message lists them.
    """
    if "/" in reference:
        return str(client.get(f"deployments/{reference}")["id"])
    return _id(client, "deployment", "deployments", reference, {"name": reference})


def _id(client: Client, kind: str, path: str, reference: str, filters: dict[str, Any]) -> str:
    try:
        return str(uuid.UUID(reference))
    except ValueError:
        pass
    named = (item for item in client.pages(path, {**filters, "limit": 200}) if item["name"] == reference)
    found = list(islice(named, _MOST))
    if not found:
        raise NotFound(f"there is no {kind} {reference!r}; `orchestrator {kind.replace(' ', '-')} ls` lists them")
    if len(found) > 1:
        names = ", ".join(_label(item) for item in found)
        raise Conflict(f"several {kind}s are named {reference!r}; choose one of {names}")
    return str(found[0]["id"])


def _label(item: dict[str, Any]) -> str:
    flow = item.get("flow")
    return f"{flow['name']}/{item['name']}" if flow and "work_queue" in item and "state" not in item else item["id"]
