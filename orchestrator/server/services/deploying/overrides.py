"""What a deployment lays over the fields of its infrastructure block, checked when it is applied."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ....errors import InvalidInput, NotFound
from ....kinds.block_schemas import holds_secret
from ...db.models import Block
from ..configuring import block_types
from ..configuring.secret_fields import resolve
from ..json_schemas import problems

#: What is executed in where no block is named.
PLAIN = "process"
_FIELD = "infrastructure.overrides"


def check_overrides(session: Session, block_id: uuid.UUID | None, overrides: Mapping[str, Any]) -> None:
    """Raise InvalidInput, naming the field, when a value does not fit the block's schema, or may not be overridden.

    Secrets would be shown with the deployment, and blocks that the block holds are changed there. A value with a
    template (``{{ ... }}``) is not looked at: what it is, is known when a run starts.
    """
    if not overrides:
        return
    label, schema = _schema(session, block_id, list(overrides))
    fields, definitions = schema.get("properties", {}), schema.get("$defs", {})
    found: dict[str, list[str]] = {}
    plain = {}
    for name, value in overrides.items():
        problem = _refused(name, fields, definitions, label)
        if problem:
            found[name] = [problem]
        elif not _has_template(value):
            plain[name] = value
    known = {"properties": {name: _given(fields[name], value) for name, value in plain.items()}, "$defs": definitions}
    found.update(problems(known, plain))
    if found:
        name, messages = next(iter(found.items()))
        errors = {f"{_FIELD}.{key}": texts for key, texts in found.items()}
        raise InvalidInput(f"{_FIELD}.{name}: {messages[0]}", errors)


def _schema(session: Session, block_id: uuid.UUID | None, names: list[str]) -> tuple[str, Mapping[str, Any]]:
    block = None if block_id is None else session.get_one(Block, block_id)
    try:
        kind = block_types.get(session, PLAIN) if block is None else block.block_type
    except NotFound:
        problem = "There is no block to override: name an infrastructure block."
        raise InvalidInput(f"{_FIELD}: {problem}", {_FIELD: [problem]}) from None
    schema = block_types.schema_for(session, kind, names)
    if block is not None and block_types.knows(block.block_schema, names):
        schema = block.block_schema
    return kind.slug, schema.fields


def _refused(name: str, fields: Mapping[str, Any], definitions: Mapping[str, Any], label: str) -> str:
    if name not in fields:
        return f"Block type {label} has no such field; it has {', '.join(fields) or 'none'}."
    field = resolve(fields[name], definitions)
    if holds_secret(field, definitions):
        return "Is a secret, which a deployment cannot hold: change it in the block."
    if any("x-block" in option for option in [field, *field.get("anyOf", [])]):
        return "Is a block of its own: change it in the infrastructure block."
    return ""


def _given(field: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    """What is wanted of a value that is there, so that the message says it: of ``int | None``, the number."""
    options = [option for option in field.get("anyOf", []) if option.get("type") != "null"]
    return options[0] if value is not None and len(options) == 1 else field


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(_has_template(item) for item in value.values())
    return isinstance(value, list) and any(_has_template(item) for item in value)
