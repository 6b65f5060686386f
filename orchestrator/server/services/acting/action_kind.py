"""What the kinds of action share: the fields of their documents, and how documents are checked when they are saved."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from ....clock import duration, from_text
from ....documents.records import Actor
from ....errors import InvalidInput
from . import sandbox

#: What templates of actions know; :mod:`.action_templates` says what each is.
KNOWN = (
    "action", "agent", "chain", "context", "deployment", "event", "expectation", "firing", "flow", "flow_run", "key",
    "labels", "now", "resource", "steps", "trigger", "work_queue",
)  # fmt: skip
#: The role by which an event names the chain of causes that it belongs to.
CHAIN = "chain"


@dataclass(frozen=True)
class Field:
    """One field of an action's document.

    ``kind`` is ``text``, ``prose`` (several lines), ``json``, ``mapping``, ``texts`` (a list), ``number``, ``flag``,
    ``duration``, ``instant``, ``choice``, or what it names: ``block``, ``deployment``, ``work-queue``, ``trigger``,
    ``schedule``, ``limit``.
    """

    name: str
    kind: str
    description: str
    required: bool = False
    #: Of a ``choice``.
    choices: tuple[str, ...] = ()
    #: Of a ``block``: the interface that its type needs, or the slug of its type.
    interface: str = ""
    #: It cannot be a template: what is acted upon is not for events to say.
    fixed: bool = False
    #: It may be a pattern, but not one that came out of a template: an outsider's ``*`` must not select everything.
    pattern: bool = False

    def problem(self, value: Any) -> str:
        """What is wrong with a value that is no template; empty when nothing is."""
        if value is None:
            return "Must not be null: leave it out."
        expected = _EXPECTED.get(self.kind)
        if expected is not None and (not isinstance(value, expected[0]) or (expected[2] and not value)):
            return f"Must be {expected[1]}."
        if self.kind == "number" and isinstance(value, bool):
            return "Must be a number."
        if self.kind == "texts" and not all(isinstance(item, str) for item in value):
            return "Must be a list of texts."
        if self.kind == "choice" and value not in self.choices:
            return f"Must be one of {', '.join(self.choices)}."
        return self._unreadable(value)

    def _unreadable(self, value: Any) -> str:
        try:
            if self.kind == "duration" and duration(value).total_seconds() < 0:
                return "Must not be negative."
            if self.kind == "instant":
                from_text(value)
        except (ValueError, TypeError, OverflowError) as error:
            return f"{error}."
        return ""


_NAME = (str, "a text that is not empty", True)
_EXPECTED: dict[str, tuple[Any, str, bool]] = {
    "text": _NAME,
    "prose": (str, "a text", False),
    "mapping": (dict, "a mapping", False),
    "texts": (list, "a list of texts", False),
    "number": (int, "a whole number", False),
    "flag": (bool, "true or false", False),
    "duration": ((int, float, str), "a duration, such as 90s, 5m, 1h30m", False),
    "instant": (str, "a time, such as 2026-01-31T09:00:00Z", False),
    **dict.fromkeys(("block", "deployment", "work-queue", "trigger", "schedule", "limit"), _NAME),
}


@dataclass(frozen=True)
class Asked:
    """What an action is to do, its templates filled in, and what it is done for."""

    action_id: uuid.UUID
    #: Values by the names of the kind's fields.
    values: Mapping[str, Any]
    firing_id: uuid.UUID
    #: ``fire`` or ``resolve``.
    moment: str
    event_id: uuid.UUID | None
    #: Labels of the event's resource and of its related ones, the event's resource first.
    involved: list[dict[str, str]]
    actor: Actor
    trigger_id: uuid.UUID | None
    chain_id: uuid.UUID
    #: How many firings are in the chain before this one.
    depth: int
    #: What templates knew, as far as they asked.
    known: Mapping[str, Any] = field(default_factory=dict)

    def chain(self) -> dict[str, str]:
        """How events that this action causes name the chain."""
        return {
            "resource.id": f"orchestrator.chain.{self.chain_id}",
            "resource.role": CHAIN,
            "chain.depth": str(self.depth),
        }

    def ours(self, kind: str) -> uuid.UUID | None:
        """The id of the first thing of ours, of a kind, that the event is about or related to."""
        return first_of(kind, self.involved)


class Kind:
    """A kind of action. One that is ``outgoing`` is done outside of any transaction, by :mod:`orchestrator.outgoing`;
    the others by :meth:`act`, in the transaction that notes that they are done.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]] = ()
    #: Groups of fields of which exactly one is to be given.
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    outgoing: ClassVar[bool] = False
    #: It has an :meth:`act_all` of its own: it does not matter which of several comes first.
    together: ClassVar[bool] = False

    def check(self, document: Mapping[str, Any], place: str) -> dict[str, list[str]]:
        """What is wrong with a document, by place; nothing is looked up."""
        known = {item.name: item for item in self.fields}
        found: dict[str, list[str]] = {}
        for name, value in document.items():
            if name == "do":
                continue
            if name not in known:
                found[f"{place}.{name}"] = [f"{self.name} has no such field; it has {', '.join(known) or 'none'}."]
            elif problem := _problem(known[name], value):
                found[f"{place}.{name}"] = [problem]
            else:
                found.update(sandbox.problems(value, KNOWN, f"{place}.{name}"))
        for item in self.fields:
            if item.required and item.name not in document:
                found[f"{place}.{item.name}"] = ["Is missing."]
        for names in self.one_of:
            if sum(name in document for name in names) != 1:
                found[place] = [f"{self.name} needs one of {', '.join(names)}."]
        return found

    def named(self, document: Mapping[str, Any]) -> Iterator[tuple[Field, str]]:
        """The fields that name something of ours, with the name; templates are left out."""
        for item in self.fields:
            value = document.get(item.name)
            looked_up = item.kind in ("block", "deployment", "work-queue", "trigger", "schedule", "limit")
            if looked_up and isinstance(value, str) and not sandbox.holds_template(value):
                yield item, value

    def target(self, document: Mapping[str, Any]) -> str:
        """What it acts upon, for its circuit breaker; nothing where it has none."""
        return str(document.get("block", "")) if self.outgoing else ""

    def needs(self, document: Mapping[str, Any]) -> set[str]:
        """The names that templates know which :meth:`act` or :meth:`content` look at themselves."""
        return set()

    def read(self, values: Mapping[str, Any], document: Mapping[str, Any], place: str) -> None:
        """Check the values that the templates of a document became. Raises InvalidInput."""
        for item in self.fields:
            if item.name not in values:
                continue
            problem = item.problem(values[item.name])
            if not problem and item.pattern and _became_a_pattern(values[item.name], document[item.name]):
                problem = "A template cannot give a pattern: name the resource."
            if problem:
                where = f"{place}.{item.name}"
                raise InvalidInput(f"{where}: {problem}", {where: [problem]})

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Do it; returns what came of it, as JSON. Raises an OrchestratorError when it cannot be done."""
        raise NotImplementedError

    def act_all(self, session: Session, many: Sequence[Asked], now: datetime) -> list[dict[str, Any] | Exception]:
        """Do several, of a kind that is done ``together``; what came of each, or the error that :meth:`act` would
        raise. When it raises one itself, nothing was done.
        """
        raise NotImplementedError

    def content(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """What an outgoing kind gives to :mod:`orchestrator.outgoing`."""
        return dict(asked.values)


class Nothing(Exception):
    """There is nothing to do, and the text says why: the action is skipped."""


def first_of(kind: str, involved: Iterable[Mapping[str, Any]]) -> uuid.UUID | None:
    """The id of the first of our own things of a kind among the labels of resources."""
    start = f"orchestrator.{kind}."
    for labels in involved:
        identifier = str(labels.get("resource.id", ""))
        if identifier.startswith(start):
            try:
                return uuid.UUID(identifier[len(start) :])
            except ValueError:
                continue
    return None


def _became_a_pattern(value: Any, document: Any) -> bool:
    """Whether a template in a document became a text that selects more than the thing of that name."""
    if isinstance(document, Mapping) and isinstance(value, Mapping):
        return any(_became_a_pattern(value[name], document[name]) for name in document)
    if isinstance(document, list) and isinstance(value, list):
        return any(_became_a_pattern(*pair) for pair in zip(value, document, strict=False))
    return sandbox.holds_template(document) and any("*" in text or text.startswith("!") for text in _all_texts(value))


def _all_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _all_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _all_texts(item)


def _problem(item: Field, value: Any) -> str:
    if sandbox.holds_template(value):
        if item.fixed:
            return "Cannot be a template: name it."
        if isinstance(value, str):
            return ""
    return item.problem(value)
