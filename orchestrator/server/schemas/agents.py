"""Agents: registration, heartbeat, claim."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from .base import Instant, Mapping, Name, ReferenceSchema, Strict, Tags, Title, page_of
from .flow_runs import StateSchema

#: Longest that a claim waits for work, in seconds.
WAIT_MAX = 30
_INT = 2**31 - 1


class AgentInputSchema(Strict):
    """An agent that begins."""

    name = Title(required=True)
    hostname = Title(required=True)
    pid = fields.Integer(required=True, strict=True, validate=validate.Range(0, _INT))
    version = Title(required=True)
    transport = fields.String(required=True, validate=validate.OneOf(("redis", "http")))
    queues = fields.List(Name(), required=True, validate=validate.Length(0, 100))
    prefixes = fields.List(
        Name(),
        load_default=list,
        validate=validate.Length(0, 100),
        metadata={"description": "It serves the queues whose names begin like this, too, whenever they are made."},
    )
    labels = Tags(load_default=list, metadata={"description": "What it offers to deployments that require labels."})
    waterfall = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Whether runs of an earlier queue are always given before those of later ones."},
    )
    prefetch_s = fields.Float(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 60),
        metadata={"description": "Seconds before its time that a run may be given; null: as the server says."},
    )
    slots = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10_000))

    @validates_schema
    def _whole(self, data: Any, **kwargs: Any) -> None:
        if not data["queues"] and not data["prefixes"]:
            raise ValidationError("Name a queue, or how the names of queues begin (prefixes).", "queues")


class RegistrationSchema(Strict):
    """What an agent works by."""

    agent_id = fields.UUID(required=True)
    broker_url = fields.String(required=True, allow_none=True, metadata={"description": "None: long-poll."})
    lease_s = fields.Float(required=True)
    heartbeat_s = fields.Float(required=True)
    stop_grace_s = fields.Float(required=True)


class AgentSchema(Strict):
    """An agent."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    hostname = fields.String(required=True)
    pid = fields.Integer(required=True)
    version = fields.String(required=True)
    transport = fields.String(required=True)
    queues = fields.List(fields.String(), required=True)
    prefixes = fields.List(fields.String(), required=True)
    labels = fields.List(fields.String(), required=True)
    waterfall = fields.Boolean(required=True)
    prefetch_s = fields.Float(required=True, allow_none=True)
    slots = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(("ONLINE", "UNHEALTHY", "OFFLINE", "STOPPED")))
    unhealthy = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it cannot pull, by its last heartbeat."}
    )
    running = fields.Integer(required=True, metadata={"description": "Runs that it holds."})
    created = Instant(required=True)
    last_heartbeat = Instant(required=True)
    pulled = Instant(
        required=True, allow_none=True, metadata={"description": "When a claim of it was last answered; null: unknown."}
    )
    stopped = Instant(required=True, allow_none=True)


class RunAttemptSchema(Strict):
    """An attempt of a run."""

    run_id = fields.UUID(required=True)
    attempt = fields.Integer(required=True, strict=True, validate=validate.Range(0, _INT))


class PullingSchema(Strict):
    """How an agent gets on with its claims."""

    age_s = fields.Float(
        required=True,
        validate=validate.Range(0, 10**9),
        metadata={"description": "Since the last claim that was answered."},
    )
    free = fields.Integer(required=True, strict=True, validate=validate.Range(0, 10_000))


class HeartbeatInputSchema(Strict):
    """What an agent executes."""

    running = fields.List(fields.Nested(RunAttemptSchema), required=True, validate=validate.Length(max=10_000))
    pulling = fields.Nested(PullingSchema, load_default=None, allow_none=True)


class HeartbeatSchema(Strict):
    """What an agent is to do."""

    cancel = fields.List(fields.Nested(RunAttemptSchema), required=True, metadata={"description": "To be stopped."})
    lost = fields.List(fields.Nested(RunAttemptSchema), required=True, metadata={"description": "No longer its own."})
    waiting = fields.Boolean(
        required=True, metadata={"description": "Work waits that it could take, and has not asked for lately."}
    )
    unhealthy = fields.String(required=True, metadata={"description": "Why it is UNHEALTHY; empty: it is not."})


class ClaimInputSchema(Strict):
    """What an agent asks for."""

    queues = fields.List(
        Name(),
        required=True,
        validate=validate.Length(0, 100),
        metadata={"description": "None: only wait for a cancel, as an agent without a free slot does."},
    )
    prefixes = fields.List(Name(), load_default=list, validate=validate.Length(0, 100))
    preferred = fields.UUID(load_default=None, allow_none=True, metadata={"description": "The run of a hint."})
    cached = fields.List(
        fields.String(validate=validate.Length(max=200)),
        load_default=list,
        validate=validate.Length(max=1000),
        metadata={"description": "Snapshots that it holds."},
    )
    wait_s = fields.Float(load_default=0, validate=validate.Range(0, WAIT_MAX))


class JobStorageSchema(Strict):
    """Where the code lies."""

    block_id = fields.UUID(required=True, allow_none=True)
    path = fields.String(required=True)
    snapshot = fields.String(required=True, allow_none=True)


class JobInfrastructureSchema(Strict):
    """What to execute it in."""

    block_id = fields.UUID(required=True, allow_none=True)
    overrides = Mapping(required=True)
    updated = Instant(required=True, allow_none=True)


class JobResultsSchema(Strict):
    """Where results go that are too large to be kept with the run."""

    block_id = fields.UUID(required=True)
    path = fields.String(required=True)


class JobSchema(Strict):
    """A claimed run."""

    id = fields.UUID(required=True)
    attempt = fields.Integer(required=True)
    name = fields.String(required=True)
    flow = fields.String(required=True)
    state = fields.Nested(StateSchema, required=True)
    entrypoint = fields.String(required=True)
    token = fields.String(required=True)
    deployment = fields.Nested(ReferenceSchema, required=True, allow_none=True)
    storage = fields.Nested(JobStorageSchema, required=True, allow_none=True)
    infrastructure = fields.Nested(JobInfrastructureSchema, required=True)
    results = fields.Nested(JobResultsSchema, required=True, allow_none=True)
    parameters = Mapping(required=True)
    tags = fields.List(fields.String(), required=True)
    work_queue = fields.String(required=True)
    starts_in_ms = fields.Integer(required=True)
    tries = fields.Integer(required=True, metadata={"description": "How often its code was begun by earlier attempts."})


AgentPage = page_of(AgentSchema)
