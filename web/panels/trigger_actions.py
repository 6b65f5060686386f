"""The actions in the form of a trigger: their fields come from the kinds, so that a new kind appears by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.server.services.acting import action_kinds
from orchestrator.server.services.acting.action_kind import Kind

from . import trigger_texts
from .trigger_rows import LIST, indexes, insert, without


def shown(value: Any, place: str) -> dict[str, str]:
    """The fields of a list of actions."""
    found = {place: LIST}
    for index, document in enumerate(value if isinstance(value, list) else ()):
        found.update({f"{place}.{index}{name}": text for name, text in _one(document).items()})
    return found


def _one(document: Any) -> dict[str, str]:
    if not isinstance(document, Mapping):
        return {".do": ""}
    found = {".do": trigger_texts.shown(document.get("do"), "text")}
    kind = kind_named(document.get("do"))
    if kind is not None:
        found.update({f".{item.name}": trigger_texts.shown(document.get(item.name), item.kind) for item in kind.fields})
        found.update({f".pick.{number}": pick for number, pick in _picks(kind, document)})
    return found


def kind_named(name: Any) -> Kind | None:
    """The kind of an action; None: there is none of that name."""
    return action_kinds.installed().get(name) if isinstance(name, str) else None


def _picks(kind: Kind, document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Of each group of fields of which one is given: the first that is."""
    for number, names in enumerate(kind.one_of):
        yield number, next((name for name in names if name in document), names[0])


def add(document: dict[str, Any], place: str, kind: str, fields: dict[str, str]) -> None:
    """Add an action of a kind at the end."""
    if kind_named(kind) is None or fields.get(place) != LIST:
        return
    present = document.get(place)
    actions = [*present] if isinstance(present, list) else []
    actions.append({"do": kind})
    document[place] = actions
    insert(fields, place, {name.removeprefix("."): text for name, text in _one({"do": kind}).items()})


def dropped(document: dict[str, Any], row: str) -> None:
    """Take the action of a row out of the document."""
    place, _, number = row.rpartition(".")
    actions = document.get(place) if place in ("then", "on_resolve") else None
    if isinstance(actions, list) and number.isdigit() and int(number) < len(actions):
        document[place] = actions[: int(number)] + actions[int(number) + 1 :]
        if not document[place]:
            del document[place]


def lay(document: dict[str, Any], place: str, fields: dict[str, str], problems: dict[str, list[str]]) -> None:
    """Lay the fields of a list of actions over the document."""
    actions = document.get(place)
    if fields.get(place) != LIST or not isinstance(actions, list):
        return
    for index in indexes(fields, place):
        if index < len(actions) and isinstance(actions[index], dict):
            actions[index] = _laid(actions[index], f"{place}.{index}", fields, problems)


def _laid(action: dict[str, Any], row: str, fields: dict[str, str], problems: dict[str, list[str]]) -> dict[str, Any]:
    wanted = kind_named(fields.get(f"{row}.do"))
    if wanted is not None and wanted.name != action.get("do"):
        kept = {item.name: action[item.name] for item in wanted.fields if item.name in action}
        action = {"do": wanted.name, **kept}
        _show_anew(action, row, fields)
        return action
    kind = kind_named(action.get("do"))
    if kind is None:
        return action
    left_out = _pick(kind, action, row, fields)
    for item in kind.fields:
        if item.name not in left_out:
            place = f"{row}.{item.name}"
            trigger_texts.put(action, item.name, item.kind, fields.get(place), problems, place)
    return action


def _pick(kind: Kind, action: dict[str, Any], row: str, fields: dict[str, str]) -> set[str]:
    """Leave out what was not chosen; returns the fields that are not to be read."""
    left_out: set[str] = set()
    flags = {item.name for item in kind.fields if item.kind == "flag"}
    for number, before in _picks(kind, action):
        names, chosen = kind.one_of[number], fields.get(f"{row}.pick.{number}", before)
        if chosen not in names or chosen == before:
            # Of several that are given although one may be, all are kept: the check says so.
            left_out |= set(names) - {before}
            continue
        for name in names:
            action.pop(name, None)
            if name != chosen:
                fields[f"{row}.{name}"] = ""
        if chosen in flags:
            action[chosen] = True
            fields[f"{row}.{chosen}"] = "yes"
        left_out |= set(names) - {chosen}
    return left_out


def _show_anew(action: dict[str, Any], row: str, fields: dict[str, str]) -> None:
    kept = without(fields, row)
    fields.clear()
    fields.update(kept)
    fields.update({f"{row}{name}": text for name, text in _one(action).items()})
