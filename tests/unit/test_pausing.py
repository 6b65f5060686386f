"""Waiting for people and for messages, against an API that answers from a table."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator import context, settings
from orchestrator.asking.awaiting import either
from orchestrator.asking.pausing import pause_flow_run, resume_flow_run, suspend_flow_run
from orchestrator.asking.run_inputs import AutomaticRunInput, RunInput, RunInputMetadata, receive_input
from orchestrator.context import FlowRun
from orchestrator.engine.timeouts import Leave
from orchestrator.errors import Conflict, FlowPauseTimedOut, InputTimedOut, InvalidInput
from orchestrator.states import StateType

from .cli.api import Api, serving

RUN = "0199c0de-0000-7000-8000-000000000001"
OTHER = "0199c0de-0000-7000-8000-000000000002"
ASK, WAIT = f"POST flow-runs/{RUN}/questions", f"GET flow-runs/{RUN}/questions/q"
READ, SEND = f"GET flow-runs/{RUN}/messages", f"POST flow-runs/{OTHER}/messages"


class Approval(RunInput):
    approve: bool
    limit: int = 5


class Quiet:
    """A sink that nobody reads."""

    def put(self, item: Any) -> None:
        pass

    def flush(self, timeout: float) -> bool:
        return True


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with serving() as served:
        monkeypatch.setenv("ORCHESTRATOR_API_URL", served.url)
        served.answers[ASK] = asked()
        yield served


@pytest.fixture
def run() -> Iterator[FlowRun]:
    """A flow run that an agent executes."""
    made = FlowRun(RUN, "job", "brave-duck", {}, settings.load(), Quiet(), attempt=2, supervised=True)
    with context.running(made):
        yield made


def asked(state: str = "pending", answer: Any = None, run_state: str = "PAUSED") -> dict[str, Any]:
    told = {"id": "q", "flow_run_id": RUN, "schema": {}, "deadline": None}
    return {**told, "state": state, "answer": answer, "run_state": run_state}


def message(position: int, value: Any, prefix: str = "str-auto", sender: str | None = None) -> dict[str, Any]:
    told = {"position": position, "key": f"{prefix}-{position}", "value": value, "sender": sender}
    return {**told, "key_prefix": prefix}


def mailbox(api: Api, *messages: dict[str, Any]) -> None:
    def read(query: dict[str, list[str]], body: Any) -> Any:
        fits = [one for one in messages if one["position"] > int(query["after"][0])]
        return {"items": [one for one in fits if one["key_prefix"] == query["key_prefix"][0]]}

    api.answers[READ] = read


def test_an_answer_comes_back_typed(api: Api, run: FlowRun) -> None:
    api.answers[WAIT] = asked("answered", {"approve": True})
    found = pause_flow_run(Approval, timeout=60)
    assert (found.model_dump(), found.metadata.receiver) == ({"approve": True, "limit": 5}, RUN)
    [(_, body)] = api.calls(ASK)
    assert (body["key"], body["attempt"], body["suspends"], body["timeout_s"]) == ("call-1", 2, False, 60)
    assert body["schema"]["required"] == ["approve"]


def test_calls_are_numbered_and_keys_are_not(api: Api, run: FlowRun) -> None:
    api.answers[ASK] = asked("answered", {"value": 3})
    assert [pause_flow_run(int), suspend_flow_run(int, key="mine"), pause_flow_run(int)] == [3, 3, 3]
    assert [body["key"] for _, body in api.calls(ASK)] == ["call-1", "mine", "call-2"]


def test_a_default_is_sent_along(api: Api, run: FlowRun) -> None:
    api.answers[ASK] = asked("answered", {"value": 8})
    assert pause_flow_run(int, default="8", description="How many?") == 8
    [(_, body)] = api.calls(ASK)
    assert (body["has_default"], body["default"], body["description"]) == (True, {"value": 8}, "How many?")
    with pytest.raises(InvalidInput):
        pause_flow_run(int, default="many")


def test_what_only_the_flow_finds_wrong_is_asked_again(api: Api, run: FlowRun) -> None:
    answers = iter([asked("answered", {"value": "x"}), asked("answered", {"value": 2})])
    api.answers[ASK] = lambda query, body: next(answers)
    assert pause_flow_run(int) == 2
    assert [list(body["problems"] or {}) for _, body in api.calls(ASK)] == [[], ["value"]]


def test_nobody_answers(api: Api, run: FlowRun) -> None:
    api.answers[WAIT] = asked("timed-out", run_state="RUNNING")
    with pytest.raises(FlowPauseTimedOut, match="nobody answered the flow run brave-duck within 9 s"):
        pause_flow_run(int, timeout=9)


def test_a_suspension_leaves(api: Api, run: FlowRun) -> None:
    with pytest.raises(Leave) as left:
        suspend_flow_run()
    assert (left.value.kind, left.value.name) == (StateType.PAUSED, "Suspended")


def test_a_run_that_was_cancelled_leaves(api: Api, run: FlowRun) -> None:
    run.supervised = False
    api.answers[WAIT] = asked("withdrawn", run_state="CANCELLING")
    with pytest.raises(Leave) as left:
        pause_flow_run()
    assert left.value.kind is StateType.CANCELLED


def test_a_run_that_was_moved_on_goes_on(api: Api, run: FlowRun) -> None:
    api.answers[WAIT] = asked("withdrawn", run_state="RUNNING")
    assert pause_flow_run() is None
    with pytest.raises(Conflict, match="nobody answered what it asked"):
        pause_flow_run(int)


def test_where_nobody_can_be_waited_for(run: FlowRun, api: Api) -> None:
    run.parent = run
    with pytest.raises(Conflict, match="a subflow cannot be suspended"):
        suspend_flow_run()
    run.parent, run.supervised = None, False
    with pytest.raises(Conflict, match="started by hand cannot be suspended"):
        suspend_flow_run()
    run.sink = None
    with pytest.raises(Conflict, match="ORCHESTRATOR_API_URL"):
        pause_flow_run()
    with pytest.raises(InvalidInput, match="leave out flow_run_id"):
        suspend_flow_run(int, flow_run_id=OTHER)
    for timeout in (-1, "long", True):
        with pytest.raises(InvalidInput, match="timeout"):
            pause_flow_run(timeout=timeout)  # type: ignore[arg-type]
    assert api.asked == []


def test_outside_of_flows_nothing_waits() -> None:
    for call in (pause_flow_run, suspend_flow_run, lambda: receive_input(int)):
        with pytest.raises(Conflict, match="no flow run goes on here"):
            call()


def test_other_runs_are_suspended_and_resumed(api: Api) -> None:
    suspend, resume = f"POST flow-runs/{OTHER}/suspend", f"POST flow-runs/{OTHER}/resume"
    api.answers.update({suspend: {}, resume: {}})
    suspend_flow_run(flow_run_id=OTHER, timeout=None)
    for given in (None, 5, Approval(approve=True), {"a": 1}):
        resume_flow_run(OTHER, given)
    assert [body for _, body in api.calls(suspend)] == [{"until": None}]
    assert [body["input"] for _, body in api.calls(resume)] == [
        None, {"value": 5}, {"approve": True, "limit": 5}, {"a": 1},
    ]  # fmt: skip


def test_messages_are_received_once_by_whoever_asks_first(api: Api, run: FlowRun) -> None:
    mailbox(api, message(1, "a"), message(2, 7, "int-auto"), message(3, "b"), message(4, "c"))
    first, second = receive_input(str, timeout=0), receive_input(str, timeout=0)
    assert [first.next(), second.next(), *first] == ["a", "b", "c"]
    assert receive_input(int, timeout=0).next() == 7
    with pytest.raises(InputTimedOut):
        first.next()
    with pytest.raises(TimeoutError):
        list(receive_input(str, timeout=0, raise_timeout_error=True))
    run.waits = None  # another try
    assert list(receive_input(str, timeout=0, exclude_keys={"str-auto-3"})) == ["a", "c"]


def test_a_message_that_does_not_fit_is_left_behind(api: Api, run: FlowRun) -> None:
    mailbox(api, message(1, "x", "int-auto"), message(2, 5, "int-auto"))
    numbers = receive_input(int, timeout=0)
    with pytest.raises(InvalidInput, match="message int-auto-1 does not fit"):
        next(numbers)
    assert next(numbers) == 5


def test_flows_respond_to_who_wrote(api: Api, run: FlowRun) -> None:
    sender = f"orchestrator.flow-run.{OTHER}"
    mailbox(api, message(1, {"approve": True}, "approval-auto", sender), message(2, 5, "int-auto", sender))
    api.answers[SEND] = {}
    receive_input(Approval, timeout=0).next().respond("thanks")
    number = receive_input(int, timeout=0, with_metadata=True).next()
    assert (type(number), number.value) == (AutomaticRunInput, 5)
    number.respond(number)
    assert [(body["value"], body["key_prefix"], body["sender"]) for _, body in api.calls(SEND)] == [
        ("thanks", "str-auto", f"orchestrator.flow-run.{RUN}"),
        (5, "int-auto", f"orchestrator.flow-run.{RUN}"),
    ]
    number._metadata = RunInputMetadata(key="k", sender="somebody")
    with pytest.raises(InvalidInput, match="no flow run sent it"):
        number.respond(1)


def test_initial_data_are_defaults() -> None:
    made = Approval.with_initial_data("Well?", approve=True)
    assert (made(), made._description) == (made(approve=True, limit=5), "Well?")
    assert Approval._description is None
    with pytest.raises(InvalidInput, match="has no field size; its fields are approve, limit"):
        Approval.with_initial_data(size=1)


def test_asynchronous_code_awaits_and_its_loop_goes_on(api: Api, run: FlowRun) -> None:
    release, began = threading.Event(), threading.Event()

    def wait(query: Any, body: Any) -> Any:
        began.set()
        release.wait(10)
        return asked("answered", {"value": 4})

    api.answers[WAIT] = wait
    mailbox(api, message(1, "a"), message(2, "b"))

    async def main() -> list[Any]:
        answer = asyncio.ensure_future(pause_flow_run(int))
        while not began.is_set():
            await asyncio.sleep(0.01)
        release.set()
        return [await answer, *[text async for text in receive_input(str, timeout=0)]]

    assert asyncio.run(main()) == [4, "a", "b"]


def test_ordinary_code_blocks_wherever_it_is_called() -> None:
    from orchestrator import flow

    @flow
    def inner() -> Any:
        return either(lambda stop: 1)

    @flow
    async def outer() -> list[Any]:
        def helper() -> Any:
            return either(lambda stop: 3)

        return [inner(), await either(lambda stop: 2), await helper()]

    assert inner() == 1
    assert asyncio.run(outer()) == [1, 2, 3]  # type: ignore[arg-type]


def test_what_is_given_up_in_a_thread_stops() -> None:
    stopped = threading.Event()

    def work(stop: Any) -> None:
        try:
            stop.rest(30)
        finally:
            stopped.set()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(either(work), 0.05)

    asyncio.run(main())
    assert stopped.wait(10)
