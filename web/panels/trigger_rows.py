"""Rows of lists in a flat form: ``LIST.0``, ``LIST.1.label``."""

from __future__ import annotations

from collections.abc import Mapping

#: Value of the field that says that a list stands in the form.
LIST = "list"


def indexes(fields: Mapping[str, str], prefix: str) -> list[int]:
    """Numbers of the rows of a list, ascending."""
    start = f"{prefix}."
    heads = (name[len(start) :].partition(".")[0] for name in fields if name.startswith(start))
    return sorted({int(head) for head in heads if head.isascii() and head.isdigit() and len(head) < 5})


def insert(fields: dict[str, str], prefix: str, row: Mapping[str, str]) -> int:
    """Add a row at the end; its fields by what follows the row's name. Returns its number."""
    index = max(indexes(fields, prefix), default=-1) + 1
    for name, text in row.items():
        fields[f"{prefix}.{index}.{name}" if name else f"{prefix}.{index}"] = text
    return index


def drop(fields: dict[str, str], place: str) -> None:
    """Take a row out; those behind it move up."""
    prefix, _, number = place.rpartition(".")
    if not number.isdigit() or fields.get(prefix) != LIST:
        return
    start, gone = f"{prefix}.", int(number)
    kept = {}
    for name, text in fields.items():
        head, dot, rest = name[len(start) :].partition(".") if name.startswith(start) else ("", "", "")
        index = int(head) if head.isdigit() else -1
        if index != gone:
            kept[f"{start}{index - 1}{dot}{rest}" if index > gone else name] = text
    fields.clear()
    fields.update(kept)


def part(fields: Mapping[str, str], place: str) -> dict[str, str]:
    """The fields within one, by what follows its name (with the dot)."""
    start = f"{place}."
    return {name[len(place) :]: text for name, text in fields.items() if name.startswith(start)}


def without(fields: Mapping[str, str], place: str) -> dict[str, str]:
    """All fields but those within one, and it."""
    return {name: text for name, text in fields.items() if name != place and not name.startswith(f"{place}.")}
