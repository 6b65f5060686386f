"""Filters as addresses hold them, read with one clear line where one cannot be understood."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.errors import InvalidInput


def text(arguments: Mapping[str, Any], name: str) -> str:
    """What is asked for, without spaces around it; empty where nothing is."""
    return str(arguments.get(name, "")).strip()


def one_of(arguments: Mapping[str, Any], name: str, known: Collection[str]) -> str:
    """One of some words; empty where none is asked for. Raises InvalidInput for any other."""
    found = text(arguments, name)
    if found and found not in known:
        raise InvalidInput(f"{name}={found} is none of {', '.join(known)}")
    return found


def identifier(arguments: Mapping[str, Any], name: str) -> uuid.UUID | None:
    """An id; None where none is asked for. Raises InvalidInput for what is none."""
    found = text(arguments, name)
    try:
        return uuid.UUID(found) if found else None
    except ValueError:
        raise InvalidInput(f"{name}={found} is no id: take it from the page of what you mean") from None
