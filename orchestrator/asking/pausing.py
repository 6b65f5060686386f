"""Flows that wait for people: paused, while their process stays, or suspended, while nothing executes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .. import context
from ..client import Client
from ..clock import now
from ..context import FlowRun
from ..engine.timeouts import Leave
from ..errors import Conflict, FlowPauseTimedOut, InvalidInput
from ..observing.logs import get_run_logger
from ..states import SUSPENDED, StateType
from . import awaiting, input_types
from .awaiting import Stop
from .drawn import UNKNOWN
from .input_types import InputType
from .run_inputs import RunInput, RunInputMetadata

_NOTHING: Any = object()


def pause_flow_run(
    wait_for_input: Any = None,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    key: str | None = None,
    *,
    default: Any = _NOTHING,
    description: str = "",
) -> Any:
    """Have the present flow run wait for a person: it is PAUSED, and its process stays, until somebody resumes it on
    its page, by the command line, REST or from another flow. To be awaited in ``async`` code.

    Args:
        wait_for_input: What to ask for: a :class:`RunInput` or another pydantic model, a dataclass, or a type such as
            ``int`` or ``Literal["yes", "no"]``; None: only to go on.
        timeout: Seconds to wait; None: for ever.
        poll_interval: Of no effect: answers arrive at once. It is there for code that gives it.
        key: By which a later attempt finds the answer; the number of the call, when not given.
        default: What it returns where nobody answers in time.
        description: What stands above the form, in markdown; that of the type, when not given.

    Returns:
        The answer, as a value of the type; None where nothing was asked for.

    Raises:
        FlowPauseTimedOut: Nobody answered in time, and there is no default.
        Conflict: It is called outside of flows or in a task, or the run is not tracked.
        InvalidInput: The type has no JSON schema, or the default does not fit it.
    """
    run = _present("pause_flow_run")
    if run.drawn is not None:
        return run.drawn.answer(_called("pause", wait_for_input), UNKNOWN if default is _NOTHING else default)
    question = _question(run, wait_for_input, timeout, key, default, description, suspends=False)
    return awaiting.either(lambda stop: _answered(run, question, stop))


def suspend_flow_run(
    wait_for_input: Any = None,
    flow_run_id: uuid.UUID | str | None = None,
    timeout: float | None = 3600,
    key: str | None = None,
    *,
    default: Any = _NOTHING,
    description: str = "",
) -> Any:
    """Have a flow run wait for a person without its process: that ends, its slot is free, and once somebody resumes the
    run it begins anew, on any agent, as its next attempt. In that the same call returns the answer at once. To be
    awaited in ``async`` code.

    Args:
        wait_for_input: What to ask for, as :func:`pause_flow_run`; only of the present run.
        flow_run_id: Another run that is to be suspended; the present one, when not given.
        timeout: Seconds to wait, after which the run fails; None: for ever.
        key: By which the next attempt finds the answer; the number of the call, when not given.
        default: What the next attempt, which begins then by itself, gets where nobody answers in time.
        description: What stands above the form, in markdown; that of the type, when not given.

    Returns:
        As :func:`pause_flow_run`, in the attempt after the answer; None at once for another run.

    Raises:
        Conflict: It is called outside of flows, in a task or in a subflow; or no agent executes the run.
        InvalidInput: The type has no JSON schema, or the default does not fit it.
    """
    present = context.flow_run()
    if flow_run_id is not None and (present is None or str(flow_run_id) != present.id):
        if wait_for_input is not None or default is not _NOTHING:
            raise InvalidInput("input can be waited for in the present flow run alone: leave out flow_run_id")
        until = now() + timedelta(seconds=timeout) if timeout is not None else None
        return awaiting.either(lambda stop: _post(f"flow-runs/{flow_run_id}/suspend", {"until": until}))
    run = _present("suspend_flow_run")
    if run.drawn is not None:
        return run.drawn.answer(_called("suspend", wait_for_input), UNKNOWN if default is _NOTHING else default)
    if run.parent is not None:
        raise Conflict("a subflow cannot be suspended: call suspend_flow_run in the outermost flow")
    if not run.supervised:
        raise Conflict("a run that was started by hand cannot be suspended, since no agent could take it up again: "
                       "use pause_flow_run, or run it by a deployment")  # fmt: skip
    question = _question(run, wait_for_input, timeout, key, default, description, suspends=True)
    return awaiting.either(lambda stop: _answered(run, question, stop))


def resume_flow_run(flow_run_id: uuid.UUID | str, run_input: Any = None) -> Any:
    """Have a paused or suspended flow run go on; to be awaited in ``async`` code.

    Args:
        run_input: The answer to what it asks: an object, a model, or the value of a type without fields.

    Raises:
        NotFound: There is no such run.
        InvalidInput: It asks for an answer, and this is none; ``errors`` names the fields.
        Conflict: It does not wait.
    """
    answer = None if run_input is None else input_types.plain(run_input)
    if answer is not None and not isinstance(answer, dict):
        answer = {input_types.VALUE: answer}
    return awaiting.either(lambda stop: _post(f"flow-runs/{flow_run_id}/resume", {"input": answer}))


@dataclass(frozen=True)
class _Question:
    key: str
    suspends: bool
    timeout: float | None
    kind: InputType[Any] | None
    description: str
    has_default: bool
    #: As an answer.
    default: dict[str, Any] | None

    def body(self, run: FlowRun, problems: Mapping[str, list[str]] | None) -> dict[str, Any]:
        schema = None if self.kind is None else self.kind.schema
        return {
            "key": self.key, "attempt": run.attempt, "suspends": self.suspends, "schema": schema,
            "description": self.description, "has_default": self.has_default, "default": self.default,
            "timeout_s": self.timeout, "problems": problems,
        }  # fmt: skip


def _called(verb: str, kind: Any) -> str:
    """What a question is called in a drawing."""
    return verb if kind is None else f"{verb} for {getattr(kind, '__name__', None) or kind}"


def _present(what: str) -> FlowRun:
    run = context.flow_run()
    if run is None:
        raise Conflict(f"no flow run goes on here: call {what} in a flow")
    if context.task_run() is not None:
        raise Conflict(f"a task cannot wait for people: call {what} in the flow itself")
    return run


def _question(
    run: FlowRun, kind: Any, timeout: float | None, key: str | None, default: Any, description: str, *, suspends: bool
) -> _Question:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0):
        raise InvalidInput(f"timeout is {timeout!r}: it has to be a number of seconds, or None to wait for ever")
    if not isinstance(description, str):
        raise InvalidInput(f"description is {description!r}: it has to be a text")
    wanted = None if kind is None else input_types.input_type(kind)
    if wanted is not None and not description:
        own = getattr(kind, "_description", None) if isinstance(kind, type) and issubclass(kind, RunInput) else None
        description = own if own is not None else wanted.description
    answer = wanted.answer(default) if wanted is not None and default is not _NOTHING else None
    return _Question(
        key=_key(run, key), suspends=suspends, timeout=timeout, kind=wanted, description=description,
        has_default=default is not _NOTHING, default=answer,
    )  # fmt: skip


def _key(run: FlowRun, key: str | None) -> str:
    """A key that the same call has in each attempt: the one that was given, or which of those without one it is."""
    if key is not None:
        if not isinstance(key, str) or not key.strip() or len(key) > 150:
            raise InvalidInput(f"key is {key!r}: it has to be a text of 1 to 150 characters")
        return key
    waits = awaiting.waits_of(run)
    with waits.lock:
        waits.asked += 1
        return f"call-{waits.asked}"


def _answered(run: FlowRun, question: _Question, stop: Stop) -> Any:
    """Ask, and wait in the way that the question says; the answer as a value."""
    client = awaiting.client_of("waiting for people", run)
    problems: Mapping[str, list[str]] | None = None
    while True:
        told = _asked(client, run, question, problems, stop)
        if told["state"] == "pending":
            if question.suspends:
                raise Leave(StateType.PAUSED, SUSPENDED, "Suspended, until somebody resumes it.")
            get_run_logger().info("paused: %s", _where(told))
            told = _settled(client, run, told, stop)
        if told["state"] != "answered":
            _give_up(run, question, told)
            return None
        try:
            return _value(run, question, told)
        except InvalidInput as error:
            get_run_logger().warning("the answer does not fit, and is asked for again: %s", error)
            problems = error.errors


def _asked(
    client: Client, run: FlowRun, question: _Question, problems: Mapping[str, list[str]] | None, stop: Stop
) -> dict[str, Any]:
    path, body = f"flow-runs/{run.id}/questions", question.body(run, problems)
    told: dict[str, Any] = awaiting.known(run, lambda: client.post(path, body), stop)
    return told


def _settled(client: Client, run: FlowRun, told: dict[str, Any], stop: Stop) -> dict[str, Any]:
    """The question, once nobody has to answer it any more."""
    path = f"flow-runs/{run.id}/questions/{told['id']}"
    while True:
        told = awaiting.polled(
            lambda wait_s: awaiting.get(client, path, wait_s), lambda one: one["state"] != "pending", stop
        )
        if told["state"] != "withdrawn" or told["run_state"] != StateType.CANCELLING.value or not run.supervised:
            return told
        stop.rest(1.0)  # the agent takes this process down


def _give_up(run: FlowRun, question: _Question, told: dict[str, Any]) -> None:
    if told["state"] == "timed-out":
        what = "resumed" if question.kind is None else "answered"
        raise FlowPauseTimedOut(f"nobody {what} the flow run {run.name} within {question.timeout:g} s ({question.key})")
    if told["run_state"] == StateType.RUNNING.value and question.kind is None:
        return
    if told["run_state"] in (StateType.CANCELLING.value, StateType.CANCELLED.value):
        raise Leave(StateType.CANCELLED, "", "cancelled while it waited for a person")
    raise Conflict(
        f"the flow run {run.name} is {told['run_state']}, and nobody answered what it asked ({question.key})"
    )


def _value(run: FlowRun, question: _Question, told: dict[str, Any]) -> Any:
    if question.kind is None:
        return None
    value = question.kind.read(told["answer"])
    if isinstance(value, RunInput):
        value._metadata = RunInputMetadata(key=question.key, receiver=run.id)
    return value


def _where(told: dict[str, Any]) -> str:
    waits = "for an answer" if told["schema"] is not None else "to be resumed"
    until = f" until {told['deadline']}" if told["deadline"] else ""
    return f"the run waits {waits}{until} (orchestrator flow-run resume {told['flow_run_id']})"


def _post(path: str, body: dict[str, Any]) -> None:
    Client.from_settings().post(path, body)
