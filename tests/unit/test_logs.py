"""Logs: whose they are, what is cut, what is captured."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import flow, get_run_logger, task
from orchestrator.observing.logs import RunHandler, Tee, cut

Reports = Callable[..., list[dict[str, Any]]]


def test_lines_belong_to_the_run_and_task_that_wrote_them(reports: Reports) -> None:
    @task
    def works() -> None:
        get_run_logger().info("in the task, %d", 7)

    @flow
    def outer() -> None:
        get_run_logger().warning("in the flow")
        works.submit().wait()
        logging.getLogger("some.library").error("from a library")

    outer()
    flow_run, task_run = reports("flow-run")[0]["id"], reports("task-run")[0]["id"]
    told = [(item["message"], item["level"], item["logger"], item["task_run_id"]) for item in reports("log")]
    assert told == [
        ("in the flow", 30, "orchestrator.flow_runs", None),
        ("in the task, 7", 20, "orchestrator.task_runs", task_run),
        ("from a library", 40, "some.library", None),
    ]
    assert {item["flow_run_id"] for item in reports("log")} == {flow_run}
    assert {item["attempt"] for item in reports("log")} == {1}


def test_prints_are_captured_and_still_printed(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    @task(log_prints=False)
    def silent() -> None:
        print("not for the log")

    @flow
    def outer() -> None:
        print("one", 2)
        print("a\nb")
        print("elsewhere", file=io.StringIO())
        sys.stdout.write("no ")
        print("end", end="")
        silent()

    before = sys.stdout
    outer()
    assert sys.stdout is before
    assert [item["message"] for item in reports("log", logger="stdout")] == ["one 2", "a", "b", "no end"]
    assert capsys.readouterr().out == "one 2\na\nb\nno endnot for the log\n"


def test_prints_can_be_left_alone(reports: Reports) -> None:
    @flow(log_prints=False)
    def outer() -> None:
        print("private")
        assert isinstance(sys.stdout, Tee)

    outer()
    assert reports("log") == []


def test_threads_of_the_users_own_log_to_the_only_run(reports: Reports) -> None:
    @flow
    def outer() -> None:
        thread = threading.Thread(target=lambda: get_run_logger().info("from a thread"))
        thread.start()
        thread.join()

    outer()
    assert [item["message"] for item in reports("log")] == ["from a thread"]


def test_one_huge_line_among_ten_is_cut_and_says_so(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_LOG_LINE_MAX", "1000")

    @flow
    def outer() -> None:
        for number in range(11):
            get_run_logger().info("x" * 5_000_000 if number == 5 else str(number))

    outer()
    messages = [item["message"] for item in reports("log")]
    assert len(messages) == 11
    assert messages[5] == "x" * 1000 + "... [4999000 bytes dropped]"


def test_cutting_leaves_characters_whole() -> None:
    assert cut("short", 100) == "short"
    assert cut("ä" * 100, 101) == "ä" * 50 + "... [99 bytes dropped]"
    assert cut("x" * 90, 100) == "x" * 90


def test_exceptions_come_with_their_traceback(reports: Reports) -> None:
    @flow
    def outer() -> None:
        try:
            raise ValueError("inside")
        except ValueError:
            get_run_logger().exception("it broke")

    outer()
    (item,) = reports("log")
    assert item["message"].startswith("it broke\nTraceback")
    assert "ValueError: inside" in item["message"]


def test_a_record_that_cannot_be_formatted_hurts_nobody(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def outer() -> str:
        root = logging.getLogger()
        root.handlers, others = [handler for handler in root.handlers if isinstance(handler, RunHandler)], root.handlers
        try:
            logging.getLogger("some.library").error("%d", "text")
        finally:
            root.handlers = others
        return "fine"

    assert outer() == "fine"
    assert "Logging error" in capsys.readouterr().err


def test_by_hand_the_terminal_shows_run_logs_unless_logging_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def outer() -> None:
        get_run_logger().info("hello terminal")

    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        outer()
        assert capsys.readouterr().err.rstrip().endswith("| INFO    | hello terminal")
        root.handlers = [logging.NullHandler()]
        outer()
        assert "hello terminal" not in capsys.readouterr().err
    finally:
        root.handlers = handlers


def test_by_hand_warnings_still_reach_the_terminal(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def outer() -> None:
        logging.getLogger("some.library").info("not shown")
        logging.getLogger("some.library").warning("mind the gap")

    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        outer()
    finally:
        root.handlers = handlers
    assert capsys.readouterr().err == "mind the gap\n"
    assert [item["message"] for item in reports("log")] == ["mind the gap"]


def test_outside_of_runs_the_logger_is_an_ordinary_one(caplog: pytest.LogCaptureFixture) -> None:
    get_run_logger().warning("nobody's")
    assert caplog.records[-1].name == "orchestrator"


def test_ten_thousand_lines_arrive_in_order(reports: Reports) -> None:
    @flow
    def outer() -> None:
        log = get_run_logger()
        for number in range(10_000):
            log.info("%d", number)

    outer()
    assert [item["message"] for item in reports("log")] == [str(number) for number in range(10_000)]
