"""The form of a trigger and its document: what was not touched stays, whatever it is; what was, is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import triggers
from orchestrator.server.services.acting import action_kinds
from orchestrator.web.panels import trigger_fields, trigger_texts
from orchestrator.web.panels.trigger_fields import lay, shown
from orchestrator.web.panels.trigger_texts import LINES

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n,\"'*!{}: "), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    PLAIN | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
PATTERNS = TEXTS | st.lists(TEXTS, max_size=3)
SELECTOR = st.dictionaries(st.sampled_from(["resource.id", "resource.role", "env"]) | TEXTS, PATTERNS, max_size=3)
SPANS = st.sampled_from(["5m", "1h30m", 90, 300.0, 0.5])
MATCHING: dict[str, Any] = {
    "expect": PATTERNS, "match": SELECTOR, "match_related": SELECTOR | st.lists(SELECTOR, max_size=2),
    "threshold": st.integers(1, 9), "within": SPANS, "for_each": PATTERNS, "after": PATTERNS,
}  # fmt: skip
METRIC: dict[str, Any] = {
    "operator": st.sampled_from(["<", ">"]), "value": PLAIN, "range": SPANS, "firing_for": SPANS,
    "of": st.dictionaries(st.sampled_from(["deployment", "flow", "tags"]), PATTERNS),
}  # fmt: skip


def mixed(optional: Mapping[str, Any], **required: Any) -> Any:
    """A mapping of such values, where anything may stand in place of any of them, and more may stand beside."""
    anything = {name: values | JSON for name, values in optional.items()}
    found = st.fixed_dictionaries(required, optional={**anything, "odd": JSON})
    return st.tuples(found, st.booleans()).map(lambda one: dict(reversed(one[0].items())) if one[1] else one[0])


WHEN = st.one_of(
    mixed(MATCHING),
    mixed(MATCHING, absent=st.just(True)),
    mixed({**METRIC, **MATCHING}, metric=st.sampled_from(["success_rate", "event_count", "payload.a.avg"]) | JSON),
    st.fixed_dictionaries({"schedule": mixed({"cron": TEXTS, "interval": SPANS, "day_or": st.booleans()})}),
    st.fixed_dictionaries({"any": st.lists(mixed(MATCHING), max_size=2)}),
    JSON,
)


@st.composite
def actions(draw: Any) -> Any:
    """Actions of any kind, with values that fit and such that do not."""
    kind = draw(st.sampled_from(sorted(action_kinds.installed())) | TEXTS)
    known = action_kinds.installed().get(kind)
    fields = {item.name: JSON for item in known.fields} if known else {}
    return {"do": kind, **draw(mixed(fields))}


DOCUMENTS = mixed(
    {
        **dict.fromkeys(trigger_fields.FACTS, JSON),
        "when": WHEN,
        "then": st.lists(actions() | JSON, max_size=2),
        "on_resolve": st.lists(actions(), max_size=1),
    }
)


def by_browser(fields: Mapping[str, str]) -> dict[str, str]:
    """What a browser makes of texts: inputs have no ends of lines, those of areas are CR and LF."""
    kinds = {**trigger_fields.FACTS}
    for kind in action_kinds.installed().values():
        kinds.update({item.name: item.kind for item in kind.fields if item.kind in LINES})

    def sent(name: str, text: str) -> str:
        several = kinds.get(name.rpartition(".")[2]) in LINES and not name.startswith("when.")
        return text.replace("\n", "\r\n") if several else text.replace("\n", "")

    return {name: sent(name, text) for name, text in fields.items()}


def told(value: Any) -> str:
    """Equal only where the order of keys is, and 1 is not 1.0 nor true."""
    return json.dumps(value)


@settings(max_examples=60)
@given(DOCUMENTS)
def test_a_form_that_was_not_touched_changes_nothing(document: dict[str, Any]) -> None:
    laid = lay(document, by_browser(shown(document)))
    assert told(laid.document) == told(document)
    again = lay(laid.document, laid.fields)
    assert told(again.document) == told(document)


@settings(max_examples=60)
@given(DOCUMENTS)
def test_yaml_gives_the_same_document(document: dict[str, Any]) -> None:
    assert told(trigger_texts.from_yaml(trigger_texts.to_yaml(document))) == told(document)


@settings(max_examples=60)
@given(DOCUMENTS, st.text("abc", min_size=1))
def test_one_change_changes_nothing_else(document: dict[str, Any], owner: str) -> None:
    laid = lay(document, {**shown(document), "owner": owner})
    assert {**document, "owner": owner} == laid.document


@given(st.lists(st.text("ab,\" !*'", min_size=1).filter(lambda text: text == text.strip() != ""), min_size=1))
def test_lists_in_one_line_are_read_as_they_were(items: list[str]) -> None:
    assert trigger_texts.read(trigger_texts.shown(items, "texts"), "texts") == items


def grown(*acts: str, **fields: str) -> trigger_fields.Laid:
    """A new trigger after some buttons, and then some typing."""
    laid = lay({"when": {}}, shown({"when": {}}))
    for act in acts:
        laid = lay(laid.document, laid.fields, act)
    return lay(laid.document, {**laid.fields, **{name.replace("__", "."): text for name, text in fields.items()}})


def test_rows_become_patterns_and_labels() -> None:
    laid = grown(
        "add:when.expect", "add:when.expect", "add:when.match=resource.id", "add:when.match", "add:when.for_each",
        when__expect__0="a.b", when__expect__1="c*", when__match__0__is="s3://x, !s3://y", when__match__1__label="env",
        when__match__1__is="prod", when__for_each__0="env", when__threshold="3", when__within="300", name=" late ",
    )  # fmt: skip
    assert laid.document == {
        "when": {
            "expect": ["a.b", "c*"], "match": {"resource.id": ["s3://x", "!s3://y"], "env": "prod"}, "for_each": "env",
            "threshold": 3, "within": 300,
        },
        "name": "late",
    }  # fmt: skip
    laid = lay(laid.document, laid.fields, "drop:when.expect.0")
    assert laid.document["when"]["expect"] == "c*"
    laid = lay(laid.document, laid.fields, "drop:when.match.0")
    assert laid.document["when"]["match"] == {"env": "prod"}


def test_half_a_label_is_told_and_stays_in_the_form() -> None:
    laid = grown("add:when.match", when__match__0__label="env")
    assert list(laid.problems) == ["when.match.0.is"]
    assert laid.fields["when.match.0.label"] == "env"
    assert "match" not in laid.document["when"]


def test_what_is_related() -> None:
    identifier = "orchestrator.deployment.01890000-0000-7000-8000-000000000000"
    laid = grown(
        "add:when.related=deployment", "add:when.related=labels",
        when__related__0__deployment=identifier, when__related__1__labels__0__is="table",
        when__related__1__labels__1__is="db.*",
    )  # fmt: skip
    deployment = {"resource.role": "deployment", "resource.id": identifier}
    table = {"resource.role": "table", "resource.id": "db.*"}
    assert laid.document["when"]["match_related"] == [deployment, table]
    laid = lay(laid.document, laid.fields, "drop:when.related.1")
    assert laid.document["when"]["match_related"] == deployment
    triggers.read({**laid.document, "name": "x"})


def test_another_kind_of_condition_keeps_what_both_have() -> None:
    laid = grown("add:when.expect", when__expect__0="a", when__within="5m")
    laid = lay(laid.document, {**laid.fields, "when.kind": "absent"})
    assert laid.document["when"] == {"absent": True, "within": "5m", "expect": "a"}
    laid = lay(laid.document, {**laid.fields, "when.kind": "metric"})
    assert laid.document["when"]["metric"] == "event_count"
    triggers.read({**laid.document, "name": "x"})
    laid = lay(laid.document, {**laid.fields, "when.metric": "failure_count"})
    assert "expect" not in laid.document["when"]
    laid = lay(laid.document, {**laid.fields, "when.of.tags": "a, b"})
    assert laid.document["when"]["of"] == {"tags": ["a", "b"]}
    laid = lay(laid.document, {**laid.fields, "when.kind": "schedule"})
    laid = lay(laid.document, {**laid.fields, "when.schedule.kind": "interval"})
    laid = lay(laid.document, {**laid.fields, "when.schedule.interval": "2h"})
    assert laid.document["when"] == {"schedule": {"timezone": "UTC", "interval": "2h"}}
    triggers.read({**laid.document, "name": "x"})


def test_every_kind_of_action_has_its_fields_in_the_form() -> None:
    for name, kind in action_kinds.installed().items():
        laid = grown(f"add:then={name}")
        assert laid.document["then"] == [{"do": name}]
        for item in kind.fields:
            assert laid.fields[f"then.0.{item.name}"] == "", f"{name} {item.name}"


def test_values_of_actions_are_read_by_the_kind_of_their_field() -> None:
    laid = grown(
        "add:then=run-deployment", then__0__deployment="a/b", then__0__parameters='day: 5\nrows: "{{ event.id }}"',
        then__0__delay="90", then__0__tags="x, y", then__0__priority="7", then__0__name="{{ event.id }}",
    )  # fmt: skip
    [action] = laid.document["then"]
    assert action == {
        "do": "run-deployment", "deployment": "a/b", "parameters": {"day": 5, "rows": "{{ event.id }}"}, "delay": 90,
        "tags": ["x", "y"], "priority": 7, "name": "{{ event.id }}",
    }  # fmt: skip
    assert not action_kinds.problems(laid.document["then"], "then")
    laid = lay(laid.document, {**laid.fields, "then.0.pick.0": "inferred"})
    assert laid.document["then"][0]["inferred"] is True
    assert "deployment" not in laid.document["then"][0]


def test_a_text_that_is_no_yaml_is_told_with_the_way_out() -> None:
    laid = grown("add:then=run-deployment", then__0__parameters="a: {{ event.id }}")
    assert "in quotes" in laid.problems["then.0.parameters"][0]
    assert laid.fields["then.0.parameters"] == "a: {{ event.id }}"
    assert "parameters" not in laid.document["then"][0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "Line 1"), ("a: &x 1\nb: *x", "refers to"), ("1: a", "is no text"), ("a: .nan", "no number"),
        ("a: !!binary aGk=", "cannot be kept"), ("[" * 5000, "nested too deep"), ("- " * 900, "nested too deep"),
    ],
)  # fmt: skip
def test_yaml_that_cannot_be_kept_is_refused_in_a_line(text: str, told: str) -> None:
    with pytest.raises(trigger_texts.Unreadable, match=told):
        trigger_texts.from_yaml(text)


def test_days_stay_texts() -> None:
    assert trigger_texts.from_yaml("at: 2026-01-31") == {"at": "2026-01-31"}
