"""What runs ask of people: a question is asked with a change of state, and settled with another one.

A run whose process waits is PAUSED, ``Paused``; it is RUNNING once somebody answered. One that is to be suspended is
stopped first, and queued again when it is answered. Its next attempt asks the same question, and has the answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import Actor, State
from ....errors import Conflict, InvalidInput, NotFound, TransitionRefused
from ....ids import uuid7
from ....serializers import dumps
from ....states import SUSPENDED, SUSPENDING, SUSPENSION_TIMED_OUT, StateType
from ... import answers
from ...db.models import FlowQuestion, FlowRun
from ...db.models.flow_question import ANSWERED, PENDING, TIMED_OUT, WITHDRAWN
from ...db.session import after_commit
from .. import json_schemas
from ..recording import events
from ..recording.announcements import differing, resource
from ..statements import PEOPLE_TYPES
from .transitions import apply, locked, pending_question

S = StateType

#: Largest question, and largest answer, in bytes of JSON.
QUESTION_MAX = ANSWER_MAX = 64 * 1024
#: Questions that one run may ask.
QUESTIONS_MAX = 1000
#: How the message begins of a run that waits for an answer.
WAITS_FOR_ANSWER = "Waits for an answer"
#: Characters of a description that states repeat.
_SAID = 150


@dataclass(frozen=True)
class Asked:
    """A question, as a run asks it."""

    key: str
    #: Whether the run is suspended while it waits.
    suspends: bool = False
    #: JSON schema of the answer, an object; None: nothing but to go on is asked for.
    schema: dict[str, Any] | None = None
    description: str = ""
    has_default: bool = False
    default: dict[str, Any] | None = None
    timeout_s: float | None = None
    #: What the flow found wrong with the answer that it was given, by field: it asks again.
    problems: dict[str, list[str]] | None = None


def ask(
    session: Session, run_id: uuid.UUID, asked: Asked, *, attempt: int, actor: Actor, now: datetime
) -> FlowQuestion:
    """Have a run ask, and wait: it is PAUSED, or stopped to be suspended. Where that question was answered already,
    nothing changes; the answer is in what is returned.

    Raises:
        NotFound: There is no such run.
        InvalidInput: The question cannot be asked; the field is named.
        Conflict: The run waits for another answer.
        TransitionRefused: The attempt is not the present one, or the run cannot wait; ``code`` says why.
    """
    _check(asked)
    run = locked(session, run_id)
    if attempt != run.attempt:
        message = f"attempt {attempt} of flow run {run.name} is not the present one, which is {run.attempt}"
        raise TransitionRefused(message, "ask", "stale-attempt")
    found = session.scalar(
        select(FlowQuestion).where(FlowQuestion.flow_run_id == run_id, FlowQuestion.key == asked.key)
    )
    if found is not None and found.state == ANSWERED and asked.problems is None:
        return found
    if found is not None and found.state == PENDING and found.attempt == attempt and run.state_type != S.RUNNING.value:
        return found  # the answer to the first request was lost
    _make_room(session, run, asked)
    question = _put(session, run, found, asked, now)
    _wait(session, run, question, asked, actor, now)
    return question


def get(session: Session, run_id: uuid.UUID, question_id: uuid.UUID) -> FlowQuestion:
    """One question of a run. Raises NotFound."""
    found = session.get(FlowQuestion, question_id)
    if found is None or found.flow_run_id != run_id:
        raise NotFound(f"the flow run {run_id} asked no question {question_id}")
    return found


def pending(session: Session, run_id: uuid.UUID) -> FlowQuestion | None:
    """What a run waits to be told; None when it waits for no answer (any more). Raises NotFound."""
    run = session.get(FlowRun, run_id)
    if run is None:
        raise NotFound(f"there is no flow run {run_id}")
    return pending_question(session, run_id) if run.state_type in (S.PAUSED.value, S.CANCELLING.value) else None


def listing(session: Session, run_id: uuid.UUID) -> Sequence[FlowQuestion]:
    """What a run has asked so far, the first question first."""
    query = select(FlowQuestion).where(FlowQuestion.flow_run_id == run_id).order_by(FlowQuestion.id)
    return session.scalars(query.limit(QUESTIONS_MAX)).all()


def standing(session: Session, question: FlowQuestion) -> tuple[str, StateType]:
    """The state of a question, and the type of its run's. It is withdrawn, too, once its run is stopped or ended."""
    run = session.get(FlowRun, question.flow_run_id, populate_existing=True)
    if run is None:
        raise NotFound(f"there is no flow run {question.flow_run_id}")
    waits = run.state_type == S.PAUSED.value or run.state_name == SUSPENDING
    is_gone = question.state == PENDING and not (waits and question.attempt == run.attempt)
    return WITHDRAWN if is_gone else question.state, S(run.state_type)


def settle(session: Session, run: FlowRun, given: Any, actor: Actor, now: datetime) -> bool:
    """Take an answer to what a run asks; tells whether it asked. The caller moves the run on.

    Args:
        given: The answer; None: none was given.

    Raises:
        InvalidInput: It does not fit the question, or nothing was asked; ``errors`` names the fields.
    """
    question = pending_question(session, run.id)
    wanted = None if question is None else question.schema
    if question is None or wanted is None:
        if given:
            message = f"flow run {run.name} asks for no input: resume it without"
            raise InvalidInput(f"input: {message}", {"input": [message]})
        if question is None:
            return False
    _close(session, question, ANSWERED, actor, now, checked(wanted, given) if wanted is not None else None)
    _announce(session, run, question, actor, now)
    return True


def checked(schema: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """An answer that fits the schema of its question. Raises InvalidInput; ``errors`` names the fields."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise InvalidInput("input: Must be an object", {"input": ["Must be an object of the fields that are asked."]})
    if len(dumps(given)) > ANSWER_MAX:
        raise InvalidInput(f"input: Takes more than {ANSWER_MAX:,} bytes", {"input": ["Is too large."]})
    listed = {key: value for key, value in schema.items() if key != "additionalProperties"}
    errors = json_schemas.problems(listed, given)
    known = schema.get("properties", {})
    if known and schema.get("additionalProperties", False) is False:
        errors |= {name: [f"Is not asked for; {', '.join(known)} are."] for name in given if name not in known}
    if errors:
        named = {f"input.{name}" if name else "input": texts for name, texts in errors.items()}
        field, texts = next(iter(named.items()))
        raise InvalidInput(f"{field}: {texts[0]}", named)
    return given


def expire(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime) -> bool:
    """Move a run on whose time to be resumed is up: with the default of its question or, where it has none, to the
    error that its process raises; a suspended one is FAILED then. Tells whether it was moved.

    Raises:
        NotFound: There is no such run.
    """
    run = locked(session, run_id)
    until = run.suspended_until
    if run.state_type != S.PAUSED.value or until is None or until > now:
        return False
    question = pending_question(session, run_id)
    told = f"Nobody {'answered' if question is not None and question.schema is not None else 'resumed it'}"
    told += f" by {to_text(until)}"
    if (
        question is not None
        and question.has_default
        and _go_on(session, run, f"{told}: the default holds.", actor, now)
    ):
        answer = question.default if question.schema is not None else None
        _close(session, question, ANSWERED, actor, now, answer)
        _announce(session, run, question, actor, now)
        return True
    if question is not None:
        _close(session, question, TIMED_OUT, actor, now)
    if run.state_name == SUSPENDED:
        failed = State(S.FAILED, SUSPENSION_TIMED_OUT, f"{told}.", now)
        apply(session, run_id, failed, attempt=None, actor=actor, now=now)
    else:
        _go_on(session, run, f"{told}.", actor, now)
    return True


def go_on(run: FlowRun, message: str, now: datetime) -> tuple[State, datetime | None]:
    """The state of a paused run that is resumed, and when it is due where an agent is to take it."""
    if run.state_name == SUSPENDED:
        return State(S.SCHEDULED, message=message, at=now), max(now, run.due)
    return State(S.RUNNING, message=message, at=now), None


def _go_on(session: Session, run: FlowRun, message: str, actor: Actor, now: datetime) -> bool:
    state, due = go_on(run, message, now)
    try:
        apply(session, run.id, state, attempt=None, actor=actor, now=now, due=due)
    except TransitionRefused:  # its deployment is gone: nobody can take it up again
        return False
    return True


def _close(
    session: Session, question: FlowQuestion, state: str, actor: Actor, now: datetime, answer: Any = None
) -> None:
    question.state, question.answer, question.answered = state, answer, now
    question.answered_by = actor.write() if state == ANSWERED else {}
    session.flush()
    after_commit(session, answers.wake)


def _announce(session: Session, run: FlowRun, question: FlowQuestion, actor: Actor, now: datetime) -> None:
    after = {"key": question.key, "answer": question.answer, "description": question.description}
    payload = {"by": actor.write(), **differing(None, after), "default": actor.type == "server"}
    kind = "action" if actor.type in PEOPLE_TYPES else "operation"
    about = resource("flow-run", run.id, run.name)
    events.record(session, [events.EventRecord("flow-run.answered", about, [], payload, occurred=now, kind=kind)], now)


def _make_room(session: Session, run: FlowRun, asked: Asked) -> None:
    """There is one pending question: one of an earlier attempt is given up, one of this attempt is in the way."""
    query = select(FlowQuestion).where(FlowQuestion.flow_run_id == run.id, FlowQuestion.state == PENDING)
    other = session.scalar(query)
    if other is None or other.key == asked.key:
        return
    if other.attempt == run.attempt and run.state_type != S.RUNNING.value:
        raise Conflict(f"flow run {run.name} waits for an answer already ({other.key}): ask one after the other")
    other.state = WITHDRAWN
    session.flush()


def _put(session: Session, run: FlowRun, found: FlowQuestion | None, asked: Asked, now: datetime) -> FlowQuestion:
    deadline = now + timedelta(seconds=asked.timeout_s) if asked.timeout_s is not None else None
    if found is None:
        if len(listing(session, run.id)) >= QUESTIONS_MAX:
            raise Conflict(f"flow run {run.name} has asked {QUESTIONS_MAX} questions: a run may ask no more")
        found = FlowQuestion(id=uuid7(now), flow_run_id=run.id, key=asked.key)
        session.add(found)
    elif asked.problems is not None and found.deadline is not None and found.deadline > now:
        deadline = found.deadline  # asking again gives nobody more time
    found.attempt, found.state, found.asked, found.deadline = run.attempt, PENDING, now, deadline
    found.schema, found.description, found.problems = asked.schema, asked.description, asked.problems
    found.has_default, found.default = asked.has_default, asked.default
    found.answer, found.answered, found.answered_by = None, None, {}
    session.flush()
    return found


def _wait(session: Session, run: FlowRun, question: FlowQuestion, asked: Asked, actor: Actor, now: datetime) -> None:
    state = State(S.PAUSED, SUSPENDED if asked.suspends else "Paused", _sentence(asked), now)
    # A suspension is the server's to carry out; that the run is PAUSED is its own process's word.
    speaks = None if asked.suspends else run.attempt
    apply(session, run.id, state, attempt=speaks, actor=actor, now=now, until=question.deadline)


def _sentence(asked: Asked) -> str:
    lines = [line.strip("# ").strip() for line in asked.description.splitlines() if line.strip("# ").strip()]
    said = lines[0] if lines else ""
    said = said if len(said) <= _SAID else said[: _SAID - 3].rstrip() + "..."
    waits = "Waits to be resumed" if asked.schema is None else WAITS_FOR_ANSWER
    return f"{waits}: {said}" if said else f"{waits}."


def _check(asked: Asked) -> None:
    size = len(dumps([asked.schema, asked.description, asked.default, asked.problems]))
    if size > QUESTION_MAX:
        problem = f"The question takes {size:,} bytes, of {QUESTION_MAX:,} at most."
        raise InvalidInput(f"schema: {problem}", {"schema": [problem]})
    if asked.schema is None:
        return
    json_schemas.check_schema(asked.schema, "schema")
    if asked.schema.get("type") != "object":
        raise InvalidInput("schema: Must be that of an object", {"schema": ["Must be the schema of an object."]})
    if next(_secrets(asked.schema), None) is not None:
        problem = "Answers can be read by whoever may look at the run: ask for the name of a block, not for a secret."
        raise InvalidInput(f"schema: {problem}", {"schema": [problem]})


def _secrets(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        if node.get("writeOnly") is True:
            yield node
        for value in node.values():
            yield from _secrets(value)
    elif isinstance(node, list):
        for item in node:
            yield from _secrets(item)
