"""Fills a database with what a data team's server looks like on an ordinary day, for looking at and clicking on.

The same seed number gives the same data, but for ids and the present time.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.ids import uuid7
from orchestrator.server.db.models import (
    Agent,
    Artifact,
    Deployment,
    Event,
    Flow,
    FlowRun,
    FlowRunState,
    Log,
    Schedule,
    TaskRun,
    Tick,
    WorkQueue,
)
from orchestrator.server.services.identity import keys
from orchestrator.states import DISPLAY_NAMES, TERMINAL, StateType

S = StateType

FLIGHTS_SCHEMA: dict[str, Any] = {
    "title": "Parameters",
    "type": "object",
    "properties": {
        "airport": {
            "title": "Airport",
            "type": "string",
            "description": "Three letters, as on a ticket.",
            "pattern": "^[A-Z]{3}$",
            "position": 0,
        },
        "limit": {
            "title": "Limit",
            "type": "integer",
            "minimum": 1,
            "default": 500,
            "description": "Most flights to read.",
            "position": 1,
        },
        "since": {
            "title": "Since",
            "type": "string",
            "format": "date-time",
            "default": "2026-01-01T00:00:00Z",
            "position": 2,
        },
        "mode": {"title": "Mode", "type": "string", "enum": ["full", "delta"], "default": "delta", "position": 3},
        "dry_run": {"title": "Dry run", "type": "boolean", "default": False, "position": 4},
        "carriers": {
            "title": "Carriers",
            "type": "array",
            "items": {"type": "string"},
            "default": ["AA", "UA"],
            "position": 5,
        },
    },
    "required": ["airport"],
}

#: flow, deployment, queue, description, tags, schedules, typical seconds, share that fails
_DEPLOYMENTS: tuple[tuple[Any, ...], ...] = (
    (
        "flights",
        "delays-nightly",
        "duck",
        "Delays per airport, loaded every night.",
        ["prod", "flights"],
        [{"cron": "0 2 * * *", "timezone": "Europe/Berlin"}],
        95,
        0.04,
    ),
    ("flights", "delays-hourly", "duck", "", ["prod", "flights"], [{"cron": "15 * * * *"}], 24, 0.05),
    (
        "crm-sync",
        "contacts",
        "default",
        "Contacts from the CRM into the warehouse.",
        ["prod", "crm"],
        [{"interval_s": 1800.0}],
        41,
        0.12,
    ),
    (
        "warehouse",
        "dbt-build",
        "heavy",
        "Builds and tests all models.\n\nOwned by **analytics**.",
        ["prod", "dbt"],
        [
            {"cron": "30 5 * * 1-5", "timezone": "America/New_York"},
            {"rrule": "FREQ=MONTHLY;BYDAY=1SU", "timezone": "UTC", "active": False},
        ],
        610,
        0.08,
    ),
    (
        "invoices",
        "extract",
        "default",
        "Reads invoices from the mail box.",
        ["finance"],
        [{"interval_s": 3600.0}],
        12,
        0.03,
    ),
    ("ml-features", "backfill", "heavy", "", ["ml"], [], 240, 0.2),
)

_WORDS = (
    ("amber", "brisk", "calm", "daring", "eager", "fancy", "gentle", "humble", "ivory", "jolly", "keen", "lucky"),
    ("otter", "falcon", "heron", "lynx", "marten", "osprey", "plover", "raven", "stoat", "tern", "vole", "wren"),
)
_TASKS = ("read_flights", "clean", "load_airports", "delays_per_airport", "join_weather", "write_report", "notify")
_TRACEBACK = """Traceback (most recent call last):
  File "flights/flow.py", line 48, in delays_per_airport
    rows = connection.execute(QUERY, (airport,)).fetchall()
sqlite3.OperationalError: no such column: arrival_delay"""


@dataclass
class Seeded:
    """What tests look for."""

    keys: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, uuid.UUID] = field(default_factory=dict)
    runs: dict[str, uuid.UUID] = field(default_factory=dict)
    queues: dict[str, uuid.UUID] = field(default_factory=dict)
    blocks: dict[str, uuid.UUID] = field(default_factory=dict)
    expected: dict[str, uuid.UUID] = field(default_factory=dict)
    triggered: dict[str, uuid.UUID] = field(default_factory=dict)


def fill(session: Session, now: datetime, days: int = 7, seed: int = 7) -> Seeded:
    """Fill the database; every page has something to show afterwards."""
    return _Filler(session, now, random.Random(seed)).fill(days)


def add_keys(session: Session, now: datetime) -> dict[str, str]:
    """One key a role; the text of each by role."""
    return {role: keys.create(session, f"{role} of the tests", role, now)[1] for role in keys.ROLES}


def beat(session: Session, now: datetime) -> None:
    """Let the agents that are there, and the server's loops, give a sign of life."""
    session.query(Agent).filter(Agent.name.like("agent-berlin-%")).update({"last_heartbeat": now})
    session.query(Tick).update({"at": now})


class _Filler:
    def __init__(self, session: Session, now: datetime, chance: random.Random) -> None:
        self.session, self.now, self.chance, self.seeded = session, now, chance, Seeded()
        self.agents: list[Agent] = []

    def fill(self, days: int) -> Seeded:
        self.seeded.keys = add_keys(self.session, self.now)
        self._queues_and_agents()
        for facts in _DEPLOYMENTS:
            self._deployment(*facts, days=days)
        self._special_runs()
        for loop in ("schedule", "dispatch", "leases", "late", "partitions", "retention"):
            self.session.add(Tick(loop=loop, at=self.now, took_ms=4.2, by="tower:811", error=None))
        self.session.flush()
        return self.seeded

    def _queues_and_agents(self) -> None:
        for name, paused, limit, text in (
            ("default", False, None, ""),
            ("duck", False, 8, "Small things, close to the data."),
            ("heavy", True, 2, "One at a time, at night."),
            ("gpu", False, None, ""),
        ):
            queue = WorkQueue(id=uuid7(self.now), name=name, paused=paused, concurrency_limit=limit, description=text)
            self.session.add(queue)
            self.seeded.queues[name] = queue.id
        for name, queues, ago, stopped, transport in (
            ("agent-berlin-1", ["default", "duck"], 3, None, "redis"),
            ("agent-berlin-2", ["duck", "heavy"], 6, None, "redis"),
            ("agent-edge", ["default"], 400, None, "http"),
            ("agent-old", ["default"], 90000, timedelta(hours=25), "redis"),
        ):
            agent = Agent(
                id=uuid7(self.now), name=name, hostname=f"{name}.internal", pid=self.chance.randint(300, 9000),
                version="0.1.0", transport=transport, queues=queues, slots=4, created=self.now - timedelta(days=2),
                last_heartbeat=self.now - timedelta(seconds=ago),
                stopped=self.now - stopped if stopped else None,
            )  # fmt: skip
            self.agents.append(agent)
            self.session.add(agent)
        self.session.flush()

    def _flow(self, name: str) -> Flow:
        found = self.session.query(Flow).filter_by(name=name).one_or_none()
        if found is None:
            found = Flow(id=uuid7(self.now), name=name, tags=[])
            self.session.add(found)
            self.session.flush()
        return found

    def _deployment(
        self, flow: str, name: str, queue: str, text: str, tags: list[str], schedules: list[dict[str, Any]],
        seconds: float, failing: float, days: int,
    ) -> None:  # fmt: skip
        deployment = Deployment(
            id=uuid7(self.now), flow_id=self._flow(flow).id, name=name, description=text, tags=tags, version="1.4.0",
            entrypoint=f"{flow.replace('-', '_')}/flow.py:{flow.replace('-', '_')}", storage_path=f"{flow}/code",
            snapshot=uuid.uuid4().hex * 2, work_queue_id=self.seeded.queues[queue],
            updated=self.now - timedelta(days=3),
            parameters={"airport": "BER", "limit": 500} if flow == "flights" else {},
            parameter_schema=FLIGHTS_SCHEMA if flow == "flights" else {"type": "object", "properties": {}},
            paused=name == "backfill",
        )  # fmt: skip
        self.session.add(deployment)
        self.session.flush()
        self.seeded.deployments[name] = deployment.id
        for index, facts in enumerate(schedules):
            self.session.add(
                Schedule(deployment_id=deployment.id, slug=f"{next(iter(facts)).split('_')[0]}-{index + 1}", **facts)
            )
        self._history(deployment, days, seconds, failing)

    def _history(self, deployment: Deployment, days: int, seconds: float, failing: float) -> None:
        each = {"delays-hourly": 3600, "contacts": 5400, "extract": 7200}.get(deployment.name, 43200)
        at = self.now - timedelta(days=days) + timedelta(seconds=self.chance.random() * each)
        while at < self.now - timedelta(seconds=each / 2):
            roll = self.chance.random()
            kind = (
                S.FAILED
                if roll < failing
                else S.CRASHED
                if roll < failing * 1.3
                else S.CANCELLED
                if roll < failing * 1.5
                else S.COMPLETED
            )
            took = max(seconds * self.chance.lognormvariate(0, 0.45), 0.4)
            self.run(deployment, kind, at, took)
            at += timedelta(seconds=each * self.chance.uniform(0.9, 1.1))
        for ahead in range(1, 4):
            self.run(deployment, S.SCHEDULED, self.now + timedelta(seconds=each * (ahead - 0.6)), 0)

    def run(
        self, deployment: Deployment, kind: StateType, start: datetime, took: float, *, name: str = "",
        state_name: str = "", message: str = "", attempt: int = 1, parent: uuid.UUID | None = None,
    ) -> FlowRun:  # fmt: skip
        """Add a run with its states and, for bad ones, an event."""
        waiting, over = kind is S.SCHEDULED, kind in TERMINAL
        ended = start + timedelta(seconds=took) if over else None
        made = start if not waiting else min(start, self.now)
        messages = {
            S.FAILED: "no such column: arrival_delay (OperationalError)",
            S.CRASHED: "The process was killed (signal 9): out of memory?",
            S.CANCELLED: "Cancelled by admin of the tests.",
        }
        run = FlowRun(
            id=uuid7(made), flow_id=deployment.flow_id, deployment_id=deployment.id,
            name=name or f"{self.chance.choice(_WORDS[0])}-{self.chance.choice(_WORDS[1])}", state_type=kind.value,
            state_name=state_name or DISPLAY_NAMES[kind], state_message=message or messages.get(kind, ""),
            state_at=ended or made, attempt=0 if waiting else attempt, parameters=dict(deployment.parameters),
            tags=list(deployment.tags), work_queue_id=deployment.work_queue_id, due=start, created=made,
            started=None if waiting or kind is S.PENDING else start, ended=ended,
            agent_id=None if waiting else self.agents[0].id, parent_flow_run_id=parent,
            created_by={"type": "schedule", "id": "", "name": "cron-1"},
            result={"value": {"rows": 4821, "late": 312}} if kind is S.COMPLETED else None,
            slot=None, snapshot=deployment.snapshot,
        )  # fmt: skip
        self.session.add(run)
        self.session.flush()
        self._states(run, kind)
        if kind in (S.FAILED, S.CRASHED, S.RUNNING) and start > self.now - timedelta(days=1):
            self._event(run, kind, ended or start)
        return run

    def _states(self, run: FlowRun, kind: StateType) -> None:
        path = [(S.SCHEDULED, run.created)]
        if kind is not S.SCHEDULED:
            path.append((S.PENDING, run.created + timedelta(milliseconds=140)))
        if run.started:
            path.append((S.RUNNING, run.started))
        if kind not in {item for item, _ in path}:
            path.append((kind, run.ended or run.state_at))
        for index, (state, moment) in enumerate(path):
            at = moment + timedelta(milliseconds=index)  # ids are in the order of times
            last = state is kind
            self.session.add(
                FlowRunState(
                    id=uuid7(at), flow_run_id=run.id, attempt=run.attempt, type=state.value, at=at,
                    name=run.state_name if last else DISPLAY_NAMES[state], message=run.state_message if last else "",
                    details={"traceback": _TRACEBACK} if state is S.FAILED else None,
                )
            )  # fmt: skip

    def _event(self, run: FlowRun, kind: StateType, at: datetime) -> None:
        self.session.add(
            Event(
                id=uuid7(at), event=f"flow-run.{kind.value.lower()}", occurred=at, received=at,
                resource_id=f"orchestrator.flow-run.{run.id}", payload={"attempt": run.attempt},
                resource={"resource.id": f"orchestrator.flow-run.{run.id}", "resource.name": run.name},
                related=[
                    {"resource.id": f"orchestrator.deployment.{run.deployment_id}", "resource.role": "deployment"}
                ],
            )
        )  # fmt: skip

    def _special_runs(self) -> None:
        deployments = {item.name: item for item in self.session.query(Deployment)}
        flights, heavy = deployments["delays-nightly"], deployments["dbt-build"]
        ago = lambda **parts: self.now - timedelta(**parts)  # noqa: E731
        done = self.run(flights, S.COMPLETED, ago(minutes=14), 96, name="steady-kestrel")
        live = self.run(flights, S.RUNNING, ago(seconds=52), 0, name="quick-swift")
        self.run(deployments["contacts"], S.RUNNING, ago(seconds=17), 0, name="busy-magpie")
        self.run(deployments["delays-hourly"], S.PENDING, ago(seconds=1), 0, name="ready-robin")
        broken = self.run(flights, S.FAILED, ago(hours=2), 31, name="wary-crane")
        self.run(deployments["extract"], S.CRASHED, ago(minutes=50), 9, name="grounded-gull")
        self.run(
            heavy,
            S.SCHEDULED,
            ago(minutes=21),
            0,
            name="patient-pelican",
            state_name="Late",
            message="21 minutes late.",
        )
        self.run(
            heavy, S.SCHEDULED, ago(minutes=4), 0, name="tardy-toucan", state_name="Late", message="4 minutes late."
        )
        self.run(deployments["backfill"], S.CANCELLED, ago(hours=5), 12)
        self.run(
            flights,
            S.COMPLETED,
            done.started + timedelta(seconds=20),
            31,
            name="steady-kestrel-weather",
            parent=done.id,
        )
        for run in (done, live, broken):
            self._tasks(run)
            self._logs(run)
        self._artifacts(done)
        self.seeded.runs = {"done": done.id, "live": live.id, "broken": broken.id}

    def _tasks(self, run: FlowRun, count: int = 26) -> None:
        assert run.started is not None
        end = run.ended or self.now
        whole = (end - run.started).total_seconds()
        for index in range(count):
            at = run.started + timedelta(seconds=whole * (index / count) ** 1.2)
            took = whole / count * self.chance.uniform(0.6, 3.5)
            over = at + timedelta(seconds=took) < end
            bad = run.state_type == "FAILED" and index == count - 4
            kind = S.FAILED if bad else S.COMPLETED if over or run.ended else S.RUNNING
            name = _TASKS[min(index // 4, len(_TASKS) - 1)]
            self.session.add(
                TaskRun(
                    id=uuid7(at), flow_run_id=run.id, name=f"{name}-{index % 4}", task_key=f"flights.{name}",
                    flow_attempt=run.attempt, attempt=2 if index == 3 else 1, state_type=kind.value,
                    state_name=DISPLAY_NAMES[kind], state_at=at, started=at,
                    ended=min(at + timedelta(seconds=took), end) if kind is not S.RUNNING else None,
                )
            )  # fmt: skip

    def _logs(self, run: FlowRun, count: int = 180) -> None:
        assert run.started is not None
        whole = ((run.ended or self.now) - run.started).total_seconds()
        lines = (
            (20, "flights", "reading a.csv: 231,083 rows"),
            (20, "flights", "cleaned 4,821 rows, dropped 12 without a carrier"),
            (10, "flights.lib.clean", "column arrival_delay: 3 % empty"),
            (30, "flights", "airport ZZZ is unknown; its 2 flights are left out"),
            (20, "stdout", "loaded BER, FRA, MUC"),
        )
        for index in range(count):
            at = run.started + timedelta(seconds=whole * index / count)
            level, logger, message = lines[self.chance.randrange(len(lines))]
            self.session.add(
                Log(id=uuid7(at), flow_run_id=run.id, attempt=1, level=level, logger=logger, message=message, at=at)
            )
        if run.state_type == "FAILED":
            at = run.ended or self.now
            self.session.add(
                Log(id=uuid7(at), flow_run_id=run.id, attempt=1, level=40, logger="flights", message=_TRACEBACK, at=at)
            )

    def _artifacts(self, run: FlowRun) -> None:
        table = [
            {"airport": "BER", "flights": 1204, "late": 88, "mean delay (min)": 7.4},
            {"airport": "FRA", "flights": 2310, "late": 171, "mean delay (min)": 9.1},
            {"airport": "MUC", "flights": 1307, "late": 53, "mean delay (min)": 4.8},
        ]
        text = "# Delays\n\n| airport | late |\n| --- | --- |\n| FRA | 171 |\n\n"
        text += "<script>alert(1)</script> [bad](javascript:alert(1))"
        for kind, key, data, note in (
            ("markdown", "delays-report", text, "What the night brought."),
            ("table", "delays-per-airport", table, ""),
            ("link", "dashboard", {"url": "https://example.com/delays", "text": "Delays in the BI tool"}, ""),
        ):
            self.session.add(
                Artifact(id=uuid7(run.ended), key=key, type=kind, data=data, description=note, flow_run_id=run.id)
            )
