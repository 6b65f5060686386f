"""CloudEvents 1.0 over HTTP, as events of our own: binary, structured and batched content, JSON format.

The mapping is pure. An event is named by its ``type``, and happened to its ``source`` with its ``subject`` below it;
``source`` and ``id`` together make our id, so that a redelivery is the same event.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from ..clock import to_text
from .foreign_ids import foreign_id
from .schemas.events import Refusal

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
#: Every structured or batched format, also those that are not read here.
_FORMATS = ("application/cloudevents", "application/cloudevents-batch")
_HEADER = "ce-"
_CORE = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})
_DATA = ("data", "data_base64")
_NAME = re.compile(r"[a-z0-9]+")
_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


def media_type(content_type: str) -> str:
    """``application/json`` of ``application/json; charset=utf-8``."""
    return content_type.partition(";")[0].strip().lower()


def is_structured(content_type: str) -> bool:
    """Whether a body of this type is a CloudEvent, or a batch of them, in any format."""
    kind = media_type(content_type)
    return kind in _FORMATS or kind.startswith(tuple(f"{name}+" for name in _FORMATS))


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the header fields say that the body is the data of a CloudEvent."""
    return _HEADER + "specversion" in {name.lower() for name in headers}


def from_headers(headers: Iterable[tuple[str, str]], content_type: str, body: bytes) -> dict[str, Any]:
    """A CloudEvent in binary mode, in the form of the structured mode. Raises Refusal where its data cannot be read."""
    found: dict[str, Any] = {}
    for name, value in headers:
        if name.lower().startswith(_HEADER):
            found[name.lower()[len(_HEADER) :]] = unquote(value)
    if content_type:
        found["datacontenttype"] = content_type
    if body:
        found.update(_data_of(media_type(content_type), body))
    return found


def as_event(raw: Any, now: datetime) -> dict[str, Any]:
    """Our event of a CloudEvent in its JSON form. Raises Refusal, naming the attribute that cannot be used."""
    if not isinstance(raw, dict):
        raise Refusal("invalid", f"a CloudEvent is a JSON object; this is {_kind(raw)}")
    attributes = {name: value for name, value in raw.items() if name not in _DATA and value is not None}
    _check(attributes)
    occurred = _time(attributes.get("time"))
    source, subject = attributes["source"], attributes.get("subject", "")
    resource = {
        "resource.id": f"{source.rstrip('/')}/{subject.lstrip('/')}" if subject else source,
        "resource.name": subject or source,
    }
    resource.update({f"cloudevents.{name}": _text(value) for name, value in attributes.items() if _is_label(name)})
    event: dict[str, Any] = {
        "id": str(foreign_id(occurred, f"cloudevents\n{source}\n{attributes['id']}", now)),
        "event": attributes["type"],
        "resource": resource,
        "payload": {**_payload(raw), "cloudevents": {"id": attributes["id"]}},
    }
    if occurred is not None:
        event["occurred"] = to_text(occurred)
    if subject:
        event["related"] = [{"resource.id": source, "resource.name": source, "resource.role": "source"}]
    return event


def _check(attributes: Mapping[str, Any]) -> None:
    if attributes.get("specversion") != "1.0":
        raise Refusal("invalid", f"specversion: is {attributes.get('specversion')!r}; CloudEvents 1.0 are understood")
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise Refusal("invalid", f"{name}: is missing; every CloudEvent has one")
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise Refusal("invalid", f"{name}: names of attributes are lower-case letters and digits")
        if name in _CORE and not isinstance(value, str):
            raise Refusal("invalid", f"{name}: must be a text; it is {_kind(value)}")
        if not isinstance(value, (str, int, bool)):
            raise Refusal("invalid", f"{name}: an extension is a text, an integer or a boolean; this is {_kind(value)}")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return _TIME.validate_strings(text)
    except ValidationError:
        raise Refusal("invalid", f"time: {text!r} is no time such as 2026-01-31T09:00:00Z") from None


def _payload(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The data: an object as it is, anything else below ``data``; bytes stay in base64."""
    data, encoded = raw.get("data"), raw.get("data_base64")
    if data is not None and encoded is not None:
        raise Refusal("invalid", "data_base64: there is data as well; send one of them")
    if encoded is not None:
        try:
            base64.b64decode(encoded, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise Refusal("invalid", "data_base64: is not base64") from None
        return {"data_base64": encoded}
    if isinstance(data, dict):
        return dict(data)
    return {} if data is None else {"data": data}


def _data_of(kind: str, body: bytes) -> dict[str, Any]:
    if not kind or kind == "application/json" or kind.endswith("+json"):
        try:
            return {"data": orjson.loads(body)}
        except ValueError as error:
            if not kind:
                return {"data_base64": base64.b64encode(body).decode()}
            raise Refusal("invalid", f"data: is not the JSON that its Content-Type says: {error}") from None
    if kind.startswith("text/") or kind.endswith(("+xml", "/xml")):
        return {"data": body.decode("utf-8", "replace")}
    return {"data_base64": base64.b64encode(body).decode()}


def _is_label(name: str) -> bool:
    """What does not tell one event from the next is a label of the resource."""
    return name not in ("specversion", "id", "type", "time")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
