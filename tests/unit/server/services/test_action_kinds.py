"""Documents of actions, checked as they are saved: everything wrong is named, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.server.services.acting import action_kinds

RUN = {"do": "run-deployment", "deployment": "etl/prod"}


@pytest.mark.parametrize(
    "document",
    [
        RUN,
        {**RUN, "parameters": {"key": "{{ event.payload.key }}", "n": 3}, "delay": "5m", "tags": ["a"]},
        {"do": "run-deployment", "inferred": True},
        {**RUN, "deployment": "{{ labels.deployment }}", "delay": "{{ event.payload.wait }}"},
        {"do": "emit-event", "event": "orders.late", "resource": {"resource.id": "{{ resource.id }}"}},
    ],
)
def test_what_is_taken(document: dict[str, Any]) -> None:
    action_kinds.check([document], "then")


@pytest.mark.parametrize(
    ("documents", "place", "problem"),
    [
        ("x", "then", "Must be a list of actions."),
        ([RUN] * 21, "then", "at most 20"),
        (["run"], "then.0", "Must be a mapping"),
        ([RUN, {"deployment": "x"}], "then.1.do", "Is missing; there are"),
        ([{"do": "runn"}], "then.0.do", "There is no action 'runn'; there are"),
        ([{**RUN, "inferred": True}], "then.0", "needs one of deployment, inferred"),
        ([{"do": "run-deployment"}], "then.0", "needs one of deployment, inferred"),
        ([{**RUN, "parameter": {}}], "then.0.parameter", "no such field; it has deployment"),
        ([{**RUN, "parameters": []}], "then.0.parameters", "Must be a mapping."),
        ([{**RUN, "parameters": {"a": ["{{ x.y }}"]}}], "then.0.parameters.a.0", "There is no x; templates know"),
        ([{**RUN, "parameters": {"a": "{{ event."}}], "then.0.parameters.a", "line 1"),
        ([{**RUN, "delay": "soon"}], "then.0.delay", "is no duration"),
        ([{**RUN, "delay": -3}], "then.0.delay", "negative"),
        ([{**RUN, "priority": "high"}], "then.0.priority", "Must be a whole number."),
        ([{**RUN, "tags": [1]}], "then.0.tags", "Must be a list of texts."),
        ([{**RUN, "deployment": ""}], "then.0.deployment", "Must be a text that is not empty."),
        ([{**RUN, "deployment": None}], "then.0.deployment", "Must not be null"),
        ([{"do": "emit-event", "event": "x"}], "then.0.resource", "Is missing."),
    ],
)
def test_what_is_wrong_is_named(documents: Any, place: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        action_kinds.check(documents, "then")
    assert problem in " ".join(caught.value.errors[place])
    assert place in str(caught.value)


def test_every_kind_says_what_it_is() -> None:
    for name, kind in action_kinds.installed().items():
        assert kind.name == name
        assert kind.title
        assert kind.description.endswith(".")
        names = [field.name for field in kind.fields]
        assert len(names) == len(set(names))
        assert all(field.description.endswith(".") for field in kind.fields)
        assert all(member in names for group in kind.one_of for member in group)
        block = next((field for field in kind.fields if field.kind == "block"), None)
        assert not kind.outgoing or (block is not None and block.fixed and block.interface), name
