"""Events as server-sent events: what ``GET events/stream`` answers with."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from flask import Response
from sqlalchemy.exc import SQLAlchemyError

from ...errors import InvalidInput
from ...serializers import dumps
from .. import event_feed
from ..db.session import reading
from ..schemas.event_views import EventSchema
from ..services.recording.events import EventFilter
from . import holding
from .errors import Refused

#: Seconds without an event after which a comment keeps the connection open, and shows whether anybody is there.
IDLE_S = 5.0
#: Seconds after which a stream ends; who follows it comes again, with the last id, and shows the key again.
LONGEST_S = 900.0
#: Milliseconds after which a browser comes again.
_RETRY_MS = 1000
_log = logging.getLogger(__name__)
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class _Stream:
    """What the server writes out; closed by it when the client goes away, or at the end."""

    def __init__(self, start: event_feed.Place | None, wanted: EventFilter) -> None:
        self._rows = event_feed.follow(start, wanted, IDLE_S, time.monotonic() + LONGEST_S)
        self._lines = self._written()
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def _written(self) -> Iterator[bytes]:
        yield b"retry: %d\n\n" % _RETRY_MS
        try:
            for rows, place in self._rows:
                yield b"".join(_line(row) for row in rows) or b": nothing new\nid: %s\n\n" % str(place).encode()
        except SQLAlchemyError as error:
            # The client comes again, and goes on where it was.
            _log.warning("a stream of events ends: %s", str(error).splitlines()[0])

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._lines.close()  # type: ignore[attr-defined]
            self._rows.close()  # type: ignore[attr-defined]
            holding.leave(4)


def stream(wanted: EventFilter, since: datetime | None, after: str) -> Response:
    """The answer. Raises Refused (503) when too many requests are held already, InvalidInput for an ``after`` that is
    no place of a stream, nor an event.
    """
    start = None
    with reading() as session:
        try:
            if after:
                start = event_feed.read_place(session, after)
            elif since is not None:
                start = event_feed.place_since(session, since)
        except ValueError:
            problem = "Must be an id that the stream gave, or that of an event."
            raise InvalidInput(f"after: {problem}", {"after": [problem]}) from None
    if not holding.take(4):
        raise Refused(503, "too many requests are held here: ask again", {"Retry-After": "2"})
    return Response(_Stream(start, wanted), mimetype="text/event-stream", headers=_HEADERS)


def _line(row: Any) -> bytes:
    shown = {name: getattr(row, name) for name in EventSchema._declared_fields}
    return b"id: %s\ndata: %s\n\n" % (str(event_feed.key(row)).encode(), dumps(shown))
