"""Limits: what the list says of each, and the form that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import ResourceLimit
from orchestrator.server.schemas.limits import SLOTS_MAX, LimitInputSchema


def how(limit: ResourceLimit) -> str:
    """Whom a limit is for, in words."""
    if limit.block_id is not None:
        return "runs that hold the block"
    if limit.slot_decay_per_second is not None:
        return f"a rate: {limit.slot_decay_per_second:g} a second come back"
    return "tasks with the tag" if limit.name.startswith("tag:") else "code that asks for it"


def slots_of(text: str) -> int:
    """A number of slots that somebody typed. Raises InvalidInput."""
    if not text.strip().isdecimal() or not 1 <= int(text) <= SLOTS_MAX:
        raise InvalidInput(f"slots: a limit has 1 to {SLOTS_MAX:,} slots")
    return int(text)


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The limit that a form asks for. Raises InvalidInput, whose errors name the fields."""
    sent = {name: form.get(name, "").strip() for name in ("name", "slots", "slot_decay_per_second")}
    values: dict[str, Any] = {name: text for name, text in sent.items() if text}
    try:
        if "slots" in values:
            values["slots"] = slots_of(values["slots"])
        found: dict[str, Any] = LimitInputSchema().load(values)
    except InvalidInput as error:
        raise InvalidInput(str(error), {"slots": [f"Give a number from 1 to {SLOTS_MAX:,}."]}) from None
    except ValidationError as error:
        errors = {str(name): [str(text) for text in texts] for name, texts in error.normalized_messages().items()}  # type: ignore[no-untyped-call]
        raise InvalidInput("the limit is not complete", errors) from None
    return found
