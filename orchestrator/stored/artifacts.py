"""Artifacts: what a run shows to people, beside its result."""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import context
from ..client import Client, patiently
from ..clock import from_text, now, to_text
from ..errors import InvalidInput
from ..ids import uuid7
from ..observing import tracking

#: Largest image that is kept itself, in bytes.
IMAGE_MAX = 256 * 1024
#: How images begin, by their kind.
_IMAGES = {
    "png": rb"\x89PNG\r\n\x1a\n", "jpeg": rb"\xff\xd8\xff", "gif": rb"GIF8[79]a", "webp": rb"RIFF.{4}WEBP",
}  # fmt: skip

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,199}")


def create_markdown_artifact(markdown: str, key: str | None = None, description: str = "") -> uuid.UUID:
    """Show markdown.

    Args:
        markdown: The text.
        key: Artifacts of one key form a history: lower-case letters, digits and hyphens.
        description: For people.

    Returns:
        The artifact's id.

    Raises:
        InvalidInput: The key or the content does not fit.
    """
    if not isinstance(markdown, str):
        raise InvalidInput(f"markdown is a {type(markdown).__name__}: it has to be a text")
    return _create("markdown", markdown, key, description)


def create_table_artifact(
    table: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]] | Mapping[str, Sequence[Any]],
    key: str | None = None,
    description: str = "",
) -> uuid.UUID:
    """Show a table: a list of dicts, a list of rows the first of which holds the headings, or a dict of columns.

    Further arguments, result and errors as in :func:`create_markdown_artifact`.
    """
    return _create("table", _rows(table), key, description)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str = ""
) -> uuid.UUID:
    """Show a link; ``link_text`` is what is read in its place. Else as :func:`create_markdown_artifact`."""
    if not isinstance(link, str) or not re.match(r"(https?|ftp|s3|gs|mailto|file):", link):
        raise InvalidInput(f"link is {link!r}: it has to begin with https:// or another known scheme")
    return _create("link", {"url": link, "text": link_text or link}, key, description)


def create_image_artifact(
    image_url: str | None = None, key: str | None = None, description: str = "", *, data: bytes | None = None
) -> uuid.UUID:
    """Show an image: one that lies at an address, or a small one itself.

    Args:
        image_url: Its address, with https:// or http://. Browsers show a link to it.
        data: The image in place of an address: PNG, JPEG, GIF or WebP of at most 256 KiB.

    Further arguments, result and errors as in :func:`create_markdown_artifact`.
    """
    if (image_url is None) == (data is None):
        raise InvalidInput("give an image_url or data, one of them")
    if data is not None:
        return _create("image", {"url": _inline(data)}, key, description)
    if not isinstance(image_url, str) or not re.match(r"https?://", image_url):
        raise InvalidInput(f"image_url is {image_url!r}: it has to begin with https:// or http://")
    return _create("image", {"url": image_url}, key, description)


def create_progress_artifact(progress: float, key: str | None = None, description: str = "") -> uuid.UUID:
    """Show how far something is: 0 to 100; :func:`update_progress_artifact` moves it on.

    Further arguments, result and errors as in :func:`create_markdown_artifact`.
    """
    identifier = _create("progress", _share(progress), key, description)
    _bars.add(identifier, key, description, _share(progress))
    return identifier


def update_progress_artifact(artifact_id: uuid.UUID, progress: float, description: str | None = None) -> None:
    """Move a progress on, where this process made it.

    It may be called often: what changes by less than a hundredth within half a second is not sent.

    Args:
        artifact_id: What :func:`create_progress_artifact` returned.
        progress: 0 to 100.
        description: In place of the one that it has; None: that stays.

    Raises:
        InvalidInput: The value does not fit, or this process made no such progress.
    """
    share = _share(progress)
    bar = _bars.find(artifact_id)
    if bar is None:
        raise InvalidInput(f"artifact_id is {artifact_id}: this process made no such progress, or very long ago")
    if bar.moves(share, description):
        _send(artifact_id, "progress", bar.share, bar.key, bar.description)


@dataclass(frozen=True)
class Artifact:
    """An artifact, as the API keeps it.

    Attributes:
        type: ``markdown``, ``table``, ``link``, ``image`` or ``progress``.
        data: A text, a list of dicts, ``{"url", "text"}``, ``{"url"}``, or a number.
        created: When it was made; ``updated``: told anew, None: never.
    """

    id: uuid.UUID
    key: str | None
    type: str
    description: str
    data: Any
    flow_run_id: uuid.UUID | None
    task_run_id: uuid.UUID | None
    created: datetime
    updated: datetime | None

    @classmethod
    def get(cls, key: str) -> Artifact | None:
        """The newest artifact of a key; None: there is none.

        It asks the API, so that what this process told a moment ago may be missing.
        """
        client = Client.from_settings()
        found = patiently(lambda: client.get("artifacts", {"key": key, "limit": 1}))["items"]
        return cls._read(found[0]) if found else None

    @classmethod
    def _read(cls, told: Mapping[str, Any]) -> Artifact:
        ids = {name: uuid.UUID(told[name]) if told[name] else None for name in ("flow_run_id", "task_run_id")}
        return cls(
            id=uuid.UUID(told["id"]), key=told["key"], type=told["type"], description=told["description"],
            data=told["data"], created=from_text(told["created"]),
            updated=from_text(told["updated"]) if told["updated"] else None, **ids,
        )  # fmt: skip


class _Bar:
    """A progress that this process made."""

    __slots__ = ("description", "key", "sent", "sent_at", "share")

    def __init__(self, key: str | None, description: str, share: float) -> None:
        self.key, self.description, self.share = key, description, share
        self.sent, self.sent_at = share, time.monotonic()

    def moves(self, share: float, description: str | None) -> bool:
        """Take over a new value; tells whether it is worth a report."""
        is_new = description is not None and description != self.description
        self.description = self.description if description is None else description
        self.share = share
        at = time.monotonic()
        if not is_new and (
            share == self.sent or (share < 100 and abs(share - self.sent) < 1 and at - self.sent_at < 0.5)
        ):
            return False
        self.sent, self.sent_at = share, at
        return True


class _Bars:
    """Those of this process, the last of them."""

    MOST = 10_000

    def __init__(self) -> None:
        self._bars: dict[uuid.UUID, _Bar] = {}
        self._lock = threading.Lock()

    def add(self, identifier: uuid.UUID, key: str | None, description: str, share: float) -> None:
        with self._lock:
            if len(self._bars) >= self.MOST:
                self._bars.pop(next(iter(self._bars)))
            self._bars[identifier] = _Bar(key, description, share)

    def find(self, identifier: uuid.UUID) -> _Bar | None:
        return self._bars.get(identifier)


_bars = _Bars()


def _share(progress: float) -> float:
    if not isinstance(progress, (int, float)) or isinstance(progress, bool) or not 0 <= progress <= 100:
        raise InvalidInput(f"progress is {progress!r}: it has to be a number from 0 to 100")
    return float(progress)


def _inline(data: bytes) -> str:
    if not isinstance(data, (bytes, bytearray)):
        raise InvalidInput(f"data is a {type(data).__name__}: it has to be the bytes of an image")
    if len(data) > IMAGE_MAX:
        raise InvalidInput(
            f"data has {len(data):,} bytes, and at most {IMAGE_MAX:,} are kept: store it, and give its address"
        )
    kind = next((kind for kind, pattern in _IMAGES.items() if re.match(pattern, data, re.DOTALL)), None)
    if kind is None:
        raise InvalidInput("data is no PNG, JPEG, GIF or WebP")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _create(kind: str, data: Any, key: str | None, description: str) -> uuid.UUID:
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise InvalidInput(f"key is {key!r}: it has to consist of lower-case letters, digits and hyphens")
    identifier = uuid7()
    _send(identifier, kind, data, key, description)
    return identifier


def _send(identifier: uuid.UUID, kind: str, data: Any, key: str | None, description: str) -> None:
    run, task, sink = context.owner(), context.task_run(), tracking.present_sink()
    if sink is not None:
        sink.put(
            {
                "kind": "artifact",
                "id": str(identifier),
                "key": key,
                "type": kind,
                "description": description or "",
                "data": data,
                "flow_run_id": run.id if run is not None else None,
                "task_run_id": task.id if task is not None else None,
                "at": to_text(now()),
            }
        )


def _rows(table: Any) -> list[dict[str, Any]]:
    if isinstance(table, Mapping):
        columns = {str(name): list(values) for name, values in table.items() if _is_row(values)}
        if len(columns) != len(table) or len({len(values) for values in columns.values()}) > 1:
            raise InvalidInput("table: each column has to be a list, and all of one length")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    rows = list(table) if _is_row(table) else None
    if rows is not None and all(isinstance(row, Mapping) for row in rows):
        return [{str(name): value for name, value in row.items()} for row in rows]
    if not rows or not all(_is_row(row) and len(row) == len(rows[0]) for row in rows):
        raise InvalidInput("table: it has to be a list of dicts, a list of equally long lists, or a dict of lists")
    head = [str(name) for name in rows[0]]
    return [dict(zip(head, row, strict=True)) for row in rows[1:]]


def _is_row(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__")
