"""The audit trail is complete: whatever a person changes over REST is an event that says who, and what it was before.

A story calls every route that changes something; after each call there is an event of kind ``action`` by the key that
called. A route that is in neither the story nor :data:`NO_EVENT` fails the test: add it to one of them.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Action, Firing
from orchestrator.server.services.identity import secrets
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter

from ..api import ClientAs

CANARY = "canary-77aa"
#: What changes nothing that is a person's, and why no action is written.
NO_EVENT = {
    "POST /schedules/preview": "computes times",
    "POST /deployments/{ref}/backfills/preview": "computes times",
    "POST /holds/preview": "tells what a hold would be on",
    "POST /desk": "a list of one's own",
    "POST /expectations/check": "reads a document",
    "POST /triggers/check": "reads a document",
    "POST /triggers/test": "replays stored events",
    "POST /triggers/{ref}/explain": "replays a stored event",
    "POST /webhooks/{ref}/render": "renders a delivery that is kept",
    "POST /events": "is an event itself",
    "POST /lineage": "is an event itself",
    "POST /ping/{token}": "is an event itself",
    "POST /ping/{token}/{verb}": "is an event itself",
    "PUT /cached-results/{key_id}": "what a task of a run computed",
    "PUT /cached-results/{key_id}/lock": "a task of a run that computes",
    "DELETE /cached-results/{key_id}/lock": "a task of a run that has computed",
    "POST /reports": "what processes tell of themselves: events of runs",
    "POST /flow-runs/{run_id}/questions": "a process: flow-run.paused",
    "POST /flow-runs/{run_id}/hooks": "an agent undertakes to call hooks",
    "POST /flow-runs/{run_id}/task-jobs": "calls of a flow's tasks",
    "DELETE /flow-runs/{run_id}/task-jobs": "a flow that ends",
    "POST /flow-runs/{run_id}/task-jobs/outcomes": "a flow reads what its workers did",
    "POST /flow-runs/{run_id}/task-jobs/take": "a worker of a flow",
    "POST /agents": "a process: agent.started",
    "DELETE /agents/{agent_id}": "a process: agent.stopped",
    "POST /agents/{agent_id}/heartbeat": "a process that is alive",
    "POST /agents/{agent_id}/claim": "a process: flow-run.pending",
    "PUT /blocks/{block_id}/discovery/look": "a look's own run: discovery.failed and recovered",
    "POST /limits/acquire": "a process takes slots",
    "POST /limits/renew": "a process holds slots for longer",
    "DELETE /limits/slots/{request_id}": "a process gives slots back",
    "POST /blocks/{block_id}/discovery/resources": "a look's own run: resource.appeared, changed and vanished",
    "POST /blocks/{block_id}/discovery/events": "a look's own run: what it saw",
}
TYPE = {
    "slug": "lake",
    "import_path": "x:Lake",
    "interfaces": ["file-system", "discoverable"],
    "schema": {
        "type": "object",
        "properties": {"bucket": {"type": "string"}, "key": {"type": "string", "writeOnly": True}},
    },
}
DEPLOYMENT = {"flow": "etl", "name": "daily", "entrypoint": "flow.py:etl"}


class Story:
    """Calls routes, and looks for the event that each leaves."""

    def __init__(self, app: Flask, client: FlaskClient) -> None:
        self._routes = app.url_map.bind("localhost")
        self._client = client
        self.called: set[str] = set()

    def __call__(self, method: str, path: str, body: Any = None, event: str = "", **headers: str) -> Any:
        """Make a call that changes something; ``event`` is the name of the event that tells of it, "" for none."""
        before = now()
        answer = self._client.open(f"/api/v1/{path}", method=method, json=body, headers=headers)
        assert answer.status_code < 300, (method, path, answer.json)
        rule, _ = self._routes.match(f"/api/v1/{path.partition('?')[0]}", method, return_rule=True)
        self.called.add(f"{method} {template(rule.rule)}")
        with db.reading() as session:
            found = events.listing(session, EventFilter(kind="action", source="tower"), limit=20).items
        told = [one for one in found if one.received >= before and one.payload["by"]["type"] == "api-key"]
        assert not event or event in {one.event for one in told}, f"{method} {path} left {[one.event for one in told]}"
        assert all(CANARY not in str([one.payload, one.resource]) for one in told), "a secret is told"
        return answer.json


def template(rule: str) -> str:
    """A route as it is named here: ``kind/name`` is another way to say ``ref``."""
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
    return path.removeprefix("/api/v1").replace("{kind}/{name}", "{ref}").replace("{flow}/{deployment}/{name}", "{ref}")


def changing(app: Flask) -> set[str]:
    """Every route of the OpenAPI document that may change something."""
    document = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    methods = ("post", "put", "patch", "delete")
    found = [(method, path) for path, item in document["paths"].items() for method in methods if method in item]
    return {f"{method.upper()} {template(path)}" for method, path in found}


@pytest.fixture
def story(app: Flask, client_as: ClientAs) -> Story:
    return Story(app, client_as("admin"))


def test_every_change_is_told_by_whom(app: Flask, story: Story) -> None:
    for chapter in (
        _blocks,
        _variables_and_queues,
        _artifacts,
        _deployments,
        _runs,
        _triggers,
        _chains,
        _desk,
        _watching,
        _resources,
        _ways_in,
        _keys,
    ):
        chapter(story)
    silent = changing(app) - story.called - {*NO_EVENT}
    assert not silent, "call them in the story, or say in NO_EVENT why they are no actions"


def test_what_is_left_out_is_there(app: Flask) -> None:
    assert {*NO_EVENT} <= changing(app)


def _blocks(story: Story) -> None:
    story("POST", "block-types", TYPE, "block-type.created")
    story("POST", "block-types", {**TYPE, "slug": "gone"}, "block-type.created")
    story("POST", "block-types", {**TYPE, "slug": "gone", "description": "new"}, "block-type.updated")
    story("DELETE", "block-types/gone", None, "block-type.deleted")
    body = {"type": "lake", "name": "a", "data": {"bucket": "x", "key": CANARY}}
    story("POST", "blocks", body, "block.created")
    story("PUT", "blocks/lake/a", {"data": {"bucket": "y", "key": CANARY + "2"}}, "block.updated")
    story("POST", "blocks/lake/a/rotate", {"data": {"key": CANARY + "3"}}, "block.rotated")
    story("POST", "blocks/lake/a/load", None, "block.loaded")
    story("POST", "blocks/lake/a/test", {}, "block.test-asked")
    story("POST", "blocks/lake/a/browse", {"path": "p"}, "block.browse-asked")
    story("POST", "blocks/lake/a/inspect", {"path": "p"}, "block.inspect-asked")
    story("PATCH", "blocks/lake/a/discovery", {"interval_s": 900}, "discovery.updated")
    story("POST", "blocks/lake/a/discover", None, "block.discover-asked")
    story("POST", "blocks", {**body, "name": "b"}, "block.created")
    story("DELETE", "blocks/lake/b", None, "block.deleted")


def _variables_and_queues(story: Story) -> None:
    story("POST", "variables", {"name": "v", "value": 1}, "variable.created")
    story("PUT", "variables/v", {"value": 2}, "variable.updated")
    story("DELETE", "variables/v", None, "variable.deleted")
    key = f"cached-results/{uuid.uuid4()}"
    story("PUT", key, {"key": "k", "task_key": "m.t", "result": {"value": 1}})
    story("DELETE", key, None, "cached-result.deleted")
    story("POST", "limits", {"name": "db", "slots": 2}, "limit.created")
    story("PATCH", "limits/db", {"slots": 3}, "limit.updated")
    story("DELETE", "limits/db", None, "limit.deleted")
    story("POST", "work-queues", {"name": "q"}, "work-queue.created")
    story("PATCH", "work-queues/q", {"paused": True}, "work-queue.updated")
    story("DELETE", "work-queues/q", None, "work-queue.deleted")


def _artifacts(story: Story) -> None:
    ids = [str(uuid7()) for _ in range(3)]
    facts = {"kind": "artifact", "type": "markdown", "key": "k", "data": "# x", "at": now().isoformat()}
    batch = {"producer": str(uuid.uuid4()), "first": 1, "items": [{**facts, "id": one} for one in ids]}
    story("POST", "reports", {"batches": [batch]})
    story("DELETE", f"artifacts/{ids[0]}", None, "artifact.deleted")
    story("DELETE", "artifacts/keys/k", None, "artifact.deleted")


def _deployments(story: Story) -> None:
    story("POST", "deployments", DEPLOYMENT, "deployment.created")
    story("POST", "deployments", {**DEPLOYMENT, "description": "new"}, "deployment.updated")
    story("PATCH", "deployments/etl/daily", {"paused": True}, "deployment.paused")
    story("PATCH", "deployments/etl/daily", {"paused": False}, "deployment.resumed")
    made = story("POST", "deployments/etl/daily/schedules", {"interval": 3600}, "schedule.created")
    story("PATCH", f"schedules/{made['id']}", {"active": False}, "schedule.updated")
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T03:00:00Z"}
    filled = story("POST", "deployments/etl/daily/backfills", span, "backfill.created")
    story("POST", f"backfills/{filled['id']}/cancel", None, "backfill.cancelled")
    story("DELETE", f"schedules/{made['id']}", None, "schedule.deleted")
    story("POST", "deployments", {**DEPLOYMENT, "name": "gone"}, "deployment.created")
    story("DELETE", "deployments/etl/gone", None, "deployment.deleted")


def _runs(story: Story) -> None:
    run = story("POST", "deployments/etl/daily/runs", {}, "flow-run.scheduled")["id"]
    story("POST", f"flow-runs/{run}/suspend", {"until": "2099-01-01T00:00:00Z"}, "flow-run.paused")
    story("POST", f"flow-runs/{run}/resume", None, "flow-run.scheduled")
    story("POST", f"flow-runs/{run}/messages", {"value": "hello"}, "flow-run.message-sent")
    story("POST", f"flow-runs/{run}/cancel", None, "flow-run.cancelled")
    story("POST", f"flow-runs/{run}/retry", None, "flow-run.scheduled")
    story("POST", "flow-runs/cancel", {"name": "-"}, "flow-run.cancelled")
    again = story("POST", f"flow-runs/{run}/rerun", None, "flow-run.scheduled")["id"]
    waits = story("POST", "deployments/etl/daily/runs", {}, "flow-run.scheduled")["id"]
    story("POST", f"flow-runs/{waits}/state", {"type": "CANCELLED"}, "flow-run.cancelled")
    story("DELETE", f"flow-runs/{again}", None, "flow-run.deleted")


def _watching(story: Story) -> None:
    story("PUT", "calendars/office", {"holidays": ["2026-12-24"]}, "calendar.created")
    story("PUT", "calendars/office", {"holidays": ["2026-12-25"]}, "calendar.updated")
    story("DELETE", "calendars/office", None, "calendar.deleted")
    document = {"name": "fresh", "on": {"match": {"resource.id": "t"}, "expect": ["t.loaded"]}, "within": "1h"}
    made = story("POST", "expectations", document, "expectation.created")
    story("PATCH", "expectations/fresh", {"severity": "critical"}, "expectation.updated")
    story("POST", "expectations/fresh/disable", None, "expectation.disabled")
    story("POST", "expectations/fresh/enable", None, "expectation.enabled")
    story("POST", "expectations/fresh/mute", {"until": "2099-01-01T00:00:00Z"}, "expectation.muted")
    story("POST", f"actions/{_given_up(expectation_id=uuid.UUID(made['id']))}/redo", None, "action.redone")
    story("DELETE", "expectations/fresh", None, "expectation.deleted")
    hold = story("POST", "holds", {"match": {"resource.id": "x"}, "kind": "stop", "reason": "r"}, "hold.placed")
    story("POST", f"holds/{hold['id']}/release", None, "hold.released")


def _fired(**cause: uuid.UUID) -> uuid.UUID:
    """A firing that is open."""
    with db.transaction() as session:
        firing = Firing(
            id=uuid7(), occasion=str(uuid7()), occurred=now(), chain_id=uuid7(), key="[]", context={}, **cause
        )
        session.add(firing)
        session.flush()
        return firing.id


def _given_up(**cause: uuid.UUID) -> uuid.UUID:
    """An action that failed too often."""
    firing_id = _fired(**cause)
    with db.transaction() as session:
        action = Action(
            id=uuid7(), firing_id=firing_id, moment="fire", position=0, kind="notify", spec={}, state="given-up",
            ended=now(),
        )  # fmt: skip
        session.add(action)
        session.flush()
        return action.id


def _triggers(story: Story) -> None:
    document = {
        "name": "t",
        "when": {"expect": ["a.b"]},
        "then": [{"do": "emit-event", "event": "c.d", "resource": "x"}],
    }
    made = story("POST", "triggers", document, "trigger.created")
    story("PUT", "triggers", {**document, "severity": "critical"}, "trigger.updated")
    story("PATCH", "triggers/t", {"description": "new"}, "trigger.updated")
    story("POST", "triggers/t/mute", {"until": "2099-01-01T00:00:00Z"}, "trigger.muted")
    identifier = uuid.UUID(made["id"])
    story("POST", f"firings/{_fired(trigger_id=identifier)}/acknowledge", None, "trigger.acknowledged")
    story("POST", f"firings/{_fired(trigger_id=identifier)}/resolve", None, "trigger.closed")
    story("DELETE", "triggers/t", None, "trigger.deleted")


def _chains(story: Story) -> None:
    document = {"name": "nightly", "steps": {"load": {"deployment": "etl/daily"}}}
    story("POST", "chains", document, "chain.created")
    story("POST", "chains", {**document, "description": "new"}, "chain.updated")
    story("POST", "chains/nightly/runs", {}, "chain.started")
    story("DELETE", "chains/nightly", None, "chain.deleted")


def _desk(story: Story) -> None:
    story("PUT", "deployments/etl/daily/forms/small", {"parameters": {}}, "deployment.form-saved")
    story("POST", "deployments/etl/daily/forms/small/runs", None, "flow-run.scheduled")
    story("DELETE", "deployments/etl/daily/forms/small", None, "deployment.form-deleted")
    story("POST", "block-types", {**TYPE, "slug": "pager", "interfaces": ["notifier"]}, "block-type.created")
    story("POST", "blocks", {"type": "pager", "name": "me", "data": {}}, "block.created")
    story("POST", "blocks/pager/me/test-message", None, "block.test-message-asked")
    item = story("POST", "desk", {"deployment": "etl/daily"})
    story("POST", f"desk/{item['id']}/tell", {"block": "pager/me"}, "trigger.created")
    story("DELETE", f"desk/{item['id']}", None, "trigger.deleted")


def _resources(story: Story) -> None:
    with db.transaction() as session:
        told = [{"event": "t.seen", "resource": {"resource.id": f"t.{name}"}} for name in "ab"]
        assert events.ingest(session, told, now()).refused == []
    story("PATCH", "resources/t.a", {"owner": "ann"}, "resource.edited")
    story("POST", "resources/t.b/merge", {"into": "t.a"}, "resource.merged")
    rule = story("POST", "resource-rules", {"pattern": "tmp.*"}, "resource-rule.created")
    story("DELETE", f"resource-rules/{rule['id']}", None, "resource-rule.deleted")


def _ways_in(story: Story) -> None:
    story("POST", "webhooks", {"name": "w", "secret": CANARY, "preset": "github"}, "webhook.created")
    story("PATCH", "webhooks/w", {"description": "new"}, "webhook.updated")
    story("POST", "webhooks/w/rotate", None, "webhook.rotated")
    story("DELETE", "webhooks/w", None, "webhook.deleted")
    story("POST", "pings", {"name": "p"}, "ping.created")
    story("POST", "pings/p/rotate", None, "ping.rotated")
    story("DELETE", "pings/p", None, "ping.deleted")


def _keys(story: Story) -> None:
    made = story("POST", "api-keys", {"name": "k", "role": "viewer"}, "api-key.created")
    story("DELETE", f"api-keys/{made['id']}", None, "api-key.revoked")
    story("POST", "logins", None, "api-key.login-issued")
    secrets.configure("fresh, a secret of the tests")
    story("POST", "secret-keys/rotate", None, "secret-key.rotated")


def test_before_and_after_tell_what_changed_alone(story: Story, client_as: ClientAs) -> None:
    story("POST", "work-queues", {"name": "q", "description": "old"}, "work-queue.created")
    story("PATCH", "work-queues/q", {"description": "new", "paused": False}, "work-queue.updated")
    story("POST", "block-types", TYPE, "block-type.created")
    story("POST", "blocks", {"type": "lake", "name": "a", "data": {"bucket": "x", "key": CANARY}}, "block.created")
    story("PUT", "blocks/lake/a", {"data": {"bucket": "y", "key": CANARY + "2"}}, "block.updated")
    listed = client_as("viewer").get("/api/v1/events?kind=action&source=tower").json["items"]
    told = {one["event"]: one["payload"] for one in listed}
    assert (told["work-queue.updated"]["before"], told["work-queue.updated"]["after"]) == (
        {"description": "old"}, {"description": "new"},
    )  # fmt: skip
    assert told["work-queue.created"]["after"]["description"] == "old"
    assert told["work-queue.updated"]["by"]["name"] == "admin of the tests"
    block = told["block.updated"]
    assert (block["before"], block["after"], sorted(block["fields"])) == (
        {"bucket": "x"}, {"bucket": "y"}, ["bucket", "key"],
    )  # fmt: skip


def test_a_value_that_is_long_is_not_repeated(story: Story, client_as: ClientAs) -> None:
    story("POST", "variables", {"name": "v", "value": "x" * 4000}, "variable.created")
    [one] = client_as("viewer").get("/api/v1/events?event=variable.created").json["items"]
    assert one["payload"]["after"]["value"] == "(4002 characters)"


def test_what_a_schedule_or_an_agent_does_is_no_action(story: Story, client_as: ClientAs) -> None:
    agent = client_as("agent")
    facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": ["q"], "slots": 1}
    assert agent.post("/api/v1/agents", json=facts).status_code == 201
    viewer = client_as("viewer")
    [started] = viewer.get("/api/v1/events?event=agent.*").json["items"]
    assert (started["event"], started["kind"], started["source"]) == ("agent.started", "operation", "tower")
    [made] = viewer.get("/api/v1/events?event=work-queue.created").json["items"]
    assert made["payload"]["by"]["type"] == "agent"
