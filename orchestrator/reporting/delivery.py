"""Handing batches of reports to the API, so that one bad item never holds up or takes down the others.

The server keeps a high-water mark per producer, so sending twice is harmless; it refuses single items by name. What is
left to the client: a batch that is refused as a whole is halved until the culprit is alone, and a producer whose mark
the server has lost starts again under a derived name.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Any

from urllib3.exceptions import ProtocolError

from ..client import Answer, Client
from ..clock import now, to_text
from ..errors import ApiUnreachable
from ..serializers import loads
from . import spool
from .spool import Batch

log = logging.getLogger("orchestrator.reporting")

#: Seconds to wait for the answer to one batch.
TIMEOUT = 15.0
#: Seconds to wait before trying again when the API refuses us rather than what we say.
SHUT_OUT = 30.0
#: Answers that blame the batch; every other failure blames the moment.
_BLAMED = frozenset({400, 413, 415, 422})


class Away(Exception):
    """The API cannot take reports now."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Delivery:
    """Delivers batches; what the server will never take is written to ``refused.jsonl`` in ``folder``."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self._folder = folder
        #: producer -> sequences of ours that the server shall not see, as it refused them with their whole batch
        self._skipped: dict[str, set[int]] = {}
        #: producer -> (the name it goes by now, what to take off its sequences)
        self._renamed: dict[str, tuple[str, int]] = {}
        #: Items that the server would not take.
        self.refused = 0

    def deliver(self, batches: list[Batch]) -> None:
        """Hand over batches, each producer's in order. Returns when the server has them. Raises :class:`Away`."""
        sent = [(batch, self._wire(batch)) for batch in batches]
        body = b",".join(wire.encode() for _, wire in sent if wire.items)
        if not body:
            return
        answer = self._post(b'{"batches":[' + body + b"]}")
        if answer.status in _BLAMED:
            self._halve(batches, answer)
        elif answer.status >= 300 or not isinstance(answer.data, dict):
            raise _away(answer, self.client.api_url)
        else:
            self._settle(sent, answer.data)

    def _post(self, body: bytes) -> Answer:
        try:
            try:
                return self.client.exchange("POST", "reports", body, timeout=TIMEOUT)
            except ApiUnreachable as error:
                if not isinstance(error.__cause__, ProtocolError):
                    raise
                # a kept connection that the server has just closed: harmless to send again
                return self.client.exchange("POST", "reports", body, timeout=TIMEOUT)
        except ApiUnreachable as error:
            raise Away(str(error)) from None

    def _wire(self, batch: Batch) -> Batch:
        skipped = self._skipped.get(batch.producer, ())
        items = [item for place, item in enumerate(batch.items, batch.first) if place not in skipped]
        name, offset = self._renamed.get(batch.producer, (batch.producer, 0))
        return Batch(name, batch.first - sum(place < batch.first for place in skipped) - offset, items)

    def _halve(self, batches: list[Batch], answer: Answer) -> None:
        parts = [Batch(b.producer, n, [item]) for b in batches for n, item in enumerate(b.items, b.first)]
        parts = [part for part in parts if part.first not in self._skipped.get(part.producer, ())]
        if len(parts) > 1:
            middle = len(parts) // 2
            self.deliver(joined(parts[:middle]))
            self.deliver(joined(parts[middle:]))
            return
        message = answer.data.get("message") if isinstance(answer.data, dict) else answer.data
        self._refuse(parts[0].items[0], {"code": answer.status, "message": message})
        self._skipped.setdefault(parts[0].producer, set()).add(parts[0].first)

    def _settle(self, sent: list[tuple[Batch, Batch]], answer: dict[str, Any]) -> None:
        accepted, refused = answer.get("accepted") or {}, answer.get("refused") or []
        gaps = {str(entry.get("producer")) for entry in refused if entry.get("code") == "gap"}
        named = {(str(entry.get("producer")), entry.get("sequence")): entry for entry in refused}
        again = []
        for batch, wire in sent:
            if wire.producer in gaps:
                again.append(batch)
                continue
            last = wire.first + len(wire.items) - 1
            for place, item in enumerate(wire.items, wire.first):
                if entry := named.get((wire.producer, place)):
                    self._refuse(item, {"code": entry.get("code"), "message": entry.get("message")})
            while last >= wire.first and (wire.producer, last) in named:
                last -= 1
            if last >= wire.first and int(accepted.get(wire.producer, 0)) < last:
                raise Away("the API did not acknowledge all that it was sent")
        if again:
            self._rename(again)

    def _rename(self, batches: list[Batch]) -> None:
        """The server lacks what came before (it was restored from a backup): go on under a name that it can check.

        The name is derived from the first batch, so that a replay of the same spool finds the same one again.
        """
        for producer in {batch.producer for batch in batches}:
            if producer in self._renamed:
                raise Away("the API misses earlier reports of this process, again")
            first = next(batch for batch in batches if batch.producer == producer).first
            log.warning("the API has lost what was reported before; reporting goes on with what it lacks")
            skipped = sum(place < first for place in self._skipped.get(producer, ()))
            name = uuid.uuid5(uuid.UUID(producer), str(first))
            self._renamed[producer] = (str(name), first - 1 - skipped)
        self.deliver(batches)

    def _refuse(self, item: bytes, facts: dict[str, Any]) -> None:
        if self.refused == 0:
            log.warning("the API refused a report: %s (kept in %s)", facts.get("message"), self._folder / spool.REFUSED)
        self.refused += 1
        spool.refuse(self._folder, {"at": to_text(now()), **facts, "item": loads(item)})


def joined(batches: list[Batch]) -> list[Batch]:
    """Merge batches that follow one another in their producer's order."""
    merged: dict[str, list[Batch]] = {}
    for batch in batches:
        row = merged.setdefault(batch.producer, [])
        if row and row[-1].first + len(row[-1].items) == batch.first:
            row[-1] = Batch(batch.producer, row[-1].first, row[-1].items + batch.items)
        else:
            row.append(batch)
    return [batch for row in merged.values() for batch in row]


def _away(answer: Answer, api_url: str) -> Away:
    if answer.status in {401, 403}:
        return Away(f"the API at {api_url} refuses our key: check ORCHESTRATOR_API_KEY", SHUT_OUT)
    if answer.status == 404 or answer.status < 400:
        return Away(f"{api_url} takes no reports: does API_URL name an Orchestrator server?", SHUT_OUT)
    return Away(f"the API at {api_url} answered {answer.status}", answer.retry_after)
