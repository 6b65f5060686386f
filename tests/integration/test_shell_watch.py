"""``orchestrator shell watch``: the command is as it would be without it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client

from ..live_api import Api
from ..polling import until

WATCH = [sys.executable, "-m", "orchestrator", "shell", "watch", "--name", "job", "--resource", "cron.job"]


def watched(*command: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*WATCH, *options, "--", *command], capture_output=True, timeout=60, **more)


def told() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Client.from_settings().get("events", {"event": "shell.*"})["items"]
    return found[::-1]


def test_a_command_is_passed_through_and_told_of(api: Api) -> None:
    script = "read line; echo out $line; echo err >&2; exit 3"
    done = watched("sh", "-c", script, input=b"in\n", options=("--label", "team=sales"))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out in\n", b"err\n")
    started, failed = told()
    assert (started["event"], failed["event"]) == ("shell.started", "shell.failed")
    assert started["resource"].items() >= {
        "resource.id": "cron.job", "resource.name": "job", "resource.kind": "shell.command", "team": "sales",
    }.items()  # fmt: skip
    assert started["payload"]["program"] == "sh"
    assert script not in str(started), "arguments may hold secrets"
    payload = failed["payload"]
    assert (payload["exit_code"], payload["run"]) == (3, started["payload"]["run"])
    assert sorted(payload["output"].splitlines()) == ["err", "out in"]
    assert payload["duration_s"] >= 0


def test_arguments_are_told_when_asked_for_and_output_need_not_be(api: Api) -> None:
    assert watched("echo", "hello", options=("--arguments", "--no-output")).stdout == b"hello\n"
    completed = told()[-1]
    assert (completed["event"], completed["payload"]["arguments"]) == ("shell.completed", ["hello"])
    assert "output" not in completed["payload"]


def test_a_long_output_is_whole_and_its_end_is_kept(api: Api) -> None:
    done = watched("sh", "-c", "seq 1 200000; printf '\\0end'")
    assert len(done.stdout.splitlines()) == 200_001
    output = told()[-1]["payload"]["output"]
    assert (len(output), output[-9:]) == (10_000, "200000\nend"[-9:])
    (run,) = Client.from_settings().pages("flow-runs")
    lines = [line["message"] for line in Client.from_settings().pages("logs", {"flow_run_id": run["id"], "limit": 200})]
    assert lines[:-1] == [str(number) for number in range(1, 10_001)]
    assert lines[-1].startswith("190001 more lines of output were not kept")


def test_one_file_for_both_keeps_the_order(api: Api, tmp_path: Path) -> None:
    script = "for i in 1 2 3; do echo o$i; echo e$i >&2; done"
    with (tmp_path / "log").open("wb") as file:
        subprocess.run([*WATCH, "--", "sh", "-c", script], stdout=file, stderr=file, timeout=60, check=True)
    assert (tmp_path / "log").read_text() == "o1\ne1\no2\ne2\no3\ne3\n" == told()[-1]["payload"]["output"]


@pytest.mark.parametrize(("command", "code"), [("/nowhere/at-all", 127), (os.curdir, 126)])
def test_what_cannot_be_executed_fails_as_in_a_shell(api: Api, command: str, code: int) -> None:
    assert watched(command).returncode == code
    failed = told()[-1]
    assert (failed["event"], failed["payload"]["exit_code"]) == ("shell.failed", code)
    assert failed["payload"]["error"]


def test_a_signal_goes_to_the_command(api: Api, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'echo bye; exit 5' TERM; touch {ready}; while :; do read -t 1 x < /dev/zero || sleep 0.1; done"
    process = subprocess.Popen([*WATCH, "--", "bash", "-c", script], stdout=subprocess.PIPE)
    until(ready.exists, timeout=60)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, b"bye\n")


def test_who_is_ended_by_a_signal_is_seen_to_be(api: Api) -> None:
    assert watched("sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    assert watched("sh", "-c", "kill -KILL $$").returncode == -signal.SIGKILL
    payload = told()[-1]["payload"]
    assert (payload["signal"], payload["exit_code"]) == ("SIGKILL", 137)


def test_what_a_command_leaves_running_is_not_waited_for(api: Api, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    script = f"(while [ ! -e {stop} ]; do sleep 0.1; done) & echo done"
    reading, writing = os.pipe()
    process = subprocess.Popen([*WATCH, "--", "sh", "-c", script], stdout=writing)
    os.close(writing)
    assert process.wait(60) == 0
    stop.touch()
    with open(reading, "rb") as output:
        assert output.read() == b"done\n"


def test_a_terminal_stays_the_commands_own(api: Api) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*WATCH, "--", "sh", "-c", "test -t 1 && echo terminal"], stdout=theirs)
    os.close(theirs)
    assert process.wait(60) == 0
    assert os.read(ours, 100) == b"terminal\r\n"
    os.close(ours)


def test_what_happened_while_the_server_was_away_is_told_later(api: Api) -> None:
    api.stop()
    done = watched("sh", "-c", "echo still; exit 4")
    assert (done.returncode, done.stdout) == (4, b"still\n")
    api.start()
    subprocess.run([sys.executable, "-m", "orchestrator", "report", "flush"], check=True, timeout=60)
    assert [event["event"] for event in told()] == ["shell.started", "shell.failed"]


def test_without_a_server_and_with_wrong_settings_it_still_runs(tmp_path: Path) -> None:
    done = watched("sh", "-c", "exit 6")
    assert (done.returncode, b"no API is configured" in done.stderr) == (6, True)
    done = watched("sh", "-c", "exit 6", env={**os.environ, "ORCHESTRATOR_PORT": "none"})
    assert (done.returncode, b"ORCHESTRATOR_PORT" in done.stderr) == (6, True)


def end_of(client: Client, run: dict[str, Any]) -> dict[str, Any]:
    """The last state of a run, with its details."""
    last: dict[str, Any] = client.get(f"flow-runs/{run['id']}/states")["items"][-1]
    return last


def test_a_command_is_a_flow_run_with_its_output_as_log(api: Api) -> None:
    assert watched("sh", "-c", "echo one; echo two >&2; exit 3").returncode == 3
    client = Client.from_settings()
    (run,) = client.pages("flow-runs")
    assert (run["flow"]["name"], run["state"]["type"]) == ("job", "FAILED")
    assert run["state"]["message"] == "exit code 3"
    assert end_of(client, run)["details"] == {"exit_code": 3}
    assert run["started"] <= run["ended"]
    lines = {(line["logger"], line["message"]) for line in client.pages("logs", {"flow_run_id": run["id"]})}
    assert lines == {("stdout", "one"), ("stderr", "two")}
    related = {one["resource.id"] for one in told()[-1]["related"]}
    assert f"orchestrator.flow-run.{run['id']}" in related


def test_a_signal_and_what_is_not_there_are_failures_of_the_run(api: Api) -> None:
    watched("sh", "-c", "kill -KILL $$")
    watched("/nowhere/at-all")
    assert watched("true", options=("--no-run",)).returncode == 0
    watched("sh", "-c", "echo secret", options=("--no-output",))
    client = Client.from_settings()
    quiet, missing, killed = client.pages("flow-runs")
    assert killed["state"]["message"] == "ended by SIGKILL"
    assert end_of(client, killed)["details"] == {"exit_code": 137, "signal": "SIGKILL"}
    assert missing["state"]["type"] == "FAILED"
    assert end_of(client, missing)["details"] == {"exit_code": 127}
    assert quiet["state"]["type"] == "COMPLETED"
    assert list(client.pages("logs", {"flow_run_id": quiet["id"]})) == []


def test_a_command_in_a_flow_is_a_subflow(api: Api) -> None:
    from orchestrator import flow, reporting

    @flow
    def nightly() -> int:
        return watched("sh", "-c", "echo inside").returncode

    assert nightly() == 0
    assert reporting.finish(10)
    runs = {run["flow"]["name"]: run for run in Client.from_settings().pages("flow-runs")}
    assert runs["job"]["parent_flow_run_id"] == runs["nightly"]["id"]
    assert {run["state"]["type"] for run in runs.values()} == {"COMPLETED"}
    assert "ORCHESTRATOR_RUN_ID" not in os.environ
