"""Events as they come from outside; checked one by one, so that a bad one is refused alone and by name."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from ..db.json_text import json_text

#: Largest event, as JSON, in bytes.
EVENT_MAX = 1_500_000
#: The code of one that is larger.
TOO_LARGE = "too-large"
LABELS_MAX, RELATED_MAX = 500, 100
#: Longest id of the resource that an event is about, in bytes: events are found by it.
ID_MAX = 2000

Name = Annotated[str, StringConstraints(min_length=1, max_length=1024, strip_whitespace=True)]
Labels = Annotated[dict[Annotated[str, Field(max_length=1024)], str], Field(max_length=LABELS_MAX)]


class Refusal(Exception):
    """One item cannot be taken: a code for programs, a line for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RelationIn(BaseModel):
    """What one resource is to another, such as the source of it; ``source`` is the event's own where none is given."""

    model_config = ConfigDict(extra="forbid")

    source: Name | None = None
    target: Name
    role: Name


class EventIn(BaseModel):
    """One event: a thing happened to ``resource``, with ``related`` ones in their roles."""

    model_config = ConfigDict(extra="forbid")

    id: uuid.UUID | None = None
    event: Name
    occurred: AwareDatetime | None = None
    resource: Labels
    related: Annotated[list[Labels], Field(max_length=RELATED_MAX, default_factory=list)]
    payload: Annotated[dict[str, Any], Field(default_factory=dict)]
    follows: uuid.UUID | None = None
    kind: Literal["action", "operation", "heartbeat", "relationship"] = "operation"
    relations: Annotated[list[RelationIn], Field(max_length=RELATED_MAX, default_factory=list)]


_ADAPTER = TypeAdapter(EventIn)


def is_harmless(body: bytes) -> bool:
    """Whether no event in a body can be too large, or hold U+0000, so that they need not be looked through one by one.

    Written anew, numbers may take some times the room that they had.
    """
    return len(body) <= EVENT_MAX // 8 and b"\\u0000" not in body


def read_event(raw: Any, is_harmless: bool = False) -> EventIn:
    """Check one decoded event; ``is_harmless``: as the function of that name says of the body that it came in.

    Raises:
        Refusal: Its code is ``invalid``, ``too-large`` or ``null-character``.
    """
    try:
        event = _ADAPTER.validate_python(raw)
        encoded = b"" if is_harmless else json_text(raw).encode()
    except ValidationError as error:
        raise Refusal("invalid", explain(error)) from None
    except (TypeError, RecursionError, UnicodeError) as error:
        raise Refusal("invalid", f"it has no JSON form that can be stored: {error}") from None
    _check_resources(event)
    if len(encoded) > EVENT_MAX:
        raise Refusal(TOO_LARGE, f"it has {len(encoded):,} bytes; at most {EVENT_MAX:,} are taken")
    if b"\\u0000" in encoded and holds_null(raw):
        raise Refusal("null-character", "it holds the character U+0000, which Postgres cannot store: remove it")
    return event


def _check_resources(event: EventIn) -> None:
    if not event.resource.get("resource.id"):
        raise Refusal("invalid", 'resource: give it an id, as in {"resource.id": "s3.bucket.sales"}')
    name = event.resource["resource.id"]
    if len(name) * 4 > ID_MAX and len(name.encode()) > ID_MAX:
        raise Refusal("invalid", f"resource: its resource.id has more than {ID_MAX:,} bytes: name it more shortly")
    for index, related in enumerate(event.related):
        for label in ("resource.id", "resource.role"):
            if not related.get(label):
                raise Refusal("invalid", f"related.{index}: the label {label} is missing")


def holds_null(value: Any) -> bool:
    """Whether a text with U+0000 lies anywhere in a decoded JSON value."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_null(key) or holds_null(item) for key, item in value.items())
    if isinstance(value, list):
        return any(holds_null(item) for item in value)
    return False


def explain(error: ValidationError) -> str:
    """The first thing wrong, as one line ``field: what``."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
