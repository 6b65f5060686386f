"""The page that makes and changes triggers: a draft, checked and said in plain English, and what its form offers."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator import serializers, triggers
from orchestrator.documents.records import Actor
from orchestrator.errors import Conflict, InvalidInput, NotFound, OrchestratorError
from orchestrator.server.db.models import Chain, Trigger
from orchestrator.server.db.models.trigger import SHORT_FORM
from orchestrator.server.event_catalogue import EVENTS
from orchestrator.server.services.acting import action_kinds, action_targets
from orchestrator.server.services.acting.action_kind import Field, Kind
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.reacting import triggers as service
from orchestrator.server.services.recording import event_names

from . import holds, trigger_actions, trigger_fields, trigger_texts
from .trigger_fields import Fields
from .trigger_names import named
from .trigger_rows import LIST, indexes
from .trigger_texts import Unreadable

#: What a trigger is that says nothing of it.
PLAIN: dict[str, Any] = {
    "description": "", "owner": "", "severity": "warning", "active": True, "debounce": 0, "hourly_max": 1000,
    "then": [], "on_resolve": [],
}  # fmt: skip
#: Choices among fields of actions that exclude each other, in words; others go by the field's name.
PICKS = {
    "deployment": "the deployment named …",
    "inferred": "the deployment that the event is about",
    "touching": "all deployments that touch a resource …",
    "work_queue": "the work queue named …",
    "schedule": "the schedule named …",
    "trigger": "the trigger named …",
    "limit": "the limit named …",
}
#: Longest document that a form may bring, in characters.
_LONGEST = 500_000


@dataclass
class Draft:
    """A trigger as it is being written."""

    document: dict[str, Any]
    fields: Fields
    #: The YAML side, as it was typed or as it follows from the form.
    yaml: str
    #: What could not be put into the document, by field; ``yaml`` is a field as well.
    problems: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong: in which field of the form, if any, and where in the document."""

    field: str
    path: str
    text: str


@dataclass
class Checked:
    """A draft, checked."""

    draft: Draft
    sentence: str
    wrongs: list[Wrong]
    #: What :meth:`wrong` shows also where nothing was written yet.
    strict: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """What would be saved."""
        return self.draft.document

    @property
    def kind(self) -> str:
        """What it waits for; see :data:`.trigger_fields.KINDS`."""
        return trigger_fields.kind_of(self.document.get("when"))

    @property
    def of_runs(self) -> bool:
        """Whether its metric is measured of runs."""
        return trigger_fields.of_metric(self.document.get("when"))

    @property
    def can_be_over(self) -> bool:
        """Whether what it fires for can be over, so that something can be done then."""
        return self.kind in ("absent", "metric") or bool(self.rows("on_resolve"))

    @property
    def base(self) -> str:
        """The document for the next turn."""
        return serializers.dumps(self.document).decode()

    def rows(self, place: str) -> list[int]:
        """Numbers of the rows of a list."""
        return indexes(self.draft.fields, place)

    def has(self, place: str) -> bool:
        """Whether a list or field is in the form."""
        return place in self.draft.fields

    def value(self, place: str) -> str:
        """The text of a field."""
        return self.draft.fields.get(place, "")

    def wrong(self, place: str) -> list[str]:
        """What is wrong with a field, where something was written, or all is to be said."""
        is_empty = self.value(place) in ("", LIST) or place.endswith((".kind", ".do"))
        if is_empty and not self.strict and place not in self.draft.problems:
            return []
        return [item.text for item in self.wrongs if item.field == place]

    def action(self, row: str) -> Kind | None:
        """The kind of an action; None where this server has none of that name."""
        return trigger_actions.kind_named(self.value(f"{row}.do"))

    @property
    def when_yaml(self) -> str:
        """What it waits for, as it is written."""
        return trigger_texts.to_yaml(self.document.get("when"))

    def picked(self, row: str) -> list[str]:
        """Of the fields of an action that exclude each other, those that are chosen."""
        return [self.value(f"{row}.pick.{number}") for number in self.rows(f"{row}.pick")]

    def action_fields(self, row: str) -> list[Field]:
        """The fields of an action that are to be shown: of those that exclude each other, the chosen one."""
        kind = self.action(row)
        if kind is None:
            return []
        hidden = {
            name
            for number, names in enumerate(kind.one_of)
            for name in names
            if name != self.value(f"{row}.pick.{number}")
        }
        return [item for item in kind.fields if item.name not in hidden]


@dataclass
class Choices:
    """What the form suggests."""

    session: Session
    #: Ids (as events name them) and full names.
    deployments: list[tuple[str, str]]
    _named: dict[str, list[str]] = field(default_factory=dict)

    def events(self) -> list[tuple[str, str]]:
        """Names of events, with what the catalogue says of them: its own, and those that came lately."""
        found = {name: facts.says for name, facts in EVENTS.items()}
        found.update({name: "" for name in event_names.known(self.session) if name not in found})
        return sorted(found.items())

    def named(self, kind: str) -> list[str]:
        """Names of all that there is of a kind."""
        return self.of(Field("", kind, ""))

    def of(self, item: Field) -> list[str]:
        """Names for a field of an action."""
        key = f"{item.kind} {item.interface}"
        if key not in self._named:
            self._named[key] = action_targets.names(self.session, item.kind, item.interface)
        return self._named[key]

    def resources(self, text: str) -> list[tuple[str, str]]:
        """Ids and names of resources that look like a text."""
        return holds.suggestions(self.session, text.strip())


def choices(session: Session) -> Choices:
    """Read what the form suggests."""
    return Choices(session, [(f"orchestrator.deployment.{key}", name) for key, name in deployments.full_names(session)])


def new(session: Session, arguments: Mapping[str, str]) -> Draft:
    """A new trigger, about what the address names: ``event``, ``resource``, ``deployment``. Raises NotFound."""
    when: dict[str, Any] = {}
    event, about, ref = (arguments.get(name, "").strip() for name in ("event", "resource", "deployment"))
    if event or ref:
        when["expect"] = event or "flow-run.completed"
    if about:
        when["match"] = {"resource.id": about}
    if ref:
        found = deployments.get(session, ref)
        when["match_related"] = {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{found.id}"}
    draft = _of({"name": "", "when": when, "then": []})
    if "expect" not in when:
        draft.fields["when.expect.0"] = ""
    return draft


def of(trigger: Trigger) -> Draft:
    """What a trigger is."""
    return _of(plain(trigger))


def plain(trigger: Trigger) -> dict[str, Any]:
    """The document of a trigger, without what is as it is anyway."""
    found = service.document(trigger)
    return {key: value for key, value in found.items() if key not in PLAIN or value != PLAIN[key]}


def version(trigger: Trigger) -> str:
    """Changes when the trigger does."""
    return hashlib.sha256(serializers.dumps(service.document(trigger))).hexdigest()


def read(form: Mapping[str, str]) -> Draft:
    """What the page sent: its form, or its YAML, whichever was edited last. Raises InvalidInput for what is no such
    page's.
    """
    try:
        base = serializers.loads(form.get("base", "{}")[:_LONGEST])
    except ValueError:
        base = None
    if not isinstance(base, dict):
        raise InvalidInput("the form is damaged: load the page again")
    if form.get("edited") == "yaml":
        return _read_yaml(form.get("yaml", "").replace("\r\n", "\n"), base)
    sent = {name[2:]: text for name, text in form.items() if name.startswith("f:")}
    laid = trigger_fields.lay(base, sent, form.get("act", ""))
    return Draft(laid.document, laid.fields, trigger_texts.to_yaml(laid.document), laid.problems)


def check(session: Session, draft: Draft, *, strict: bool = False) -> Checked:
    """Check a draft, and say it in plain English."""
    errors: dict[str, list[str]] = {}
    sentence = ""
    try:
        service.check(session, draft.document)
    except InvalidInput as error:
        errors = error.errors or {"": [str(error)]}
    try:
        [sentence] = named(session, [triggers.sentence({**draft.document, "name": "-"})])
    except InvalidInput:
        sentence = ""
    return Checked(draft, sentence, placed(draft, errors), strict)


def placed(draft: Draft, errors: Mapping[str, Iterable[str]]) -> list[Wrong]:
    """Errors of a document, each at the field of the form that it is about."""
    anchors = _anchors(draft)
    found = [Wrong(name, name, text) for name, texts in draft.problems.items() for text in texts]
    for path, texts in errors.items():
        near = [place for place in anchors if path == place or path.startswith(f"{place}.")]
        at = anchors[max(near, key=len)] if near else ""
        if at not in draft.problems:
            found += [Wrong(at, path, str(text)) for text in texts]
    return found


def save(session: Session, draft: Draft, actor: Actor, now: datetime) -> Trigger:
    """Make the trigger of a draft. Raises InvalidInput, Conflict."""
    return service.create(session, draft.document, actor, now)


def change(session: Session, trigger_id: uuid.UUID, draft: Draft, known: str, actor: Actor, now: datetime) -> Trigger:
    """Have a trigger be what a draft says.

    Args:
        known: Which version the page was made of.

    Raises:
        NotFound, InvalidInput: As when a trigger is changed.
        Conflict: Somebody changed it meanwhile, or it is not changed here.
    """
    found = service.get(session, trigger_id)
    if owner(session, found) is not None:
        raise Conflict(f"{found.name} is not changed here")
    if version(found) != known:
        raise Conflict(
            "Somebody changed this trigger since you opened the page. It was not saved: copy the YAML, load the page"
            " again, and repeat what you did."
        )
    before, wanted = service.document(found), {**PLAIN, **draft.document}
    missing = {name: None for name in ("name", "when") if name not in wanted}
    changed = {name: value for name, value in wanted.items() if name not in before or before[name] != value}
    return service.change(session, trigger_id, {**missing, **changed}, actor, now)


@dataclass(frozen=True)
class Owner:
    """What a trigger is a part of, where it is changed with that."""

    kind: str
    name: str
    id: uuid.UUID
    is_notification: bool = False


def owner(session: Session, trigger: Trigger) -> Owner | None:
    """The deployment or chain that a trigger is changed with; None: it is changed by itself."""
    if trigger.of_chain_id is not None:
        chain = session.get(Chain, trigger.of_chain_id)
        return Owner("chain", chain.name if chain else "", trigger.of_chain_id)
    if trigger.deployment_id is None:
        return None
    found = deployments.get(session, trigger.deployment_id)
    told = trigger.name.startswith(SHORT_FORM)
    return Owner("deployment", f"{found.flow.name}/{found.name}", found.id, told)


def kinds() -> list[Kind]:
    """All kinds of action, by title."""
    return sorted(action_kinds.installed().values(), key=lambda kind: kind.title)


def problems(error: OrchestratorError) -> dict[str, list[str]]:
    """An error as messages by place in the document."""
    if isinstance(error, NotFound):
        return {"": [f"{error}."]}
    texts = getattr(error, "errors", None)
    return dict(texts) if texts else {"": [f"{str(error)[:1].upper()}{str(error)[1:]}"]}


def _of(document: dict[str, Any]) -> Draft:
    return Draft(document, trigger_fields.shown(document), trigger_texts.to_yaml(document))


def _read_yaml(text: str, base: dict[str, Any]) -> Draft:
    try:
        if len(text) > _LONGEST:
            raise Unreadable("This is too long for a trigger.")
        found = trigger_texts.from_yaml(text)
        if not isinstance(found, dict):
            raise Unreadable("A trigger is a mapping with `name`, `when` and `then`.")
    except Unreadable as error:
        return Draft(base, trigger_fields.shown(base), text, {"yaml": [str(error)]})
    return Draft(found, trigger_fields.shown(found), text)


def _anchors(draft: Draft) -> dict[str, str]:
    """Places of a document by which field of the form shows them."""
    found = {}
    for name, text in draft.fields.items():
        place = name.replace("when.related", "when.match_related", 1)
        head, _, last = place.rpartition(".")
        if last in ("label", "is") and place.startswith("when.match"):
            label = draft.fields.get(name.removesuffix(last) + "label", "")
            found[f"{head.rpartition('.')[0].removesuffix('.labels')}.{label}"] = name.removesuffix(last) + "is"
        elif last == "deployment" and place.startswith("when.match_related"):
            found[head] = name
        elif last not in ("kind", "labels") and ".pick." not in place:
            found[place] = name
            if text == LIST or last != "0":
                continue
            found.setdefault(head, name)
    for place in ("then", "on_resolve"):
        found.update({f"{place}.{index}": f"{place}.{index}.do" for index in indexes(draft.fields, place)})
    for name in ("expect", "after", "for_each"):
        if f"when.{name}.0" in draft.fields:
            found[f"when.{name}"] = f"when.{name}.0"
    if "when.kind" in draft.fields:
        found["when"] = "when.kind"
    return found
