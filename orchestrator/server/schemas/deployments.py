"""Deployments."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from ...documents.deployment import COLLISIONS
from ...errors import InvalidInput
from ...interfaces import clean_path
from ...states import StateType
from .base import Instant, Mapping, Name, PageQuery, Prose, ReferenceSchema, Strict, Tags, Title, page_of
from .discovery import identifier
from .schedules import ScheduleInputSchema, ScheduleSchema

_ENTRYPOINT = validate.Regexp(
    r"[^:\s][^:]*:[A-Za-z_][\w.]*\Z", error="Must be FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION."
)
_BLOCK = {"description": "`type/name` of a block, its id, or `{type, data}`: one of the deployment's own."}


class BlockChoice(fields.Field[Any]):
    """A block by its address, or one of the deployment's own: ``{"type", "data"}``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            return value
        problem = "Must be TYPE/NAME of a block, its id, or an object with `type` and `data`."
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise ValidationError(problem)
        if not set(value) <= {"type", "data"} or not isinstance(value.get("data", {}), dict):
            raise ValidationError(problem)
        return {"type": value["type"], "data": value.get("data", {})}


def Limit(**more: Any) -> fields.Integer:
    """How many runs may go on at once."""
    told = {"description": "How many of its runs may go on at once; null: any number, 0: none."}
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 2**31 - 1), metadata=told, **more)


def Collision(**more: Any) -> fields.String:
    """What becomes of a run that is due while the limit is reached."""
    told = {"description": "What becomes of a new run that is due while the limit is reached."}
    return fields.String(validate=validate.OneOf(COLLISIONS), metadata=told, **more)


_LABELS = {"description": "Only agents that have all of these labels take its runs."}


def ResourceIds(**more: Any) -> fields.List[Any]:
    """A list of ids of resources."""
    return fields.List(fields.String(validate=identifier), **more)


class StorageInputSchema(Strict):
    """Where the code lies."""

    block = BlockChoice(load_default=None, allow_none=True, metadata=_BLOCK)
    path = fields.String(load_default="", validate=validate.Length(max=1000))
    snapshot = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(r"[A-Za-z0-9:_-]{1,200}\Z"))


class InfrastructureInputSchema(Strict):
    """What runs are executed in."""

    block = BlockChoice(load_default=None, allow_none=True, metadata=_BLOCK)
    overrides = Mapping(load_default=dict)


class ResultsInputSchema(Strict):
    """Where results go that are too large to be kept with the run."""

    block = BlockChoice(load_default=None, allow_none=True, metadata=_BLOCK)
    path = fields.String(
        load_default="",
        validate=validate.Length(max=1000),
        metadata={"description": "Folder in it; `results` when left out."},
    )

    @validates_schema
    def _whole(self, data: Any, **kwargs: Any) -> None:
        if data["path"] and data["block"] is None:
            raise ValidationError("Name the storage block that the path is in.", "block")
        try:
            clean_path(data["path"])
        except InvalidInput as error:
            raise ValidationError(f"{error}.", "path") from None


class NotificationChoiceSchema(Strict):
    """A notifier that is told of runs."""

    block = fields.String(required=True, metadata={"description": "`type/name` of a notifier block, or its id."})
    on = fields.List(
        fields.String(validate=validate.OneOf([kind.value.lower() for kind in StateType])),
        load_default=list,
        metadata={"description": "State types in lower case; failed and crashed when none is given."},
    )


class DeploymentInputSchema(Strict):
    """A deployment as it shall be. A key that is left out means its default; `schedules` left out: unchanged."""

    flow = Name(required=True)
    name = Name(required=True)
    description = Prose(load_default="")
    version = fields.String(load_default="", validate=validate.Length(max=200))
    tags = Tags(load_default=list)
    entrypoint = fields.String(required=True, validate=[validate.Length(max=1000), _ENTRYPOINT])
    storage = fields.Nested(StorageInputSchema, load_default=None, allow_none=True)
    infrastructure = fields.Nested(InfrastructureInputSchema, load_default=None, allow_none=True)
    results = fields.Nested(ResultsInputSchema, load_default=None, allow_none=True)
    notifications = fields.List(fields.Nested(NotificationChoiceSchema), load_default=list)
    triggers = fields.List(
        Mapping(),
        metadata={"description": "Documents as `triggers` takes them; left out: unchanged, `[]` removes all."},
    )
    expectations = fields.List(
        Mapping(),
        metadata={"description": "Documents as `expectations` takes them; left out: unchanged, `[]` removes all."},
    )
    reads = ResourceIds(load_default=list, metadata={"description": "Ids of resources that its runs read."})
    writes = ResourceIds(load_default=list, metadata={"description": "Ids of resources that its runs write."})
    work_queue = Name(load_default="default")
    crash_retries = fields.Integer(
        strict=True,
        load_default=0,
        validate=validate.Range(0, 100),
        metadata={"description": "How often a run that CRASHED is queued again."},
    )
    concurrency_limit = Limit(load_default=None)
    collision = Collision(load_default="enqueue")
    labels = Tags(load_default=list, metadata=_LABELS)
    parameters = Mapping(load_default=dict)
    parameter_schema = Mapping(load_default=dict)
    schedules = fields.List(fields.Nested(ScheduleInputSchema), metadata={"description": "`[]` removes all."})


class DeploymentChangeSchema(Strict):
    """What to change of a deployment."""

    description = Prose()
    tags = Tags()
    parameters = Mapping()
    work_queue = Name()
    paused = fields.Boolean(truthy={True}, falsy={False})
    concurrency_limit = Limit()
    collision = Collision()
    labels = Tags(metadata=_LABELS)


class StorageSchema(Strict):
    """Where the code lies."""

    block = fields.String(required=True, allow_none=True)
    block_id = fields.UUID(required=True, allow_none=True)
    path = fields.String(required=True)
    snapshot = fields.String(required=True, allow_none=True)


class InfrastructureSchema(Strict):
    """What runs are executed in; no block: a plain process."""

    block = fields.String(required=True, allow_none=True)
    block_id = fields.UUID(required=True, allow_none=True)
    overrides = Mapping(required=True)


class ResultsSchema(Strict):
    """Where results go that are too large to be kept with the run; no block: where the agent's setting says."""

    block = fields.String(required=True, allow_none=True)
    block_id = fields.UUID(required=True, allow_none=True)
    path = fields.String(required=True)


class NotificationSettingSchema(Strict):
    """A notifier that is told of runs."""

    block = fields.String(required=True)
    on = fields.List(fields.String(), required=True)


class DeploymentSchema(Strict):
    """A deployment."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    flow = fields.Nested(ReferenceSchema, required=True)
    description = fields.String(required=True)
    version = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    entrypoint = fields.String(required=True)
    storage = fields.Nested(StorageSchema, required=True)
    infrastructure = fields.Nested(InfrastructureSchema, required=True)
    results = fields.Nested(ResultsSchema, required=True)
    notifications = fields.List(fields.Nested(NotificationSettingSchema), required=True)
    reads = fields.List(fields.String(), required=True)
    writes = fields.List(fields.String(), required=True)
    work_queue = fields.String(required=True)
    crash_retries = fields.Integer(required=True)
    concurrency_limit = fields.Integer(required=True, allow_none=True)
    collision = fields.String(required=True)
    labels = fields.List(fields.String(), required=True)
    parameters = Mapping(required=True)
    parameter_schema = Mapping(required=True)
    paused = fields.Boolean(required=True)
    not_ready = fields.String(
        required=True, allow_none=True, metadata={"description": "Why no run can be started; null: it is ready."}
    )
    schedules = fields.List(fields.Nested(ScheduleSchema), required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class AppliedSchema(Strict):
    """What applying did."""

    deployment = fields.Nested(DeploymentSchema, required=True)
    created = fields.Boolean(required=True)
    changes = fields.List(
        fields.String(), required=True, metadata={"description": "A line each; empty when all was so already."}
    )


class ApplyQuery(Strict):
    """How a document is applied."""

    force = fields.Boolean(
        load_default=False,
        metadata={
            "description": "Although schedules, triggers, chains or saved forms have parameters that a new signature"
            " does not take; such schedules are stopped."
        },
    )


class DeploymentQuery(PageQuery):
    """Which deployments to list."""

    flow = fields.String(metadata={"description": "Name of the flow."})
    name = fields.String(metadata={"description": "Part of the name."})
    tag = fields.String()
    work_queue = fields.String()


class DocumentQuery(Strict):
    """In which form to give a document."""

    format = fields.String(load_default="json", validate=validate.OneOf(["json", "yaml"]))


class RunInputSchema(Strict):
    """A run to be started."""

    parameters = Mapping(load_default=dict)
    due = Instant(load_default=None, allow_none=True, metadata={"description": "Not to start before; now by default."})
    name = Title(load_default=None, allow_none=True)
    tags = Tags(load_default=list)
    priority = fields.Integer(strict=True, load_default=0, validate=validate.Range(-1_000_000, 1_000_000))


DeploymentPage = page_of(DeploymentSchema)
