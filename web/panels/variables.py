"""Variables: how a value reads, and the form that sets one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Variable
from orchestrator.server.schemas.variables import NAME


def as_text(value: Any) -> str:
    """A value as people type it: a text that is no JSON as it is, everything else as JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def form(variable: Variable) -> dict[str, str]:
    """What the form begins with."""
    return {"name": variable.name, "value": as_text(variable.value), "tags": ", ".join(variable.tags)}


def read(form: Mapping[str, str]) -> tuple[str, Any, list[str]]:
    """Name, value and tags of a form. Raises InvalidInput, whose errors name the fields."""
    name, text = form.get("name", "").strip(), form.get("value", "")
    try:
        NAME(name)
    except ValidationError as error:
        raise InvalidInput(f"name: {error.messages[0]}", {"name": [str(one) for one in error.messages]}) from None
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return name, value, [tag.strip() for tag in form.get("tags", "").split(",") if tag.strip()]
