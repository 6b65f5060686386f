"""Values that people type: ``KEY=VALUE`` pairs and JSON."""

from __future__ import annotations

import json
from typing import Any

import click


def read_parameters(
    pairs: tuple[str, ...], document: str | None, option: str = "--param", document_option: str = "--params"
) -> dict[str, Any]:
    """Values of ``KEY=VALUE`` pairs, each JSON where it is JSON and text where not, laid over a JSON object."""
    try:
        values = json.loads(document) if document else {}
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON: {error}", param_hint=document_option) from None
    if not isinstance(values, dict):
        raise click.BadParameter("give a JSON object, such as '{\"limit\": 5}'", param_hint=document_option)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint=option)
        values[key] = json_or_text(text)
    return values


def json_or_text(text: str) -> Any:
    """What a text is as JSON, or else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def whole_or_none(text: str, hint: str, least: int = 0) -> int | None:
    """The whole number that a text is, of at least ``least``; None for ``none``."""
    if text.lower() == "none":
        return None
    if not text.isdecimal() or int(text) < least:
        raise click.BadParameter(f"{text!r} is neither a whole number from {least} nor none", param_hint=hint)
    return int(text)
