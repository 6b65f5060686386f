"""``orchestrator flow-run`` and ``task-run``."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.cli import flow_run
from orchestrator.clock import from_text, now

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

RUN = str(uuid.uuid4())
AT = "2026-01-31T12:00:00.000000Z"


def state(kind: str, name: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "name": name or kind.capitalize(), "message": message, "at": AT, "details": None}


def run_facts(kind: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    facts = {"id": RUN, "name": "brave-duck", "flow": {"id": str(uuid.uuid4()), "name": "nightly"}}
    return {**facts, "deployment": None, "state": state(kind), "work_queue": "duck", "result": None, **more}


def log(number: int, message: str) -> dict[str, Any]:
    return {"id": str(number), "level": 20, "message": message, "at": AT, "logger": "x"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_run, "_POLL", 0)


def test_ls_passes_its_filters_on(api: Api, cli: Cli) -> None:
    flow = str(uuid.uuid4())
    api.answers["GET flows"] = page({"id": str(uuid.uuid4()), "name": "other"}, {"id": flow, "name": "nightly"})
    api.answers["GET deployments/nightly/first"] = {"id": RUN}
    api.answers["GET flow-runs"] = page(run_facts())
    done = cli(
        "flow-run", "ls", "--state", "running", "--state", "late", "--flow", "nightly", "--deployment", "nightly/first",
        "-q", "duck", "--tag", "a", "--tag", "b", "--name", "brave", "--since", "2026-01-01T00:00:00Z",
        "--output", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert [run["name"] for run in done.json] == ["brave-duck"]
    ((query, _),) = api.calls("GET flow-runs")
    assert query == {
        "state_type": ["RUNNING"],
        "state_name": ["Late"],
        "flow_id": [flow],
        "deployment_id": [RUN],
        "work_queue": ["duck"],
        "tag": ["a", "b"],
        "name": ["brave"],
        "created_after": ["2026-01-01T00:00:00.000000Z"],
        "limit": ["50"],
    }


def test_ls_follows_pages_up_to_its_limit(api: Api, cli: Cli) -> None:
    def answer(query: dict[str, list[str]], _: Any) -> Any:
        start = int(query.get("cursor", ["0"])[0])
        return {"items": [run_facts(name=str(start + n)) for n in range(2)], "next": str(start + 2)}

    api.answers["GET flow-runs"] = answer
    done = cli("flow-run", "ls", "--limit", "5", "--output", "json")
    assert [run["name"] for run in done.json] == ["0", "1", "2", "3", "4"]


def test_ls_refuses_an_unknown_state(api: Api, cli: Cli) -> None:
    done = cli("flow-run", "ls", "--state", "asleep")
    assert done.code == 2
    assert "RUNNING" in one_line(done.err)
    assert api.asked == []


def test_a_run_may_be_called_by_its_name_where_it_is_unique(api: Api, cli: Cli) -> None:
    api.answers["GET flow-runs"] = page(run_facts(), run_facts(name="brave-duckling", id=str(uuid.uuid4())))
    api.answers[f"POST flow-runs/{RUN}/cancel"] = run_facts("CANCELLED")
    done = cli("flow-run", "cancel", "brave-duck")
    assert done.code == 0, done.err
    assert "Cancelled" in done.err
    assert len(api.calls(f"POST flow-runs/{RUN}/cancel")) == 1

    api.answers["GET flow-runs"] = page(run_facts(), run_facts(id=str(uuid.uuid4())))
    done = cli("flow-run", "cancel", "brave-duck")
    assert done.code == 1
    assert RUN in one_line(done.err)
    api.answers["GET flow-runs"] = page()
    assert "orchestrator flow-run ls" in one_line(cli("flow-run", "cancel", "nobody").err)


def test_runs_are_suspended_for_a_while_and_resumed(api: Api, cli: Cli) -> None:
    suspend, resume = f"POST flow-runs/{RUN}/suspend", f"POST flow-runs/{RUN}/resume"
    api.answers.update({suspend: run_facts("PAUSED"), resume: run_facts("SCHEDULED")})
    assert cli("flow-run", "suspend", RUN).code == 0
    assert cli("flow-run", "suspend", RUN, "--until", "2099-01-31T09:00:00Z").code == 0
    assert cli("flow-run", "suspend", RUN, "--for", "2h").code == 0
    ends = [body["until"] and from_text(body["until"]) for _, body in api.calls(suspend)]
    assert ends[:2] == [None, from_text("2099-01-31T09:00:00Z")]
    assert timedelta(hours=1) < ends[2] - now() <= timedelta(hours=2)
    done = cli("flow-run", "resume", RUN)
    assert (done.code, "Scheduled" in done.err) == (0, True)


def test_a_suspension_has_one_end(api: Api, cli: Cli) -> None:
    for words in (("--for", "soon"), ("--for", "2h", "--until", "+2h")):
        done = cli("flow-run", "suspend", RUN, *words)
        assert (done.code, "--for" in done.err) == (2, True)
    assert api.asked == []


def test_inspect_gives_the_states_too(api: Api, cli: Cli) -> None:
    api.answers[f"GET flow-runs/{RUN}"] = run_facts()
    api.answers[f"GET flow-runs/{RUN}/states"] = page(state("SCHEDULED"), state("COMPLETED"))
    assert [one["type"] for one in cli("flow-run", "inspect", RUN, "--output", "json").json["states"]] == [
        "SCHEDULED",
        "COMPLETED",
    ]
    shown = cli("flow-run", "inspect", RUN).out
    assert "brave-duck" in shown
    assert "SCHEDULED" in shown


def test_a_result_is_printed_as_it_is(api: Api, cli: Cli) -> None:
    for kept, shown in (
        ({"rows": [1, None]}, '{\n  "rows": [\n    1,\n    null\n  ]\n}'),
        ("plain text", "plain text"),
    ):
        api.answers[f"GET flow-runs/{RUN}"] = {**run_facts(), "result": {"value": kept}}
        assert cli("flow-run", "result", RUN).out == f"{shown}\n"
        assert cli("flow-run", "result", RUN, "--output", "json").json == kept


@pytest.mark.parametrize(
    ("result", "message"), [(None, "kept no result"), ({"omitted": "9 bytes are too many"}, "9 bytes are too many")]
)
def test_a_result_that_was_not_kept_is_said_so(api: Api, cli: Cli, result: Any, message: str) -> None:
    api.answers[f"GET flow-runs/{RUN}"] = {**run_facts(), "result": result}
    done = cli("flow-run", "result", RUN)
    assert done.code == 1
    assert message in one_line(done.err)


def test_logs_are_printed_oldest_first(api: Api, cli: Cli) -> None:
    api.answers["GET logs"] = page(log(1, "one"), log(2, "two"))
    lines = cli("flow-run", "logs", RUN, "--level", "info", "--search", "o").out.splitlines()
    assert [line.split(" | ")[1:] for line in lines] == [["INFO    ", "one"], ["INFO    ", "two"]]
    ((query, _),) = api.calls("GET logs")
    assert query == {"flow_run_id": [RUN], "level": ["INFO"], "search": ["o"], "limit": ["200"]}
    assert [line["message"] for line in cli("flow-run", "logs", RUN, "--output", "json").json] == ["one", "two"]


def test_logs_that_are_followed_end_with_the_run_and_miss_nothing(api: Api, cli: Cli) -> None:
    states = iter(["RUNNING", "RUNNING", "COMPLETED"])
    lines = [log(number, f"line {number}") for number in range(1, 5)]
    shown = iter([2, 3, 4])

    def logs(query: dict[str, list[str]], _: Any) -> Any:
        after = int(query.get("after", ["0"])[0])
        return page(*lines[after : next(shown)])

    api.answers["GET logs"] = logs
    api.answers[f"GET flow-runs/{RUN}"] = lambda *_: run_facts(next(states))
    done = cli("flow-run", "logs", RUN, "--follow")
    assert done.code == 0, done.err
    assert [line.rsplit("| ", 1)[1] for line in done.out.splitlines()] == ["line 1", "line 2", "line 3", "line 4"]


def test_following_is_no_json(api: Api, cli: Cli) -> None:
    assert cli("flow-run", "logs", RUN, "-f", "--output", "json").code == 2
    assert api.asked == []


@pytest.mark.parametrize(("end", "code"), [("COMPLETED", 0), ("FAILED", 1), ("CRASHED", 1), ("CANCELLED", 1)])
def test_watch_tells_the_states_and_ends_as_the_run_does(api: Api, cli: Cli, end: str, code: int) -> None:
    kinds = iter([["SCHEDULED"], ["SCHEDULED", "RUNNING"], ["SCHEDULED", "RUNNING", end]])
    seen: list[str] = []

    def facts(*_: Any) -> Any:
        seen[:] = next(kinds)
        return run_facts(seen[-1])

    api.answers[f"GET flow-runs/{RUN}"] = facts
    api.answers[f"GET flow-runs/{RUN}/states"] = lambda *_: page(*(state(kind) for kind in seen))
    api.answers["GET logs"] = lambda query, _: page(*([] if "after" in query else [log(1, "hello")]))
    done = cli("flow-run", "watch", RUN, "--logs", "--output", "json")
    assert done.code == code
    assert done.json["state"]["type"] == end
    told = done.err
    assert [told.count(kind.capitalize()) for kind in ("SCHEDULED", "RUNNING", end)] == [1, 1, 1]
    assert told.count("hello") == 1
    assert told.index("hello") < told.index(end.capitalize())


def test_the_end_is_told_after_the_log(api: Api, cli: Cli) -> None:
    kinds = iter(["RUNNING", "RUNNING", "FAILED"])
    lines = [[log(1, "first")], [log(2, "second")], [log(3, "last words")]]
    api.answers[f"GET flow-runs/{RUN}"] = lambda *_: run_facts(next(kinds))
    # The state is seen to have changed between the two questions.
    api.answers[f"GET flow-runs/{RUN}/states"] = lambda *_: page(
        *(state(kind) for kind in (["RUNNING"] if len(lines) == 3 else ["RUNNING", "FAILED"]))
    )
    api.answers["GET logs"] = lambda *_: page(*lines.pop(0))
    done = cli("flow-run", "watch", RUN, "--logs")
    said = [line.rsplit("| ", 1)[-1].rsplit("  ", 1)[-1] for line in done.err.splitlines()]
    assert said == ["Running", "first", "second", "last words", "Failed"]


def test_why_a_run_waits(api: Api, cli: Cli) -> None:
    reason = {"code": "queue-paused", "message": "Work queue duck is paused: resume it."}
    api.answers[f"GET flow-runs/{RUN}"] = run_facts("SCHEDULED", waiting_reason=reason)
    api.answers[f"GET flow-runs/{RUN}/states"] = page(state("SCHEDULED"))
    assert one_line(cli("flow-run", "why", RUN).out) == "queue-paused: Work queue duck is paused: resume it."
    assert cli("flow-run", "why", RUN, "--output", "json").json == reason
    assert "queue-paused: Work queue duck" in cli("flow-run", "inspect", RUN).out
    api.answers[f"GET flow-runs/{RUN}"] = run_facts("RUNNING", waiting_reason=None)
    done = cli("flow-run", "why", RUN)
    assert (done.code, done.out, one_line(done.err)) == (0, "", "brave-duck does not wait: it is Running")
    assert cli("flow-run", "why", RUN, "--output", "json").json is None


def test_watch_gives_up_in_time(api: Api, cli: Cli) -> None:
    api.answers[f"GET flow-runs/{RUN}"] = run_facts("RUNNING")
    api.answers[f"GET flow-runs/{RUN}/states"] = page(state("RUNNING"))
    done = cli("flow-run", "watch", RUN, "--timeout", "0")
    assert done.code == 1
    assert "still Running" in done.err


def test_retry_and_delete(api: Api, cli: Cli) -> None:
    api.answers[f"POST flow-runs/{RUN}/retry"] = run_facts("SCHEDULED")
    api.answers[f"DELETE flow-runs/{RUN}"] = None
    assert cli("flow-run", "retry", RUN).code == 0
    refused = cli("flow-run", "delete", RUN)
    assert (refused.code, api.calls(f"DELETE flow-runs/{RUN}")) == (2, [])
    assert cli("flow-run", "delete", RUN, "--yes").code == 0
    assert len(api.calls(f"DELETE flow-runs/{RUN}")) == 1


def test_what_the_api_refuses_is_one_line(api: Api, cli: Cli) -> None:
    api.answers[f"POST flow-runs/{RUN}/retry"] = (409, {"code": "conflict", "message": "it runs", "errors": {}})
    done = cli("flow-run", "retry", RUN)
    assert (done.code, one_line(done.err)) == (1, "Error: it runs")


def test_without_an_api_one_line_says_what_to_set(cli: Cli) -> None:
    done = cli("flow-run", "ls")
    assert done.code == 1
    assert "ORCHESTRATOR_API_URL" in one_line(done.err)


def test_task_runs(api: Api, cli: Cli) -> None:
    task = str(uuid.uuid4())
    facts = {"id": task, "flow_run_id": RUN, "name": "clean", "state": state("FAILED", message="no"), "attempt": 2}
    api.answers["GET task-runs"] = page(facts)
    api.answers[f"GET task-runs/{task}"] = facts
    api.answers[f"GET task-runs/{task}/states"] = page(state("FAILED"))
    assert [one["id"] for one in cli("task-run", "ls", RUN, "--state", "failed", "--output", "json").json] == [task]
    assert api.calls("GET task-runs")[0][0]["state_type"] == ["FAILED"]
    assert "Failed: no" in cli("task-run", "inspect", task).out
    assert cli("task-run", "inspect", "nonsense").code == 2


def test_an_answer_is_given_as_pairs_or_json(api: Api, cli: Cli) -> None:
    resume = f"POST flow-runs/{RUN}/resume"
    api.answers[resume] = run_facts("RUNNING")
    assert cli("flow-run", "resume", RUN).code == 0
    assert cli("flow-run", "resume", RUN, "-i", "approve=true", "--input", "why=it is late").code == 0
    assert cli("flow-run", "resume", RUN, "--input-json", '{"limit": 5}', "-i", "limit=6").code == 0
    assert [body["input"] for _, body in api.calls(resume)] == [
        None, {"approve": True, "why": "it is late"}, {"limit": 6},
    ]  # fmt: skip
    for words in (("--input", "approve"), ("--input-json", "5"), ("--input-json", "{")):
        done = cli("flow-run", "resume", RUN, *words)
        assert (done.code, words[0] in done.err) == (2, True)


def test_what_a_run_asks_is_shown(api: Api, cli: Cli) -> None:
    fields = {"go": {"type": "boolean"}, "why": {"enum": ["late", "wrong"], "default": "late"}}
    asked = {
        "description": "Shall it go on?", "deadline": AT, "has_default": True, "problems": {"go": ["has to be true"]},
        "schema": {"type": "object", "properties": fields, "required": ["go"]},
    }  # fmt: skip
    api.answers[f"GET flow-runs/{RUN}/question"] = asked
    shown = " ".join(cli("flow-run", "question", RUN).out.split())
    for said in ("Shall it go on?", "then it goes on with its default", "go: has to be true", "late, wrong", "boolean"):
        assert said in shown
    assert cli("flow-run", "question", RUN, "--output", "json").json == asked
    del api.answers[f"GET flow-runs/{RUN}/question"]
    assert cli("flow-run", "question", RUN).code == 1
    api.answers[f"GET flow-runs/{RUN}"] = run_facts("RUNNING")
    assert cli("flow-run", "question", RUN, "--output", "json").json is None
    assert "waits for no answer" in cli("flow-run", "question", RUN).err


def test_messages_are_sent_and_listed(api: Api, cli: Cli) -> None:
    send = f"POST flow-runs/{RUN}/messages"
    items = [{"key": f"k-{at}", "position": at, "value": at, "sender": None, "created": AT} for at in (1, 2, 3)]
    api.answers[send] = items[0]
    assert "sent k-1" in cli("flow-run", "send", RUN, "hello").err
    assert cli("flow-run", "send", RUN, "[1]", "--key-prefix", "k", "--sender", "me", "--output", "json").json["key"]
    assert [body for _, body in api.calls(send)] == [
        {"value": "hello", "key_prefix": None, "sender": None}, {"value": [1], "key_prefix": "k", "sender": "me"},
    ]  # fmt: skip
    api.answers[f"GET flow-runs/{RUN}/messages"] = lambda query, body: {
        "items": [item for item in items if item["position"] > int(query["after"][0])][: int(query["limit"][0])]
    }
    assert [item["value"] for item in cli("flow-run", "messages", RUN, "--output", "json").json] == [1, 2, 3]
    assert [item["value"] for item in cli("flow-run", "messages", RUN, "--limit", "2", "--output", "json").json] == [
        1,
        2,
    ]
