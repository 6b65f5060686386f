"""The form of an expectation: what a document becomes in it, and what is sent becomes."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from orchestrator import serializers
from orchestrator.errors import InvalidInput
from orchestrator.expectations import read
from orchestrator.web.panels import expectation_form as panel
from orchestrator.web.panels.expectation_fields import STATES

RUN = {"deployment": "etl/nightly"}


def sent(form: panel.Form, **changes: str) -> MultiDict[str, str]:
    """What a browser sends for a form; its unchecked boxes are left out."""
    fields = MultiDict({"mode": form.mode, "base": form.base_text})
    for name, value in form.values.items():
        texts = value if isinstance(value, list) else [value]
        fields.setlist(name, [text for text in texts if name != "state" or text in STATES])
    for moment, rows in form.actions.items():
        for index, row in enumerate(rows):
            fields[f"{moment}-{index}"] = row.raw
            for name, text in row.values.items():
                fields[f"{moment}-{index}-{name}"] = text
    for name, text in changes.items():
        fields[name] = text
    return fields


@pytest.mark.parametrize(
    "document",
    [
        {"run": RUN, "by": "09:15", "grace": "2m", "owner": "me",
         "every": {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "calendar": "weekdays"}},
        {"run": RUN, "by": 900, "early": "1h", "every": {"cron": "30 6 * * 1-5"}, "count": 3},
        {"run": RUN, "by": "15m", "every": {"cron": "30 6 * * 0"}},
        {"run": RUN, "by": "15m", "every": {"cron": "5 4 1 * *", "day_or": False}},
        {"run": RUN, "by": "15m", "every": {"interval": 3600, "anchor": "2026-01-01T00:00:00Z"}},
        {"run": {"flow": "etl", "tags": ["a", "b"], "state": ["PAUSED", "FAILED"]}, "by": "1m",
         "every": {"rrule": "FREQ=DAILY;BYHOUR=9"}},
        {"run": {**RUN, "finishes_within": "30m", "of": "schedule"}},
        {"run": {**RUN, "finishes_within": 1800, "state": "COMPLETED"}},
        {"on": {"match": {"resource.id": ["a", "b"], "team": "x"}, "match_related": [{"role": "y"}], "expect": "c"},
         "within": "24h", "calendar": "weekdays", "timezone": "Europe/Berlin", "for_each": "store",
         "each_of": ["17", "18"], "severity": "critical", "description": "a\nb", "active": False},
        {"on": {"expect": ["a", "b.*"]}, "heartbeat": 60,
         "then": [{"do": "notify", "block": "slack/a", "subject": "{{ expectation.name }}"},
                  {"do": "call-webhook", "block": "webhook/b", "body": {"a": 1}},
                  {"do": "run-deployment", "deployment": "a/b", "parameters": {"x": [1]}}],
         "on_resolve": [{"do": "notify", "block": "slack/a"}]},
    ],
)  # fmt: skip
def test_what_is_shown_and_sent_again_stays_as_it_is(document: dict[str, Any]) -> None:
    whole = {"name": "x", **document}
    read(whole)
    assert panel.sent(sent(panel.of(whole))) == whole
    assert panel.sent(MultiDict({"mode": "yaml", "yaml": panel.written(whole)})) == whole


def test_a_time_on_some_days_is_a_cron_line() -> None:
    form = panel.of({"name": "x", "run": RUN, "every": {"cron": "0 9 * * *"}, "by": "09:15"})
    assert (form.values["repeat"], form.values["at"], len(form.values["day"])) == ("days", "09:00", 7)
    fields = sent(form, at="7:05")
    fields.setlist("day", ["mon", "wed", "sun"])
    assert panel.sent(fields)["every"] == {"cron": "5 7 * * 1,3,0"}
    assert panel.of({**form.base, "every": {"cron": "5 7 * * 1,3,0"}}).values["day"] == ["mon", "wed", "sun"]


def test_what_is_chosen_anew_leaves_nothing_behind() -> None:
    form = panel.of({"name": "x", "run": RUN, "every": {"cron": "0 9 * * *"}, "by": "09:15", "early": "5m"})
    fields = sent(form, what="events", when="within", span="24h", resource="a", expect="b, c")
    assert panel.sent(fields) == {
        "name": "x", "on": {"match": {"resource.id": "a"}, "expect": ["b", "c"]}, "within": "24h",
    }  # fmt: skip


def test_its_buttons_add_and_remove_actions_and_keep_what_was_typed() -> None:
    form = panel.of({"name": "x", "run": RUN, "every": {"cron": "0 9 * * *"}, "by": "09:15"})
    added = panel.turned(sent(form, add="then:notify", at="nine", owner="me"))
    assert [row.kind for row in added.actions["then"]] == ["notify"]
    assert (added.values["at"], added.values["owner"]) == ("nine", "me")
    removed = panel.turned(sent(added, remove="then:0"))
    assert removed.actions["then"] == []
    turned = panel.turned(sent(form, to="yaml"))
    assert (turned.mode, "deployment: etl/nightly" in turned.yaml) == ("yaml", True)
    for odd in ("then", "then:", "then:9", "name:0", ":"):
        assert panel.turned(sent(form, add=odd, remove=odd)).actions["then"] == []


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"run": {}, "within": "1h"}, "deployment"),
        ({"run": RUN, "within": "soon"}, "span"),
        ({"run": RUN, "every": {"cron": ""}, "by": "09:15"}, "at"),
        ({"run": RUN, "every": {"cron": "x"}, "by": "09:15"}, "cron"),
        ({"run": RUN, "every": {"cron": "0 9 * * *", "timezone": "x"}, "by": "09:15"}, "timezone"),
        ({"run": {**RUN, "finishes_within": ""}}, "finishes_within"),
        ({"on": {}, "within": "1h"}, "expect"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(document: dict[str, Any], place: str) -> None:
    whole = {"name": "x", **document}
    form = panel.of(whole)
    with pytest.raises(InvalidInput) as caught:
        read(whole)
    assert [*panel.problems(caught.value, form)] == [place]


@pytest.mark.parametrize("text", ["a: [", "- a", "", "a: 1\n---\nb: 2", "x" * 200_001])
def test_what_is_no_document_is_said_at_the_yaml(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        panel.sent(MultiDict({"mode": "yaml", "yaml": text, "base": "{}"}))
    assert [*caught.value.errors] == ["yaml"]
    form = panel.again(MultiDict({"mode": "yaml", "yaml": text, "base": "{}"}))
    assert (form.yaml, [*panel.problems(caught.value, form)]) == (text, ["yaml"])


@pytest.mark.parametrize("base", ["[]", "{", "1"])
def test_a_damaged_form_is_refused(base: str) -> None:
    with pytest.raises(InvalidInput, match="load the page again"):
        panel.sent(MultiDict({"mode": "form", "base": base}))


@pytest.mark.parametrize("given", ["", "[]", "{", "{}"])
def test_a_new_one_begins_with_a_time_where_nothing_else_is_given(given: str) -> None:
    assert panel.begin({"document": given})["by"] == "09:15"
    assert panel.begin({"document": serializers.text({"run": RUN})}) == {"run": RUN}


@pytest.mark.parametrize("odd", [{"on": 5}, {"run": [1]}, {"every": "x"}, {"then": {"a": 1}}, {"on": {"match": 1}}])
def test_what_is_odd_is_still_shown(odd: dict[str, Any]) -> None:
    assert panel.of({"name": "x", **odd}).values["name"] == "x"
