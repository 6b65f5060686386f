"""Schemas of task jobs: between a flow run's own process and its workers."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from marshmallow import ValidationError, fields, validate

from .base import Name, Seconds, Strict
from .flow_runs import WaitingReasonSchema

#: Jobs, or outcomes, in one request; most bytes of one of them; most seconds that a request waits.
BATCH, SIZE_MAX, WAIT_MAX = 500, 1_200_000, 30.0


class Sealed(fields.Field[bytes]):
    """Bytes, in base64."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        try:
            found = base64.b64decode(value.encode("ascii"), validate=True)
        except (AttributeError, UnicodeEncodeError, binascii.Error):
            raise ValidationError("Must be base64.") from None
        if len(found) > SIZE_MAX:
            raise ValidationError(f"Takes {len(found):,} bytes; {SIZE_MAX:,} are the most.")
        return found


class SealedJobSchema(Strict):
    """A job with what its other end is told."""

    id = fields.UUID(required=True)
    content = Sealed(required=True, metadata={"type": "string", "format": "byte"})


class _Staffed(Strict):
    attempt = fields.Integer(required=True, validate=validate.Range(min=1))
    workers = fields.Integer(
        required=True, validate=validate.Range(1, 1000), metadata={"description": "Most workers at a time."}
    )
    work_queue = Name(
        load_default=None,
        allow_none=True,
        metadata={"description": "Whose agents are to work; null: those of the run's own queue."},
    )


class TaskJobsInputSchema(_Staffed):
    """Calls to be done by workers."""

    jobs = fields.List(fields.Nested(SealedJobSchema), required=True, validate=validate.Length(1, BATCH))


class OutcomesInputSchema(_Staffed):
    """Ask for outcomes."""

    taken = fields.List(
        fields.UUID(),
        load_default=list,
        validate=validate.Length(max=BATCH),
        metadata={"description": "Jobs whose outcomes the flow has; they are forgotten."},
    )
    wait_s = Seconds(WAIT_MAX, "one")


class OutcomeSchema(Strict):
    """How a job ended."""

    id = fields.UUID(required=True)
    content = Sealed(required=True, allow_none=True, metadata={"type": "string", "format": "byte"})
    lost = fields.String(
        required=True, allow_none=True, metadata={"description": "How its worker ended before the job did."}
    )


class OutcomesSchema(Strict):
    """Jobs that ended."""

    items = fields.List(fields.Nested(OutcomeSchema), required=True)
    waiting_reason = fields.Nested(WaitingReasonSchema, required=True, allow_none=True)


class TakeInputSchema(Strict):
    """What a worker has done, and what it wants."""

    done = fields.List(fields.Nested(SealedJobSchema), load_default=list, validate=validate.Length(max=BATCH))
    holding = fields.List(
        fields.UUID(),
        load_default=list,
        validate=validate.Length(max=BATCH),
        metadata={"description": "Jobs that it has, and has not done."},
    )
    limit = fields.Integer(
        load_default=1, validate=validate.Range(0, BATCH), metadata={"description": "Most jobs that it takes more."}
    )
    wait_s = Seconds(WAIT_MAX, "one")


class TakenSchema(Strict):
    """What a worker is to do."""

    items = fields.List(fields.Nested(SealedJobSchema), required=True)
    revoked = fields.List(
        fields.UUID(), required=True, metadata={"description": "Jobs that it holds and nobody wants any more."}
    )
    over = fields.Boolean(required=True, metadata={"description": "Whether the flow run is over."})


class WorkPlaceSchema(Strict):
    """What a flow run and its workers need to know of it."""

    attempt = fields.Integer(required=True)
    key = Sealed(required=True, metadata={"type": "string", "format": "byte"})
    entrypoint = fields.String(required=True)
    storage = fields.Dict(keys=fields.String(), required=True)


class CloseQuery(Strict):
    """Which attempt speaks."""

    attempt = fields.Integer(required=True, validate=validate.Range(min=1))
