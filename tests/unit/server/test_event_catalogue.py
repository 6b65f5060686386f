"""The catalogue of the server's own events, held against the code that writes them.

What each event carries is held against it by ``tests/cataloguing.py``, after every test with a database.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from orchestrator.server.db.models.event import KINDS
from orchestrator.server.event_catalogue import EVENTS, FAMILIES, is_reserved, kind_of
from orchestrator.states import StateType

CORE = Path(__file__).parents[3] / "orchestrator"
_SOURCES = {path: path.read_text("utf-8") for path in CORE.rglob("*.py") if "event_catalogue" not in path.parts}
_WRITTEN = re.compile(r"(?:\bannounce\(\s*session,|EventRecord\()\s*(f?)\"([^\"]+)\"")
#: Runs' events are named by their states in SQL and in f-strings.
_STATES = {kind.value.lower() for kind in StateType}


def written() -> set[str]:
    """Names of events in calls that write them; ``*`` for what is filled in."""
    found = {match for text in _SOURCES.values() for match in _WRITTEN.findall(text)}
    return {re.sub(r"\{[^}]*\}", "*", name) if is_pattern else name for is_pattern, name in found}


def test_calls_are_found() -> None:
    assert {"flow-run.deleted", "api-key.created", "variable.*", "task-run.*"} <= written()


def test_every_event_that_is_written_is_told_of() -> None:
    unknown = {name for name in written() if not any(fnmatchcase(event, name) for event in EVENTS)}
    assert not unknown, "add them to orchestrator/server/event_catalogue/"


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_that_is_told_of_is_written(name: str) -> None:
    family, _, verb = name.partition(".")
    if family in ("flow-run", "task-run") and verb in _STATES:
        return
    verb = verb.removesuffix("-asked")
    told = (f'"{name}"', f'"{verb}"', f"'{name}'")
    assert any(word in text for text in _SOURCES.values() for word in told), "nothing writes it"


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_facts_are_whole(name: str) -> None:
    facts = EVENTS[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*", name)
    assert facts.kind in KINDS
    assert facts.says.endswith(".")
    assert (facts.kind == "action") <= ("by" in facts.payload)


def test_names_of_our_own_are_reserved() -> None:
    assert all(is_reserved(f"{family}.anything") for family in FAMILIES)
    assert is_reserved("Flow-Run.completed")
    assert is_reserved("trigger")
    assert not is_reserved("table.loaded")
    assert not is_reserved("flow-runner.started")


def test_kinds() -> None:
    assert (kind_of("block.loaded"), kind_of("agent.started"), kind_of("new.thing")) == (
        "action",
        "operation",
        "action",
    )
