"""Artifacts: what a run shows to people, beside its result."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import context, tracking
from .clock import now, to_text
from .errors import InvalidInput
from .ids import uuid7

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,199}")


def create_markdown_artifact(markdown: str, key: str | None = None, description: str = "") -> uuid.UUID:
    """Show markdown.

    Args:
        markdown: The text.
        key: Artifacts of one key form a history: lower-case letters, digits and hyphens.
        description: For people.

    Returns:
        The artifact's id.

    Raises:
        InvalidInput: The key or the content does not fit.
    """
    if not isinstance(markdown, str):
        raise InvalidInput(f"markdown is a {type(markdown).__name__}: it has to be a text")
    return _create("markdown", markdown, key, description)


def create_table_artifact(
    table: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]] | Mapping[str, Sequence[Any]],
    key: str | None = None,
    description: str = "",
) -> uuid.UUID:
    """Show a table: a list of dicts, a list of rows the first of which holds the headings, or a dict of columns.

    Further arguments, result and errors as in :func:`create_markdown_artifact`.
    """
    return _create("table", _rows(table), key, description)


def create_link_artifact(
    link: str, link_text: str | None = None, key: str | None = None, description: str = ""
) -> uuid.UUID:
    """Show a link; ``link_text`` is what is read in its place. Else as :func:`create_markdown_artifact`."""
    if not isinstance(link, str) or not re.match(r"(https?|ftp|s3|gs|mailto|file):", link):
        raise InvalidInput(f"link is {link!r}: it has to begin with https:// or another known scheme")
    return _create("link", {"url": link, "text": link_text or link}, key, description)


def _create(kind: str, data: Any, key: str | None, description: str) -> uuid.UUID:
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise InvalidInput(f"key is {key!r}: it has to consist of lower-case letters, digits and hyphens")
    identifier = uuid7()
    run, task, sink = context.owner(), context.task_run(), tracking.present_sink()
    if sink is not None:
        sink.put(
            {
                "kind": "artifact",
                "id": str(identifier),
                "key": key,
                "type": kind,
                "description": description,
                "data": data,
                "flow_run_id": run.id if run is not None else None,
                "task_run_id": task.id if task is not None else None,
                "at": to_text(now()),
            }
        )
    return identifier


def _rows(table: Any) -> list[dict[str, Any]]:
    if isinstance(table, Mapping):
        columns = {str(name): list(values) for name, values in table.items() if _is_row(values)}
        if len(columns) != len(table) or len({len(values) for values in columns.values()}) > 1:
            raise InvalidInput("table: each column has to be a list, and all of one length")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    rows = list(table) if _is_row(table) else None
    if rows is not None and all(isinstance(row, Mapping) for row in rows):
        return [{str(name): value for name, value in row.items()} for row in rows]
    if not rows or not all(_is_row(row) and len(row) == len(rows[0]) for row in rows):
        raise InvalidInput("table: it has to be a list of dicts, a list of equally long lists, or a dict of lists")
    head = [str(name) for name in rows[0]]
    return [dict(zip(head, row, strict=True)) for row in rows[1:]]


def _is_row(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__")
