"""What agents do with blocks, asked for by commands; and the resources that they found."""

from __future__ import annotations

import uuid
from typing import Any

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

RUN = str(uuid.uuid4())
BLOCK = "s3/dev"
UNSERVED = {"code": "no-agent-on-queue", "message": "No agent serves work queue duck: start one with `...`."}


def errand(state: str, message: str = "", result: Any = None, reason: Any = None) -> dict[str, Any]:
    return {"run": RUN, "verb": "test", "state": state, "message": message, "result": result, "waiting_reason": reason}


def test_a_test_tells_what_the_agent_saw(api: Api, cli: Cli) -> None:
    api.answers[f"POST blocks/{BLOCK}/test"] = (202, {"run": RUN})
    told = iter([errand("SCHEDULED", reason={"code": "agents-full", "message": "All slots are taken."})])
    api.answers[f"GET errands/{RUN}"] = lambda *_: next(told, errand("COMPLETED", result="It works."))
    done = cli("block", "test", BLOCK, "-q", "duck")
    assert done.code == 0
    assert done.err.splitlines() == ["All slots are taken.", "It works."]
    assert api.calls(f"POST blocks/{BLOCK}/test")[0][1] == {"work_queue": "duck"}
    assert cli("block", "test", BLOCK, "--output", "json").json["result"] == "It works."


def test_a_test_that_failed_is_one_line(api: Api, cli: Cli) -> None:
    api.answers[f"POST blocks/{BLOCK}/test"] = (202, {"run": RUN})
    api.answers[f"GET errands/{RUN}"] = errand("FAILED", "s3://dev: access denied")
    done = cli("block", "test", BLOCK)
    assert (done.code, one_line(done.err)) == (1, "Error: s3://dev: access denied")


def test_without_an_agent_it_says_so_and_leaves_nothing_waiting(api: Api, cli: Cli) -> None:
    api.answers[f"POST blocks/{BLOCK}/test"] = (202, {"run": RUN})
    api.answers[f"GET errands/{RUN}"] = errand("SCHEDULED", reason=UNSERVED)
    api.answers[f"POST flow-runs/{RUN}/cancel"] = {}
    done = cli("block", "test", BLOCK, "-q", "duck")
    assert (done.code, one_line(done.err)) == (1, f"Error: {UNSERVED['message']}")
    assert len(api.calls(f"POST flow-runs/{RUN}/cancel")) == 1


def test_discovering_tells_how_much_was_found(api: Api, cli: Cli) -> None:
    api.answers[f"POST blocks/{BLOCK}/discover"] = (202, {"run": RUN})
    found = {"resources": 3, "events": 1200, "vanished": 0, "notice": "some were left out"}
    api.answers[f"GET errands/{RUN}"] = errand("COMPLETED", result=found)
    done = cli("block", "discover", BLOCK)
    assert one_line(done.err) == "3 resources, 1,200 events, 0 vanished; some were left out"


def test_discovery_is_shown_and_changed(api: Api, cli: Cli) -> None:
    standing = {"active": True, "interval_s": 300, "work_queue": "default"}
    api.answers.update({f"{verb} blocks/{BLOCK}/discovery": standing for verb in ("GET", "PATCH")})
    assert cli("block", "discovery", BLOCK, "--output", "json").json == standing
    assert cli("block", "discovery", BLOCK, "--off", "--every", "5m", "-q", "slow").code == 0
    body = {"active": False, "interval_s": 300, "work_queue": "slow"}
    assert api.calls(f"PATCH blocks/{BLOCK}/discovery")[0][1] == body
    assert cli("block", "discovery", BLOCK, "--every", "soon").code == 2


def test_resources_are_listed_and_shown(api: Api, cli: Cli) -> None:
    bucket = {"id": "s3://dev", "kind": "s3.bucket", "name": "dev", "source": BLOCK, "last_seen": None, "labels": {}}
    api.answers["GET resources"] = page(bucket)
    api.answers["GET resources/s3%3A%2F%2Fdev"] = bucket
    api.answers["GET relations"] = page({"source": "s3://dev/raw", "target": "s3://dev", "role": "part-of"})
    api.answers["GET resources/s3%3A%2F%2Fdev/states"] = page({"state": "healthy", "since": None, "until": None})
    assert "s3://dev" in cli("resource", "ls", "--kind", "s3.*", "--vanished").out
    assert api.calls("GET resources")[0][0] == {"kind": ["s3.*"], "vanished": ["true"], "limit": ["50"]}
    shown = cli("resource", "inspect", "s3://dev", "--output", "json").json
    assert shown["relations"][0]["source"] == "s3://dev/raw"
