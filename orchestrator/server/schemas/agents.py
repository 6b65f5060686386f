"""Agents: registration, heartbeat, claim."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Mapping, Name, ReferenceSchema, Strict, Title, page_of
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
    queues = fields.List(Name(), required=True, validate=validate.Length(1, 100))
    slots = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10_000))


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
    slots = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(("ONLINE", "OFFLINE", "STOPPED")))
    running = fields.Integer(required=True, metadata={"description": "Runs that it holds."})
    created = Instant(required=True)
    last_heartbeat = Instant(required=True)
    stopped = Instant(required=True, allow_none=True)


class RunAttemptSchema(Strict):
    """An attempt of a run."""

    run_id = fields.UUID(required=True)
    attempt = fields.Integer(required=True, strict=True, validate=validate.Range(0, _INT))


class HeartbeatInputSchema(Strict):
    """What an agent executes."""

    running = fields.List(fields.Nested(RunAttemptSchema), required=True, validate=validate.Length(max=10_000))


class HeartbeatSchema(Strict):
    """What an agent is to do."""

    cancel = fields.List(fields.Nested(RunAttemptSchema), required=True, metadata={"description": "To be stopped."})
    lost = fields.List(fields.Nested(RunAttemptSchema), required=True, metadata={"description": "No longer its own."})


class ClaimInputSchema(Strict):
    """What an agent asks for."""

    queues = fields.List(
        Name(),
        required=True,
        validate=validate.Length(0, 100),
        metadata={"description": "None: only wait for a cancel, as an agent without a free slot does."},
    )
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
