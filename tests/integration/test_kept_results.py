"""Results of task runs on the server: as they are reported, as the next attempt finds them, and cached across runs."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator import INPUTS, cli, flow, reporting, settings, task
from orchestrator.client import Client
from orchestrator.clock import now, to_text
from orchestrator.documents.records import Actor, State
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.ids import uuid7
from orchestrator.keeping.result_storage import read_task_result
from orchestrator.server import config
from orchestrator.server.db import session as db
from orchestrator.server.loops import retention
from orchestrator.server.services import ticks
from orchestrator.server.services.identity import keys, tokens
from orchestrator.server.services.running import cached_results, claims, kept_results, runs
from orchestrator.server.services.running.cached_results import Facts
from orchestrator.settings import Settings
from orchestrator.states import StateType
from orchestrator.web.app import create_app
from tests.live_api import Api
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs
from .test_reports import flow_run, flow_state, report
from .test_reports import task as task_item

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()
LEASE = timedelta(seconds=30)


def claimed() -> tuple[uuid.UUID, uuid.UUID]:
    """A deployed run whose first attempt goes on, and an agent."""
    with db.transaction() as session:
        run, agent = add_run(session, add_deployment(session), NOW), add_agent(session, at=NOW)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
    move(run.id, S.RUNNING, 1)
    return run.id, agent.id


def move(run_id: uuid.UUID, kind: StateType, attempt: int) -> None:
    with db.transaction() as session:
        runs.move(session, run_id, State(kind, at=now()), attempt=attempt, actor=Actor("agent"), now=now())


def again(run_id: uuid.UUID, agent_id: uuid.UUID) -> None:
    """The run fails, and its next attempt goes on."""
    with db.transaction() as session:
        attempt = runs.get(session, run_id).attempt
    move(run_id, S.FAILED, attempt)
    with db.transaction() as session:
        runs.retry(session, run_id, ANN, now())
        claims.claim(session, agent_id, ["q"], now=now(), issue_token=token)
    move(run_id, S.RUNNING, attempt + 1)


def done(run_id: uuid.UUID, call: str | None, result: Any, name: str = "Completed", **more: Any) -> uuid.UUID:
    """Report a finished call; the id of its task run."""
    item = task_item(uuid7(), run_id, "COMPLETED", result=result, call_key=call, **more)
    item["state"]["name"] = name
    assert report(item).refused == []
    return uuid.UUID(str(item["id"]))


def data(answer: Any) -> Any:
    """The JSON of an answer."""
    return answer.json


def kept(run_id: uuid.UUID) -> dict[str, tuple[Any, int | None]]:
    with db.reading() as session:
        found = kept_results.listing(session, run_id, 200)
    return {item.call_key: (item.result, item.attempt) for item in found.items}


def test_only_finished_calls_with_results_are_found_again() -> None:
    run_id, _ = claimed()
    done(run_id, "a", {"value": None})
    done(run_id, "b", None)
    done(run_id, None, {"value": 1})
    report(task_item(uuid7(), run_id, "FAILED", result={"value": 1}, call_key="c"))
    done(run_id, "d", {"value": "x" * 5000})
    done(run_id, "e", {"block": str(uuid.uuid4()), "path": "p", "size": 9})
    found = kept(run_id)
    assert sorted(found) == ["a", "e"]
    assert found["a"] == ({"value": None}, 1)


def test_what_was_computed_last_counts_and_says_in_which_attempt() -> None:
    run_id, agent_id = claimed()
    done(run_id, "a", {"value": 1})
    done(run_id, "b", {"value": 1})
    again(run_id, agent_id)
    done(run_id, "a", {"value": 1}, "Cached", flow_attempt=2)
    done(run_id, "b", {"value": 2}, flow_attempt=2)
    assert kept(run_id) == {"a": ({"value": 1}, 1), "b": ({"value": 2}, 2)}


def test_subflows_and_their_tasks_are_found_by_the_run_above() -> None:
    run_id, _ = claimed()
    subflow, below = uuid7(), uuid7()
    report(flow_run(subflow, parent_flow_run_id=run_id), flow_run(below, parent_flow_run_id=subflow))
    done(below, "t", {"value": 3})
    assert report(flow_state(below, "COMPLETED", result={"value": 5}, call_key="s")).refused == []
    assert report(flow_state(subflow, "FAILED", call_key="f")).refused == []
    assert kept(run_id) == {"t": ({"value": 3}, None), "s": ({"value": 5}, None)}
    assert kept(subflow)["t"] == ({"value": 3}, None)


def test_pages_give_each_call_once() -> None:
    run_id, _ = claimed()
    report(*[task_item(uuid7(), run_id, "COMPLETED", result={"value": n}, call_key=f"{n:03}") for n in range(25)])
    seen, cursor = [], None
    while True:
        with db.reading() as session:
            found = kept_results.listing(session, run_id, 10, cursor)
        seen += [item.call_key for item in found.items]
        if (cursor := found.next) is None:
            break
    assert seen == [f"{n:03}" for n in range(25)]


def test_a_run_asks_for_its_own_results_only(client_as: ClientAs) -> None:
    run_id, _ = claimed()
    done(run_id, "a", {"value": 1})
    viewer = client_as("viewer")
    header = {"Authorization": f"Bearer {tokens.issue(run_id, 1)}"}
    with db.transaction() as session:
        other = add_run(session, add_deployment(session, name="other"), NOW)
    own = client_as("").get(f"/api/v1/flow-runs/{run_id}/kept-results", headers=header)
    assert data(own)["items"][0]["call_key"] == "a"
    assert viewer.get(f"/api/v1/flow-runs/{run_id}/kept-results").json == own.json
    assert client_as("").get(f"/api/v1/flow-runs/{other.id}/kept-results", headers=header).status_code == 404
    assert viewer.get(f"/api/v1/flow-runs/{uuid.uuid4()}/kept-results").status_code == 404


def test_a_task_run_tells_its_result(client_as: ClientAs) -> None:
    run_id, _ = claimed()
    viewer = client_as("viewer")
    small, large = done(run_id, "a", {"value": [1]}), done(run_id, "b", {"value": "x" * 5000})
    assert data(viewer.get(f"/api/v1/task-runs/{small}"))["result"] == {"value": [1]}
    assert "omitted" in data(viewer.get(f"/api/v1/task-runs/{large}"))["result"]
    none = uuid7()
    report(task_item(none, run_id, "RUNNING"))
    assert data(viewer.get(f"/api/v1/task-runs/{none}"))["result"] is None


def test_the_page_shows_results_of_the_present_attempt(database_url: str) -> None:
    run_id, agent_id = claimed()
    done(run_id, "a", {"value": ["of the first"]})
    again(run_id, agent_id)
    done(run_id, "a", {"value": ["of the second"]}, "Cached", flow_attempt=2)
    pickled = {"block": str(uuid.uuid4()), "path": "p", "size": 9, "serializer": "pickle"}
    other = done(run_id, "b", pickled, flow_attempt=2)
    done(run_id, None, None, flow_attempt=2)
    app = create_app(Settings(database_url=database_url, secret_key="a key for tests"))
    app.config["BACKGROUND"] = False
    with db.transaction() as session:
        key, _ = keys.create(session, "a viewer", "viewer", now())
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie["key"] = str(key.id)
    html = client.get(f"/runs/{run_id}?tab=inputs").text
    assert "of the second" in html
    assert "of the first" not in html
    assert f"orchestrator task-run result {other}" in html
    assert "a pickle" in html


class TestCachedResults:
    KEY = uuid.uuid4()

    def put(self, at: Any = NOW, lock: uuid.UUID | None = None, key: uuid.UUID | None = None, **facts: Any) -> None:
        plain: dict[str, Any] = {
            "key": "k", "task_key": "m.t", "result": {"value": 1}, "expires_in_s": None, "flow_run_id": None,
            "task_run_id": None, **facts,
        }  # fmt: skip
        with db.transaction() as session:
            cached_results.put(session, key or self.KEY, Facts(**plain), lock, at)  # type: ignore[typeddict-item]

    def get(self, at: Any = NOW) -> Any:
        with db.reading() as session:
            return cached_results.get(session, self.KEY, at).result["value"]

    def lock(self, holder: uuid.UUID, at: Any = NOW, renew: bool = False) -> bool:
        with db.transaction() as session:
            return cached_results.lock(session, self.KEY, holder, LEASE, at, renew=renew)

    def test_the_last_one_counts_until_it_expires(self) -> None:
        with pytest.raises(NotFound):
            self.get()
        self.put(expires_in_s=60.0)
        assert self.get(NOW + timedelta(seconds=59)) == 1
        with pytest.raises(NotFound):
            self.get(NOW + timedelta(seconds=60))
        self.put(result={"value": 2})
        assert self.get(NOW + timedelta(days=50)) == 2

    def test_large_ones_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="at most 4,096"):
            self.put(result={"value": "x" * 5000})

    def test_one_holder_has_the_lock_until_it_gives_it_back(self) -> None:
        one, other = uuid.uuid4(), uuid.uuid4()
        assert self.lock(one)
        assert self.lock(one)
        assert not self.lock(other)
        self.put(lock=other)
        assert not self.lock(other)
        self.put(lock=one)
        assert not self.lock(one, renew=True)
        assert self.lock(other)
        with db.transaction() as session:
            cached_results.unlock(session, self.KEY, one)
            cached_results.unlock(session, self.KEY, other)
        assert self.lock(one)

    def test_a_lock_that_ran_out_is_free_once_the_api_was_up_for_a_lease(self) -> None:
        one, other = uuid.uuid4(), uuid.uuid4()
        assert self.lock(one)
        later = NOW + timedelta(seconds=31)
        assert not self.lock(other, later), "nobody could renew: the API was away"
        with db.transaction() as session:
            ticks.record(session, ticks.API, later)
            ticks.record(session, ticks.API_SINCE, NOW)
        assert self.lock(one, NOW + timedelta(seconds=20), renew=True)
        assert not self.lock(other, later)
        at = NOW + timedelta(seconds=51)
        with db.transaction() as session:
            ticks.record(session, ticks.API, at)
        assert self.lock(other, at)
        assert not self.lock(one, at, renew=True)

    def test_what_expired_or_is_old_is_deleted(self) -> None:
        config.use(Settings())
        self.put(expires_in_s=60.0, key=uuid.uuid4())
        self.put(NOW - timedelta(days=91), key=uuid.uuid4())
        self.put()
        with db.transaction() as session:
            retention.step(session, NOW + timedelta(minutes=2))
        with db.reading() as session:
            [left] = cached_results.listing(session, NOW).items
        assert left.id == self.KEY

    def test_over_rest(self, client_as: ClientAs) -> None:
        editor: FlaskClient = client_as("editor")
        address, holder = f"/api/v1/cached-results/{self.KEY}", str(uuid.uuid4())
        body = {"key": "k", "task_key": "m.t", "result": {"value": [1]}, "expires_in_s": 60}
        lock = {"holder": holder}
        assert editor.put(f"{address}/lock", json=lock).json == {"granted": True}
        assert editor.put(f"{address}/lock", json={"holder": str(uuid.uuid4())}).json == {"granted": False}
        assert editor.delete(f"{address}/lock?holder={holder}").status_code == 204
        made = data(editor.put(address, json=body))
        assert made["result"] == {"value": [1]}
        assert made["expires"] > to_text(now())
        viewer = client_as("viewer")
        assert viewer.get(address).json == made
        assert viewer.get("/api/v1/cached-results?task_key=M.T&limit=1").json == {"items": [made], "next": None}
        assert data(viewer.get("/api/v1/cached-results?task_key=other"))["items"] == []
        for wrong in ({"result": 1}, {"expires_in_s": 0}, {"expires_in_s": -1}, {"key": ""}, {"more": 1}):
            assert editor.put(address, json={**body, **wrong}).status_code == 422
        assert editor.delete(address).status_code == 204
        assert viewer.get(address).status_code == 404


@task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"))
def squares(upto: int) -> list[tuple[int, int]]:
    """A cached task."""
    return [(number, number**2) for number in range(upto)]


@flow
def cached_flow(upto: int) -> Any:
    """Calls it."""
    found = squares(upto, return_state=True)
    return [found.name, found.run_id, len(found.result())]


def test_runs_by_hand_share_results_by_the_server(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = cached_flow(3), cached_flow(3)
    assert (first[0], second[0]) == ("Completed", "Cached")
    assert reporting.process_reporter(settings.load()).flush(20)
    client = Client.from_settings()
    for found in (first, second):
        assert read_task_result(found[1]) == [(0, 0), (1, 1), (2, 4)]
    [record] = client.get("cached-results")["items"]
    assert record["task_run_id"] == first[1]
    capsys.readouterr()
    message = client.get(f"task-runs/{second[1]}")["state"]["message"]
    assert message == f"found in the cache as {record['key']}, from flow run {record['flow_run_id']}"
    assert cli.run(["task-run", "result", first[1]]) == 0
    assert json.loads(capsys.readouterr().out)[2] == {"$tuple": [2, 4]}
    assert cli.run(["cached-result", "ls", "--task", "squares", "--output", "json"]) == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)] == [record["id"]]
    assert cli.run(["cached-result", "delete", record["id"]]) == 0
    assert cached_flow(3)[0] == "Completed"
    large = cached_flow(2000)
    assert cached_flow(2000)[0] == "Cached"
    assert reporting.process_reporter(settings.load()).flush(20)
    assert len(read_task_result(large[1])) == 2000


KEYED = """
import sys, time
from orchestrator import flow, transaction

@flow
def bill(me):
    with transaction(key="invoices", isolation_level="SERIALIZABLE") as txn:
        if not txn.is_committed():
            with open("computed", "a") as file:
                file.write(me)
            time.sleep(0.5)
            txn.stage({"by": me})
    return txn.read()["by"]

print(bill(sys.argv[1]))
"""


def test_processes_share_a_transaction_by_its_key(api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bill.py").write_text(KEYED)
    processes = [
        subprocess.Popen([sys.executable, "bill.py", me], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for me in "abc"
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    computed = (tmp_path / "computed").read_text()
    assert said == [computed] * 3
    [record] = Client.from_settings().get("cached-results")["items"]
    assert (record["key"], record["task_key"], record["result"]) == (
        "invoices",
        "transaction",
        {"value": {"by": computed}},
    )
    assert cli.run(["cached-result", "ls", "--task", "transaction", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["flow_run_id"] is not None
