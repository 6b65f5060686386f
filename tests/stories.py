"""What acceptance stories do again and again: save blocks, deploy flows, look at what became of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from orchestrator.kinds import block_kinds

from .projects import write_flow
from .stack import Stack


def new_name(word: str) -> str:
    """A name that no other story has."""
    return f"{word}-{uuid.uuid4().hex[:6]}"


def save(stack: Stack, ref: str, **data: Any) -> dict[str, str]:
    """A block ``kind/name``, which the clock does not have looked through; as others refer to it."""
    slug, _, name = ref.partition("/")
    facts = block_kinds.find(slug).type_facts()
    stack.client.post("block-types", facts)
    block = stack.client.post("blocks", {"type": slug, "name": name, "data": data})
    if "discoverable" in facts["interfaces"]:
        stack.client.patch(f"blocks/{ref}/discovery", {"active": False})
    return {"$block": block["id"]}


def deploy(stack: Stack, folder: Path, name: str, body: str, **more: Any) -> str:
    """A deployment ``job/<name>`` of a flow of one file, on the work queue of its name; its id."""
    write_flow(folder, body)
    document = {
        "flow": "job", "name": name, "entrypoint": "flow.py:job", "storage": {"path": str(folder)},
        "work_queue": name, **more,
    }  # fmt: skip
    return str(stack.client.post("deployments", document)["deployment"]["id"])


def start(stack: Stack, name: str, **parameters: Any) -> str:
    """A run of deployment ``job/<name>``."""
    return str(stack.client.post(f"deployments/job/{name}/runs", {"parameters": parameters})["id"])


def events_of(stack: Stack, event: str, resource: str | None = None) -> list[dict[str, Any]]:
    """Stored events of a name, and of a resource, newest first."""
    found = stack.client.pages("events", {"event": event, "limit": 200})
    return [item for item in found if resource in (None, item["resource"]["resource.id"])]


def emit(stack: Stack, event: str, resource: str, **payload: Any) -> None:
    """An event of something that nobody orchestrates."""
    item = {"event": event, "resource": {"resource.id": resource}, "payload": payload}
    stack.client.post("events", [item])
