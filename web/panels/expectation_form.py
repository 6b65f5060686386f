"""The form that makes or changes an expectation: its fields from a document, and a document from its fields.

What the form has no field for travels along in ``base``, the document that it began with; so nothing is lost that
somebody wrote as YAML.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from marshmallow import ValidationError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from orchestrator import serializers
from orchestrator.documents.yaml_texts import load_all
from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.expectations.documents import FIELDS, RESOURCE_ID
from orchestrator.server.schemas.expectations import ExpectationInputSchema
from orchestrator.server.services.acting import action_kinds
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.configuring.blocks import BlockFilter
from orchestrator.server.services.deploying import calendars, deployments
from orchestrator.server.services.paging import LIMIT_MAX
from orchestrator.timing.calendars import BUILT_IN

from . import expectation_fields
from .expectation_fields import ACTIONS_MAX, MOMENTS, OWN, ROWS, listed, plain

#: Longest YAML, in characters.
YAML_MAX = 200_000
#: What is said of an expectation without a name.
NAMELESS = {"name": ["Give it a name."]}

#: Fields of the document by the fields of the form that stand for them; the first that fits a problem's place.
_PLACES = (
    ("on.match." + RESOURCE_ID, "resource"), ("on.match_related", ""), ("on.match", "labels"), ("on", "expect"),
    ("run.flow", "flow"), ("run.tags", "tags"), ("run.state", "state"), ("run.finishes_within", "finishes_within"),
    ("run.of", "of"), ("run", "deployment"), ("every.timezone", "timezone"), ("every.calendar", "calendar"),
    ("every.interval", "interval"), ("every.rrule", "rrule"), ("within", "span"), ("heartbeat", "span"),
)  # fmt: skip


@dataclass(frozen=True)
class ActionRow:
    """One action, as the form shows it."""

    kind: str
    title: str
    #: Texts of the fields that the form has.
    values: dict[str, str]
    #: The whole document, as JSON.
    raw: str
    #: Whether there is more in it than the form shows.
    has_more: bool


@dataclass
class Form:
    """What the form shows."""

    #: ``form`` or ``yaml``.
    mode: str
    base: dict[str, Any]
    yaml: str
    values: dict[str, Any] = field(default_factory=dict)
    actions: dict[str, list[ActionRow]] = field(default_factory=dict)
    #: Parts of the document that only the YAML shows.
    kept: list[str] = field(default_factory=list)

    @property
    def base_text(self) -> str:
        """The document that it began with, for the form to carry along."""
        return serializers.text(self.base)


@dataclass(frozen=True)
class Choices:
    """What there is to choose from."""

    notifiers: list[str]
    deployments: list[str]
    calendars: list[str]


def of(document: Mapping[str, Any], mode: str = "form") -> Form:
    """The form of a document, which may be unfinished or wrong."""
    base = {str(key): value for key, value in document.items() if value is not None}
    form = Form(mode if mode == "yaml" else "form", base, written(base))
    form.values = expectation_fields.values(base)
    form.actions = {name: [_row(item) for item in listed(base.get(name)) if isinstance(item, dict)] for name in MOMENTS}
    form.kept = [*expectation_fields.kept(base)]
    return form


def written(document: Mapping[str, Any]) -> str:
    """A document as people write it: the database keeps no order."""
    ordered = {name: document[name] for name in FIELDS if name in document}
    ordered |= {name: value for name, value in document.items() if name not in ordered}
    return str(yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True)) if ordered else ""


def version(document: Mapping[str, Any]) -> str:
    """Differs where the document does."""
    return hashlib.sha256(serializers.dumps(document)).hexdigest()


def choices(session: Session) -> Choices:
    """Notifiers, deployments and calendars."""
    notifiers = blocks.listing(session, BlockFilter(interface="notifier"), LIMIT_MAX).items
    named = [f"{item.flow.name}/{item.name}" for item in deployments.listing(session, None, LIMIT_MAX).items]
    known = [row.name for row in calendars.listing(session, LIMIT_MAX).items]
    return Choices(sorted(blocks.label(block) for block in notifiers if block.name), named, sorted({*BUILT_IN, *known}))


def begin(arguments: Mapping[str, str]) -> dict[str, Any]:
    """What a new expectation begins with: the ``document`` of the address, as JSON."""
    try:
        given = serializers.loads(arguments.get("document", "") or "{}")
    except ValueError:
        given = {}
    return dict(given) if isinstance(given, dict) and given else {
        "run": {}, "every": {"cron": "0 9 * * *"}, "by": "09:15",
    }  # fmt: skip


def sent(form: MultiDict[str, str]) -> dict[str, Any]:
    """The document that was sent, as it is: it may be unfinished or wrong. Raises InvalidInput for what is no YAML."""
    if form.get("mode") == "yaml":
        return _of_yaml(form.get("yaml", ""))
    return expectation_fields.document(form, _base(form))


def finished(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document, checked as REST does. Raises InvalidInput."""
    if not document.get("name"):
        raise InvalidInput("name: Give it a name.", NAMELESS)
    try:
        loaded: dict[str, Any] = ExpectationInputSchema().load(dict(document))
    except ValidationError as error:
        found = {str(key): [str(text) for text in texts] for key, texts in error.normalized_messages().items()}  # type: ignore[no-untyped-call]
        raise InvalidInput("the expectation is not complete", found) from None
    return loaded


def turned(sent_form: MultiDict[str, str]) -> Form:
    """The form after one of its own buttons: the other way of writing it (``to``), an action more (``add``), one less
    (``remove``). Raises InvalidInput for what is no YAML.
    """
    document = sent(sent_form)
    moment, _, what = (sent_form.get("add") or sent_form.get("remove") or "").partition(":")
    rows = document.setdefault(moment, []) if moment in MOMENTS else []
    if sent_form.get("add") and what in ROWS and len(rows) < ACTIONS_MAX:
        rows.append({"do": what})
    elif sent_form.get("remove") and what.isdecimal() and int(what) < len(rows):
        del rows[int(what)]
    document = {name: value for name, value in document.items() if name not in MOMENTS or value}
    mode = sent_form.get("mode", "form")
    form = of(document, sent_form.get("to") or mode)
    return _as_typed(form, sent_form) if form.mode == mode == "form" else form


def again(sent_form: MultiDict[str, str]) -> Form:
    """The form as it was sent, to be corrected."""
    try:
        form = of(sent(sent_form), sent_form.get("mode", "form"))
    except InvalidInput:
        form = of(_base(sent_form), "yaml")
    if form.mode == "yaml":
        form.yaml = sent_form.get("yaml", "")
        return form
    return _as_typed(form, sent_form)


def problems(error: OrchestratorError, form: Form) -> dict[str, list[str]]:
    """An error as messages by field of the form; ``""`` holds what belongs to none."""
    errors = error.errors if isinstance(error, InvalidInput) else {}
    if not errors:
        text = str(error)
        return {
            "yaml" if form.mode == "yaml" and isinstance(error, InvalidInput) else "": [text[:1].upper() + text[1:]]
        }
    found: dict[str, list[str]] = {}
    for path, texts in errors.items():
        if path == "every" and form.mode == "form" and form.values["when"] == "run":
            continue
        place = "yaml" if form.mode == "yaml" else _place(path, form)
        for text in texts:
            shown = text if place not in ("", "yaml") or path in ("", "yaml") else f"{path}: {text}"
            found.setdefault(place, []).append(shown)
    if "at" in found:
        found["at"] = ["Give a time such as 09:00, and choose a day at least."]
    return found


def _row(action: dict[str, Any]) -> ActionRow:
    name = str(action.get("do", ""))
    kind = action_kinds.installed().get(name)
    shown = ROWS.get(name, ())
    values = {item: plain(action.get(item)) for item in shown}
    has_more = bool(action.keys() - {"do", *shown})
    return ActionRow(name, kind.title if kind else name or "?", values, serializers.text(action), has_more)


def _as_typed(form: Form, sent_form: MultiDict[str, str]) -> Form:
    """The form with the texts that were typed, also those that no document can hold."""
    typed = {
        name: sent_form.get(name, "") if isinstance(value, str) else sent_form.getlist(name)
        for name, value in form.values.items()
    }
    form.values = typed
    return form


def _base(form: MultiDict[str, str]) -> dict[str, Any]:
    try:
        given = serializers.loads(form.get("base", "") or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InvalidInput("the form is damaged: load the page again")
    return given


def _of_yaml(text: str) -> dict[str, Any]:
    problem = ""
    try:
        found = load_all(text) if len(text) <= YAML_MAX else []
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = f"{line}this is no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}."
    else:
        if len(found) == 1 and isinstance(found[0], dict):
            return {str(key): value for key, value in found[0].items()}
        problem = f"Give one document of names and values, of at most {YAML_MAX:,} characters."
    raise InvalidInput(problem, {"yaml": [problem[:1].upper() + problem[1:]]})


def _place(path: str, form: Form) -> str:
    """The field of the form that a problem is about; empty where there is none."""
    for start, name in _PLACES:
        if path == start or path.startswith(f"{start}."):
            return name
    if path == "every" or path.startswith("every."):
        return "at" if form.values["repeat"] == "days" else str(form.values["repeat"])
    first, *rest = path.split(".")
    if first in MOMENTS and rest and rest[0].isdecimal() and int(rest[0]) < len(form.actions[first]):
        row = form.actions[first][int(rest[0])]
        return "-".join([first, *rest[:2]]) if rest[1:2] and rest[1] in row.values else ""
    return first if first in OWN else ""
