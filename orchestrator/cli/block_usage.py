"""Who uses a block, for commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..client import Client
from ..errors import NotFound


def usage_of(client: Client, block_id: str) -> dict[str, Any]:
    """What ``GET blocks/{id}/usage`` tells; nothing where the server is too old to tell."""
    try:
        return dict(client.get(f"blocks/{block_id}/usage"))
    except NotFound:
        return {}


def usage_lines(usage: Mapping[str, Any]) -> list[str]:
    """A line for each user: what it is, by which field, and through which other block, if not itself."""
    lines = []
    for item in usage.get("blocks", ()):
        address = f"{item['type']}/{item['name'] or item['id']}"
        lines.append(f"block {address} (field {item['field']}{_through(item)})")
    for item in usage.get("deployments", ()):
        lines.append(f"deployment {_full_name(item)} (as {item['as']}{_through(item)})")
    return lines + [f"trigger {item.get('name', item)}" for item in usage.get("triggers", ())]


def load_lines(usage: Mapping[str, Any]) -> list[str]:
    """A line for each of those who loaded it in the last 30 days."""
    lines = []
    for item in usage.get("loads", ()):
        who = item["who"].get("name") or item["who"].get("type")
        where = " of ".join(str(part) for part in (item.get("deployment"), item.get("flow")) if part)
        lines.append(f"{who}{f' ({where})' if where else ''}: {item['count']} times, last {item['last']}")
    return lines


def dependents(client: Client, block_id: str) -> str:
    """What follows the news that a block changed: who sees it at the next load."""
    lines = usage_lines(usage_of(client, block_id))
    return f"; from their next load on it is used by {', '.join(lines)}" if lines else ""


def _through(item: Mapping[str, Any]) -> str:
    return f", through {item['through']}" if item.get("through") else ""


def _full_name(item: Mapping[str, Any]) -> str:
    flow = item.get("flow")
    name = flow.get("name") if isinstance(flow, Mapping) else flow
    return f"{name}/{item['name']}" if name else str(item["name"])
