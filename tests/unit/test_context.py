"""What the present code belongs to: by context, and for threads that have none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from orchestrator import context
from orchestrator.context import FlowRun, TaskRun
from orchestrator.settings import Settings
from orchestrator.states import StateType

T = TypeVar("T")


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put(self, item: Any) -> None:
        self.items.append(item)

    def flush(self, timeout: float) -> bool:
        return True


def flow_run(**more: Any) -> FlowRun:
    return FlowRun(context.new_id(), "f", "run", {}, Settings(), more.pop("sink", None), **more)


def elsewhere(ask: Callable[[], T]) -> T:
    """The answer of a thread that inherits no context."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


def test_a_run_is_present_inside_its_block_only() -> None:
    outer = flow_run()
    inner = flow_run(parent=outer)
    assert context.flow_run() is context.owner() is None
    with context.running(outer):
        with context.running(inner):
            assert context.flow_run() is inner
        assert context.flow_run() is outer
    assert context.flow_run() is None


def test_a_thread_without_context_belongs_to_the_only_run_if_there_is_one() -> None:
    first, second = flow_run(), flow_run()
    with context.running(first):
        with context.running(flow_run(parent=first)):
            assert elsewhere(context.owner) is first
        assert elsewhere(context.flow_run) is None
        with context.running(second):
            assert elsewhere(context.owner) is None
        assert elsewhere(context.owner) is first
    assert elsewhere(context.owner) is None


def test_a_subflow_does_not_belong_to_the_task_around_it() -> None:
    with context.running(flow_run()) as _:
        task = TaskRun("t", "m.t", [], [], context.flow_run(), True)
        before = context.enter_task(task)
        assert before is None
        with context.running(flow_run(parent=context.flow_run())):
            assert context.task_run() is None
        assert context.task_run() is task
        assert TaskRun("u", "m.u", [], [], None, True).parent is task
        context.leave_task(before)
    assert context.task_run() is None


def test_tags_add_up_and_end_with_their_block() -> None:
    with context.tags("a"):
        with context.tags("b", "a") as found:
            assert found == context.present_tags() == {"a", "b"}
        assert context.present_tags() == {"a"}
    assert context.present_tags() == frozenset()


def test_runs_of_a_task_are_numbered_whoever_asks() -> None:
    run = flow_run()
    threads = [threading.Thread(target=lambda: [run.number("t") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.number("t") == 2000
    assert run.number("other") == 0


def test_what_is_not_tracked_reports_nothing_and_what_is_names_its_attempt() -> None:
    sink = Kept()
    for run in (flow_run(), flow_run(sink=sink, attempt=3)):
        run.put({"kind": "log"})
        TaskRun("t", "m.t", ["x"], [], run, True).put(StateType.RUNNING, "Running")
    TaskRun("t", "m.t", [], [], None, True).put(StateType.RUNNING, "Running")
    assert [item["kind"] for item in sink.items] == ["log", "task-run"]
    assert (sink.items[1]["flow_attempt"], sink.items[1]["tags"]) == (3, ["x"])
