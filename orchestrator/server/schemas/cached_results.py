"""Cached results."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Mapping, PageQuery, Strict, no_control, page_of

_RESULT = {"description": "`{value}`, `{block, path, size}`, or `{file, size}` on the computer that computed it."}
#: Longest lease of a lock, in seconds.
LEASE_MAX = 300


class CachedResultSchema(Strict):
    """A result that calls of a task share across runs."""

    id = fields.UUID(required=True, metadata={"description": "Hash of the key."})
    key = fields.String(required=True)
    task_key = fields.String(required=True)
    result = Mapping(required=True, metadata=_RESULT)
    flow_run_id = fields.UUID(required=True, allow_none=True)
    task_run_id = fields.UUID(required=True, allow_none=True)
    expires = Instant(required=True, allow_none=True)
    created = Instant(required=True)


class CachedResultInputSchema(Strict):
    """A result to be kept under a key."""

    key = fields.String(required=True, validate=[validate.Length(1, 500), no_control])
    task_key = fields.String(required=True, validate=validate.Length(max=1024))
    result = Mapping(required=True, metadata=_RESULT)
    expires_in_s = fields.Float(
        load_default=None, allow_none=True, validate=validate.Range(min=0, min_inclusive=False, max=1e10)
    )
    flow_run_id = fields.UUID(load_default=None, allow_none=True)
    task_run_id = fields.UUID(load_default=None, allow_none=True)
    lock = fields.UUID(
        load_default=None, allow_none=True, metadata={"description": "Holder whose lock is given back with it."}
    )


class CacheLockInputSchema(Strict):
    """Who wants to compute a result."""

    holder = fields.UUID(required=True)
    lease_s = fields.Float(load_default=30.0, validate=validate.Range(1, LEASE_MAX))
    renew = fields.Boolean(load_default=False, metadata={"description": "Only where the holder has it already."})


class CacheLockSchema(Strict):
    """Whether a lock was granted."""

    granted = fields.Boolean(required=True)


class CacheUnlockQuery(Strict):
    """Whose lock is given back."""

    holder = fields.UUID(required=True)


class CachedResultQuery(PageQuery):
    """Which cached results to list, newest first."""

    task_key = fields.String(metadata={"description": "Part of the task's qualified name."})


CachedResultPage = page_of(CachedResultSchema)
