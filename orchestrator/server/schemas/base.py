"""What the schemas share: a base that refuses unknown fields, kinds of field, and the frame of lists.

Schemas check what comes in and describe what goes out; answers themselves are plain dicts written by orjson, which is
some ten times as fast as dumping them through a schema.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ...clock import from_text
from ...states import StateType

#: Longest name of anything.
NAME_MAX = 200


class Strict(Schema):
    """Base of all schemas: unknown fields are errors (marshmallow's default, said here because we rely on it)."""

    class Meta:
        unknown = RAISE


class Instant(fields.Field[datetime]):
    """An RFC 3339 instant with Z or an offset; loads as an aware UTC datetime."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise ValidationError("Must be a time such as 2026-01-31T09:00:00Z.")
        try:
            return from_text(value)
        except ValueError as error:
            reason = str(error) if "no time zone" in str(error) else "Must be a time such as 2026-01-31T09:00:00Z"
            raise ValidationError(f"{reason}.") from None


class Json(fields.Field[Any]):
    """Any JSON value."""


def no_control(value: str) -> None:
    """Refuse control characters in names: they cannot be typed, and Postgres refuses NUL."""
    if any(ord(character) < 32 for character in value):
        raise ValidationError("Must not contain control characters.")


def addressable(value: str) -> None:
    """Refuse names that could not be told apart in ``kind/name``."""
    no_control(value)
    if "/" in value or value != value.strip():
        raise ValidationError("Must not contain a slash, nor begin or end with a space.")


def Name(**more: Any) -> fields.String:
    """A name by which something is addressed."""
    return fields.String(validate=[validate.Length(min=1, max=NAME_MAX), addressable], **more)


def Title(**more: Any) -> fields.String:
    """A name for people, that nothing is addressed by."""
    return fields.String(validate=[validate.Length(min=1, max=NAME_MAX), no_control], **more)


def Prose(**more: Any) -> fields.String:
    """Text of some length."""
    return fields.String(validate=validate.Length(max=100_000), **more)


def Tags(**more: Any) -> fields.List[Any]:
    """A list of labels."""
    return fields.List(Title(), validate=validate.Length(max=100), **more)


def Seconds(most: float, what: str) -> fields.Float:
    """How long a request may be held, ``most`` seconds; ``what`` says for what."""
    told = f"Seconds to wait for {what}; the answer may come earlier without that."
    return fields.Float(load_default=0.0, validate=validate.Range(0, most), metadata={"description": told})


def Mapping(**more: Any) -> fields.Dict:
    """A JSON object with any values."""
    return fields.Dict(keys=fields.String(), **more)


def StateKind(**more: Any) -> fields.String:
    """One of the state types."""
    return fields.String(validate=validate.OneOf([kind.value for kind in StateType]), **more)


class PageQuery(Strict):
    """Query arguments of every list; each list view merges its filters into a subclass."""

    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, 200), metadata={"description": "Most items in one answer."}
    )
    cursor = fields.String(load_default=None, metadata={"description": "The `next` of the page before."})


class NoQuery(Strict):
    """Views without query arguments: any is an error."""


class ReferenceSchema(Strict):
    """An id with the name that goes with it."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)


class ActorSchema(Strict):
    """Who caused something."""

    type = fields.String(required=True)
    id = fields.String(required=True)
    name = fields.String(required=True)


class ErrorSchema(Strict):
    """The one shape of every error."""

    code = fields.Integer(required=True, metadata={"description": "HTTP status."})
    status = fields.String(required=True, metadata={"description": "Name of the status, or the reason code of a rule."})
    message = fields.String(required=True, metadata={"description": "One line that names the fix."})
    errors = Mapping(required=True, metadata={"description": "Field name to a list of messages."})


def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a list of ``item``."""
    name = item.__name__.removesuffix("Schema") + "PageSchema"
    return Strict.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next": fields.String(
                required=True, allow_none=True, metadata={"description": "Pass as `cursor` for the next page."}
            ),
        },
        name=name,
    )
