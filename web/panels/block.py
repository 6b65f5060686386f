"""One block: its document as a page shows it, the form that makes or changes it, and who uses it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.block import REFERENCE
from orchestrator.clock import from_text
from orchestrator.errors import Conflict, InvalidInput, OrchestratorError
from orchestrator.kinds.block_schemas import rotated
from orchestrator.serializers import loads
from orchestrator.server.db.models import Block, BlockChange, BlockType, Event, Resource
from orchestrator.server.schemas.blocks import BlockInputSchema
from orchestrator.server.services.acting import actions
from orchestrator.server.services.configuring import block_history, block_types, block_usage, blocks, limits
from orchestrator.server.services.configuring.block_usage import Usage
from orchestrator.server.services.configuring.blocks import MASK
from orchestrator.server.services.configuring.limits import LimitRow
from orchestrator.server.services.configuring.secret_fields import secret_paths
from orchestrator.server.services.mapping import discovery, resources
from orchestrator.server.services.mapping.discovery import Standing
from orchestrator.server.services.mapping.resources import ResourceFilter
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter

from .blocks import Card, card
from .titles import titled

#: The block's own name among the errors of its form, where a field of the type may be called ``name`` as well.
NAME = "@name"
#: Events, changes and resources that a block's page shows.
EVENTS_MAX, CHANGES_MAX, RESOURCES_MAX = 30, 20, 8
#: After how long somebody is told that a message for a test was not taken up.
PATIENCE = timedelta(seconds=15)
#: State and title of a message for a test, by whether it was sent; None: it is not known yet.
_MESSAGE = {True: ("COMPLETED", "Sent."), False: ("FAILED", "Not sent."), None: ("RUNNING", "Sending…")}
#: Seconds between two looks that the page offers.
INTERVALS = (60, 300, 900, 1800, 3600, 21600, 86400)


@dataclass(frozen=True)
class Field:
    """One value of a document, ready to be shown."""

    name: str
    title: str
    description: str
    #: ``secret``, ``block``, ``text``, ``list``, ``json``, ``none``; ``default`` where none is saved, but one is known.
    kind: str
    value: Any
    #: What ``value`` refers to, where it is a block.
    held: Block | None = None


@dataclass(frozen=True)
class Form:
    """What the form of a type needs."""

    kind: Card
    docs_url: str
    code_example: str
    schema: dict[str, Any]
    #: Present values, secrets masked.
    data: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """A block as its form asks for it."""

    name: str | None
    data: dict[str, Any]
    #: When the document that is to be changed was last updated, as the form knew it.
    updated: datetime | None


@dataclass(frozen=True)
class BlockPage:
    """What one block's page shows."""

    block: Block
    label: str
    kind: Card
    fields: list[Field]
    #: The fields that hold secrets, as a schema of their own; None without any.
    secrets: dict[str, Any] | None
    #: Those fields as the form has them: masked where something is saved.
    saved: dict[str, Any]
    usage: Usage
    #: How many runs may hold it at once, and which do; None where any number may.
    limit: LimitRow | None
    history: list[BlockChange]
    events: list[Event]
    snippets: list[tuple[str, str]]
    #: How it is looked through; None where its kind cannot be.
    discovery: Standing | None
    #: Some of what was found.
    resources: list[Resource]


@dataclass(frozen=True)
class Message:
    """What became of a message that was sent for a test."""

    action: uuid.UUID
    is_done: bool
    #: As of runs: what looks like this.
    state_type: str
    title: str
    text: str


def load(session: Session, block_id: uuid.UUID, now: datetime) -> BlockPage:
    """Read one block. Raises NotFound."""
    found = blocks.get(session, block_id)
    secrets = _secrets(titled(_schema(found.block_schema.fields)))
    can_be_watched = "discoverable" in found.block_type.interfaces
    return BlockPage(
        block=found,
        label=blocks.label(found),
        kind=card(found.block_type),
        fields=_fields(session, found),
        secrets=secrets,
        saved={name: found.data[name] for name in (secrets or {}).get("properties", {}) if _is_given(found, name)},
        usage=block_usage.usage(session, block_id, now),
        limit=limits.of_block(session, block_id),
        history=block_history.listing(session, block_id, CHANGES_MAX).items,
        events=events.listing(session, EventFilter(resource_id=f"orchestrator.block.{block_id}"), EVENTS_MAX).items,
        snippets=_snippets(found),
        discovery=discovery.get(session, block_id, now) if can_be_watched else None,
        resources=_resources(session, block_id) if can_be_watched else [],
    )


def message(session: Session, action_id: uuid.UUID, now: datetime) -> Message:
    """What became of a message that was sent for a test. Raises NotFound."""
    action = actions.get(session, action_id).action
    if action.ended is not None:
        is_sent = action.state == "done"
        text = "The service took it: look whether it came." if is_sent else action.error
        return Message(action.id, True, *_MESSAGE[is_sent], text)
    if action.errand_id is not None:
        return Message(action.id, False, *_MESSAGE[None], "An agent sends it, since its kind is not one of ours.")
    is_waiting = action.attempts == 0 and now - action.created > PATIENCE
    text = "It still waits to be taken up: is the services process running?" if is_waiting else ""
    return Message(action.id, False, *_MESSAGE[None], text)


def form_of_type(session: Session, slug: str) -> Form:
    """The form that makes a block of a type. Raises NotFound."""
    return _form(session, block_types.get(session, slug), {})


def form_of_block(session: Session, block: Block) -> Form:
    """The form that changes a block: by the newest version of its type."""
    return _form(session, block.block_type, block.data)


def read_form(form: Mapping[str, str], slug: str, named: bool) -> Wanted:
    """Read what a form sent.

    Args:
        named: Whether the form gives the block its name.

    Raises:
        InvalidInput: The name or the values cannot be used; ``errors`` names the field.
    """
    name = form.get("name", "").strip() if named else None
    data = _object(form.get("data", ""))
    if named:
        problems = BlockInputSchema().validate({"type": slug, "name": name, "data": data})
        texts = problems.get("name", []) if name else ["Give the block a name; flows load it by that."]
        if texts:
            raise InvalidInput(f"name: {texts[0]}", {NAME: [str(text) for text in texts]})
    updated = form.get("updated", "")
    try:
        return Wanted(name, data, from_text(updated) if updated else None)
    except ValueError:
        raise InvalidInput("the form is damaged: load the page again") from None


def check_unchanged(block: Block, wanted: Wanted) -> None:
    """Raise Conflict when somebody changed the block since the form was opened."""
    if wanted.updated is not None and abs((block.updated - wanted.updated).total_seconds()) >= 0.001:
        raise Conflict("Somebody changed this block meanwhile. Load the page again, then repeat what you did.")


def read_secrets(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the new secrets that a form sent; those that came back masked, or not at all, are left as they are."""
    return {name: value for name, value in _object(form.get("data", "")).items() if value not in (MASK, None, "")}


def problems(error: OrchestratorError) -> dict[str, list[str]]:
    """An error as messages by field of the form; ``""`` holds what belongs to none."""
    if isinstance(error, InvalidInput) and error.errors:
        return {name.removeprefix("data."): texts for name, texts in error.errors.items()}
    text = str(error)
    return {"": [text[:1].upper() + text[1:]]}


def _form(session: Session, kind: BlockType, data: Mapping[str, Any]) -> Form:
    newest = block_types.current_schemas(session, [kind]).get(kind.id)
    schema = titled(_schema(newest.fields)) if newest else {}
    return Form(card(kind), str(kind.docs_url or ""), str(kind.code_example or ""), schema, dict(data))


def _schema(fields: Any) -> dict[str, Any]:
    return dict(fields) if isinstance(fields, Mapping) else {}


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields of a schema, in the order in which forms show them."""
    named = schema.get("properties")
    if not isinstance(named, Mapping):
        return {}
    whole = {str(name): dict(item) if isinstance(item, Mapping) else {} for name, item in named.items()}
    return dict(sorted(whole.items(), key=lambda pair: _position(pair[1])))


def _position(item: Mapping[str, Any]) -> float:
    position = item.get("position")
    return position if isinstance(position, (int, float)) else 1e9


def _fields(session: Session, block: Block) -> list[Field]:
    """All values of a document: those that its type describes first, then what else is in it."""
    data = dict(block.data) if isinstance(block.data, Mapping) else {"value": block.data}
    known = _properties(titled(_schema(block.block_schema.fields)))
    secret = {path[0] for path in secret_paths(block.block_schema.fields)} if known else set()
    names = [*known, *(name for name in data if name not in known)]
    return [_field(session, name, known.get(name, {}), data.get(name), name in secret) for name in names]


def _field(session: Session, name: str, about: Mapping[str, Any], value: Any, secret: bool) -> Field:
    texts = (name, str(about.get("title") or name), str(about.get("description") or ""))
    if value == MASK or (secret and value not in (None, "")):
        return Field(*texts, "secret", MASK)
    if (held := _held(session, value)) is not None:
        return Field(*texts, "block", None, held)
    if value is None and (default := about.get("default")) not in (None, "", [], {}):
        return Field(*texts, "default", _plain(default))
    if value is None or value in ("", [], {}):
        return Field(*texts, "none", None)
    return Field(*texts, _sort(value), _plain(value))


def _sort(value: Any) -> str:
    if isinstance(value, (str, int, float)):
        return "text"
    return "list" if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value) else "json"


def _plain(value: Any) -> Any:
    """A value as people write it."""
    return "yes" if value is True else "no" if value is False else value


def _held(session: Session, value: Any) -> Block | None:
    if not isinstance(value, Mapping) or REFERENCE not in value:
        return None
    try:
        return session.get(Block, uuid.UUID(str(value[REFERENCE])))
    except ValueError:
        return None


def _is_given(block: Block, name: str) -> bool:
    return (block.data or {}).get(name) is not None


def _secrets(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part of a schema that is about secrets, for the form that rotates them."""
    named = {name: _properties(schema)[name] for name in rotated(schema)}
    if not named:
        return None
    return {"type": "object", "properties": named, "$defs": schema.get("$defs", {})}


def intervals(present: int) -> list[int]:
    """Seconds between two looks to choose from, the present ones among them."""
    return sorted({*INTERVALS, present})


def read_discovery(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings that a form sent. Raises InvalidInput."""
    values: dict[str, Any] = {}
    if "interval_s" in form:
        if not form["interval_s"].isdecimal():
            raise InvalidInput("interval_s is no whole number of seconds")
        values["interval_s"] = int(form["interval_s"])
    if form.get("work_queue"):
        values["work_queue"] = form["work_queue"]
    return values


def _resources(session: Session, block_id: uuid.UUID) -> list[Resource]:
    return resources.listing(session, ResourceFilter(source=str(block_id)), RESOURCES_MAX).items


def _snippets(block: Block) -> list[tuple[str, str]]:
    """How the block is used elsewhere: (where, text)."""
    ref = blocks.label(block) if block.name else str(block.id)
    module, _, kind = str(block.block_type.import_path).partition(":")
    if not kind.isidentifier() or block.name is None:
        python = f'from orchestrator import Block\n\nBlock.load("{ref}")'
    else:
        python = f'from {module} import {kind}\n\n{kind}.load("{block.name}")'
    found = [("Python", python), ("Command line", f"orchestrator block inspect {ref}")]
    fields = list(_properties(_schema(block.block_schema.fields)))
    if block.name is not None and "." not in block.name and fields:
        step = "" if "value" in fields else f".{fields[0]}"
        found.append(("In a deployment", "{{ blocks." + f"{block.block_type.slug}.{block.name}{step}" + " }}"))
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        value = loads(text) if text.strip() else {}
    except ValueError as error:
        raise InvalidInput("the values are no JSON", {"": [f"This is no JSON: {error}."]}) from None
    if not isinstance(value, dict):
        raise InvalidInput("the values are no JSON object", {"": ["Give a JSON object: {...}."]})
    return value
