"""What flow runs ask of people, and messages to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields, validate

from ..db.models.flow_question import ANSWERED, PENDING, TIMED_OUT, WITHDRAWN
from .base import ActorSchema, Instant, Json, Mapping, Prose, Seconds, StateKind, Strict, no_control, page_of

#: Longest time that one request waits, in seconds.
WAIT_MAX = 30
#: Longest time that a question may wait, in seconds: ten years.
TIMEOUT_MAX = 10 * 366 * 86_400

_KEY: list[Callable[[Any], Any]] = [validate.Length(min=1, max=200), no_control]


class QuestionInputSchema(Strict):
    """A question of a flow run, asked by its process."""

    key = fields.String(
        required=True,
        validate=_KEY,
        metadata={"description": "By which a later attempt finds the answer; unique within the run."},
    )
    attempt = fields.Integer(required=True, strict=True, validate=validate.Range(0, 2**31 - 1))
    suspends = fields.Boolean(
        load_default=False, metadata={"description": "Whether the process ends, and a new attempt goes on."}
    )
    schema = Mapping(
        load_default=None,
        allow_none=True,
        metadata={"description": "JSON schema of the answer, an object; null: nothing but to go on is asked for."},
    )
    description = Prose(load_default="")
    has_default = fields.Boolean(load_default=False)
    default = Mapping(load_default=None, allow_none=True, metadata={"description": "The answer if nobody gives one."})
    timeout_s = fields.Float(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, TIMEOUT_MAX),
        metadata={"description": "Seconds to wait for the answer; null: for ever."},
    )
    problems = Mapping(
        load_default=None,
        allow_none=True,
        metadata={"description": "What the flow found wrong with the answer before, by field: it asks again."},
    )


class QuestionSchema(Strict):
    """A question of a flow run."""

    id = fields.UUID(required=True)
    flow_run_id = fields.UUID(required=True)
    key = fields.String(required=True)
    attempt = fields.Integer(required=True)
    schema = Mapping(required=True, allow_none=True)
    description = fields.String(required=True)
    has_default = fields.Boolean(required=True)
    default = Mapping(required=True, allow_none=True)
    deadline = Instant(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf([PENDING, ANSWERED, TIMED_OUT, WITHDRAWN]))
    problems = Mapping(required=True, allow_none=True)
    answer = Mapping(required=True, allow_none=True)
    asked = Instant(required=True)
    answered = Instant(required=True, allow_none=True)
    answered_by = fields.Nested(
        ActorSchema, required=True, allow_none=True, metadata={"description": "A server: the default holds."}
    )
    run_state = StateKind(required=True, metadata={"description": "The type of the run's present state."})


class WaitQuery(Strict):
    """How long a request may wait."""

    wait_s = Seconds(WAIT_MAX, "it to be settled")


class MessageInputSchema(Strict):
    """A message to a flow run."""

    value = Json(required=True, allow_none=True)
    key_prefix = fields.String(
        load_default=None,
        allow_none=True,
        validate=_KEY,
        metadata={"description": "By which receivers choose; null: by the value's type, such as `str-auto`."},
    )
    sender = fields.String(
        load_default=None,
        allow_none=True,
        validate=_KEY,
        metadata={"description": "Whom an answer goes to: `orchestrator.flow-run.<id>`. A run's token says its own."},
    )


class MessageSchema(Strict):
    """A message to a flow run."""

    flow_run_id = fields.UUID(required=True)
    position = fields.Integer(required=True, metadata={"description": "Counted from 1 in the order of arrival."})
    key = fields.String(required=True)
    key_prefix = fields.String(required=True)
    value = Json(required=True, allow_none=True)
    sender = fields.String(required=True, allow_none=True)
    created = Instant(required=True)
    created_by = fields.Nested(ActorSchema, required=True)


class MessageQuery(WaitQuery):
    """Which messages to read, in the order in which they came."""

    key_prefix = fields.String(load_default=None, validate=_KEY)
    after = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**31 - 1), metadata={"description": "Only those behind it."}
    )
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


QuestionPage = page_of(QuestionSchema)


class MessagePage(Strict):
    """Messages to a flow run; read on with the last one's position as `after`."""

    items = fields.List(fields.Nested(MessageSchema), required=True)
