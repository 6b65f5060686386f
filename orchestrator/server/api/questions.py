"""``flow-runs/.../question``, ``questions`` and ``messages``: what runs wait to be told."""

from __future__ import annotations

import time
import uuid
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from ...clock import now
from ...documents.records import Actor
from ...errors import NotFound
from .. import answers
from ..db.models import FlowMessage, FlowQuestion
from ..db.models.flow_question import PENDING
from ..db.session import reading, transaction
from ..schemas import questions as schemas
from ..schemas.base import PageQuery
from ..services.recording.announcements import resource
from ..services.running import messages, questions, reported
from ..services.running.questions import Asked
from . import holding
from .access import actor, needs, principal
from .resource import Resource, answer, answer_all

blueprint = Resource("questions", "What flow runs ask of people, and messages to them.")

_CLOCK = Actor("server", name="questions")
_SHOWN = (
    "id", "flow_run_id", "key", "attempt", "schema", "description", "has_default", "default", "deadline", "problems",
    "answer", "asked", "answered",
)  # fmt: skip


@blueprint.route("/flow-runs/<uuid:run_id>/questions", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.QuestionInputSchema)
@blueprint.response(200, schemas.QuestionSchema)
def ask_question(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Have a flow run wait for an answer; where it has that from an earlier attempt, nothing changes. For its own
    process. `POST flow-runs/{id}/resume` answers.
    """
    attempt = body.pop("attempt")
    with transaction() as session:
        _own_family_only(session, run_id)
        asked = questions.ask(session, run_id, Asked(**body), attempt=attempt, actor=reported.PROCESS, now=now())
        return answer(present(session, asked))


@blueprint.route("/flow-runs/<uuid:run_id>/question")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.QuestionSchema)
def get_pending_question(run_id: uuid.UUID) -> Response:
    """Get what a flow run asks now; 404 when it waits for no answer."""
    with reading() as session:
        found = questions.pending(session, run_id)
        if found is None:
            raise NotFound(f"the flow run {run_id} waits for no answer")
        return answer(present(session, found))


@blueprint.route("/flow-runs/<uuid:run_id>/questions")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.QuestionPage)
def list_questions(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """List what a flow run has asked, and what it was told, in order."""
    with reading() as session:
        found = [present(session, item) for item in questions.listing(session, run_id)]
    return answer_all(found, query)


@blueprint.route("/flow-runs/<uuid:run_id>/questions/<uuid:question_id>")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.WaitQuery, location="query")
@blueprint.response(200, schemas.QuestionSchema)
def get_question(query: dict[str, Any], run_id: uuid.UUID, question_id: uuid.UUID) -> Response:
    """Get a question, once it is settled or `wait_s` is over."""
    found = _look(run_id, question_id)
    # Where very many wait already, the answer is the present state: who asks may ask again.
    if found["state"] == PENDING and query["wait_s"] and holding.take(4):
        try:
            answers.wait_for_answer(run_id, question_id, query["wait_s"])
        finally:
            holding.leave(4)
        found = _look(run_id, question_id)
    return answer(found, headers={"Cache-Control": "no-store"})


@blueprint.route("/flow-runs/<uuid:run_id>/messages", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.MessageInputSchema)
@blueprint.response(201, schemas.MessageSchema)
def send_message(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Send a flow run a message."""
    caller = principal()
    if caller.run_id is not None and not body["sender"]:
        body["sender"] = resource("flow-run", caller.run_id, None)["resource.id"]
    with transaction() as session:
        return answer(present_message(messages.send(session, run_id, **body, actor=actor(), now=now())), 201)


@blueprint.route("/flow-runs/<uuid:run_id>/messages")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.MessageQuery, location="query")
@blueprint.response(200, schemas.MessagePage)
def list_messages(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Read the messages to a flow run, once there are some or `wait_s` is over."""
    deadline = time.monotonic() + query.pop("wait_s")
    found = _messages(run_id, query)
    if not found and time.monotonic() < deadline and holding.take(4):
        try:
            left = deadline - time.monotonic()
            answers.wait_for_message(run_id, query["key_prefix"], query["after"], left)
        finally:
            holding.leave(4)
        found = _messages(run_id, query)
    return answer({"items": found}, headers={"Cache-Control": "no-store"})


def present(session: Session, question: FlowQuestion) -> dict[str, Any]:
    """A question as JSON."""
    state, run_state = questions.standing(session, question)
    shown = {name: getattr(question, name) for name in _SHOWN}
    return {**shown, "state": state, "answered_by": question.answered_by or None, "run_state": run_state.value}


def present_message(message: FlowMessage) -> dict[str, Any]:
    """A message as JSON."""
    names = ("flow_run_id", "position", "key_prefix", "value", "sender", "created", "created_by")
    return {**{name: getattr(message, name) for name in names}, "key": f"{message.key_prefix}-{message.position}"}


def _look(run_id: uuid.UUID, question_id: uuid.UUID) -> dict[str, Any]:
    at = now()
    with reading() as session:
        _own_family_only(session, run_id)
        question = questions.get(session, run_id, question_id)
        found = present(session, question)
        if found["state"] != PENDING or question.deadline is None or question.deadline > at:
            return found
    with transaction() as session:  # its time is up: whoever looks first says so
        questions.expire(session, run_id, _CLOCK, at)
        return present(session, questions.get(session, run_id, question_id))


def _messages(run_id: uuid.UUID, query: dict[str, Any]) -> list[dict[str, Any]]:
    with reading() as session:
        _own_family_only(session, run_id)
        return [present_message(item) for item in messages.listing(session, run_id, **query)]


def _own_family_only(session: Session, run_id: uuid.UUID) -> None:
    """Raise NotFound when the request carries a run's token, and ``run_id`` is neither that run nor below it."""
    own = principal().run_id
    if own is not None and own != run_id and own not in reported.ancestors(session, run_id):
        raise NotFound(f"there is no flow run {run_id}")
