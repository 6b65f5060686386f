"""One look through a block: what it finds goes to the server in batches, its cursor last.

Whatever goes wrong on the way, the cursor of the look before stays: the next look tells again what this one told, and
the server records things of one key once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import serializers
from ..client import Client, patiently
from ..errors import BlockError
from ..interfaces import Discoverable, Observed, Resource

T = TypeVar("T")

#: Items in one request.
BATCH = 500
#: What one look tells at most: resources, and events.
RESOURCES_MAX, EVENTS_MAX = 10_000, 50_000
#: Largest cursor, as JSON, in bytes.
CURSOR_MAX = 8 * 1024 * 1024
#: Longest id of a resource, in bytes.
ID_MAX = 1000


class Look:
    """A look through a block, by the run that a server started for it."""

    def __init__(self, client: Client, block_id: str) -> None:
        self._client, self._path = client, f"blocks/{block_id}/discovery"
        self.resources = self.events = 0
        self._left_out: list[str] = []
        self._batch: list[dict[str, Any]] = []
        self._unread = 0
        self._is_cut = False

    def run(self, block: Discoverable) -> dict[str, Any]:
        """Look; returns ``{resources, events, vanished, notice}``.

        Raises:
            OrchestratorError: The block cannot be looked through; what was known stays.
        """
        start = self._call(lambda: self._client.get(f"{self._path}/look"))
        self._discover(block)
        cursor = block.observe(start["cursor"], self._emit)
        self._send_events()
        if self._unread:
            self._left_out.append(
                f"{self._unread:,} of {EVENTS_MAX + self._unread:,} events were left out: one look tells "
                f"{EVENTS_MAX:,}; look more often, or let the block see less"
            )
        _check_cursor(cursor)
        notice = "; ".join(self._left_out)
        end = {"cursor": cursor, "found": self.resources, "is_complete": not self._is_cut, "notice": notice[:2000]}
        done = self._call(lambda: self._client.put(f"{self._path}/look", end))
        return {"resources": self.resources, "events": self.events, "vanished": done["vanished"], "notice": notice}

    def _discover(self, block: Discoverable) -> None:
        batch: dict[str, dict[str, Any]] = {}
        for resource in block.discover():
            if self.resources + len(batch) >= RESOURCES_MAX:
                self._is_cut = True
                self._left_out.append(
                    f"there are more than the {RESOURCES_MAX:,} resources that are kept of a block; the first are, "
                    "and none is taken for vanished: let the block see less, such as one folder or schema"
                )
                break
            if len(resource.id.encode()) > ID_MAX:
                self._left_out.append(f"a resource was left out: its id has more than {ID_MAX} bytes")
                continue
            batch[resource.id] = _resource(resource)
            if len(batch) >= BATCH:
                self._send_resources(batch)
        self._send_resources(batch)

    def _send_resources(self, batch: dict[str, dict[str, Any]]) -> None:
        if batch:
            body = {"resources": [*batch.values()]}
            self._call(lambda: self._client.post(f"{self._path}/resources", body))
            self.resources += len(batch)
            batch.clear()

    def _emit(self, seen: Observed) -> None:
        if self.events + len(self._batch) >= EVENTS_MAX:
            self._unread += 1
            return
        if len(seen.resource.id.encode()) > ID_MAX:
            return
        self._batch.append(
            {
                "event": seen.event,
                "resource": _resource(seen.resource),
                "occurred": seen.occurred,
                "payload": seen.payload,
                "key": seen.key,
            }
        )
        if len(self._batch) >= BATCH:
            self._send_events()

    def _send_events(self) -> None:
        if not self._batch:
            return
        body = {"events": self._batch}
        taken = self._call(lambda: self._client.post(f"{self._path}/events", body))
        self.events += len(self._batch)
        if taken["refused"]:
            self._left_out.append(f"an event was refused: {taken['refused'][0]['message']}")
        self._batch = []

    @staticmethod
    def _call(call: Callable[[], T]) -> T:
        return patiently(call)


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "id": resource.id,
        "kind": resource.kind,
        "name": resource.name[:1024],
        "labels": resource.labels,
        "related": [{"id": to.id, "role": to.role} for to in resource.related][:200],
        "volatile": sorted(resource.volatile),
    }


def _check_cursor(cursor: Any) -> None:
    try:
        size = len(serializers.dumps(cursor))
    except (TypeError, ValueError) as error:
        raise BlockError(f"its cursor has no JSON form: {error}") from None
    if size > CURSOR_MAX:
        raise BlockError(
            f"its cursor has {size / 1024**2:.1f} MiB, more than {CURSOR_MAX // 1024**2}: let the block see less"
        )
