"""The sandbox of templates: what they give, what they may not do, and what they may use up."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.server.services.acting import sandbox

EVENT = {
    "event": {
        "payload": {"rows": 12, "items": ["a", "b"], "late": None, "text": "it's {{ blocks.secret.key }}"},
        "resource": {"id": "orders.eu", "resource.id": "orders.eu"},
    }
}


def render(text: Any) -> Any:
    return sandbox.render(text, EVENT, "body")


class TestWhatTemplatesGive:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{{ event.payload.rows }}", 12),
            (" {{ event.payload }} ", EVENT["event"]["payload"]),
            ("{{ event.payload.rows }} rows", "12 rows"),
            ("{{ event.payload.items }}", ["a", "b"]),
            ("{{ event.payload.items | map('upper') }}", ["A", "B"]),
            ("{{ event.payload.items | join('+') }}", "a+b"),
            ("x {{ event.payload.items }} {{ event.payload.late }}", 'x ["a", "b"] '),
            ("{{ event['resource']['resource.id'] }}", "orders.eu"),
            ("{{ event.payload.none | default('x') }}", "x"),
            ("{% for x in event.payload.items %}{{ loop.index }}{{ x }}{% endfor %}", "1a2b"),
            ("{% for x in range(3) if x %}{{ x }},{% endfor %}", "1,2,"),
            ("{{ event.payload.rows > 10 }}", True),
            ("{{ event.payload.rows * 2 + 1 }}", 25),
            ("{{ event.payload.rows % 5 * 1.5 }}", 3.0),
            ("{{ 'a' ~ event.payload.rows ~ 'b' }}", "a12b"),
            ("{{ 'a' ~ ('b' ~ event.payload.late) | upper ~ 'c' }}", "aBc"),
            ("{{ 'a' + 'b' }}", "ab"),
            ("{{ event.payload.items[0] }}{{ event.resource.id[:3] }}", "aord"),
            ("{{ event.payload.items | tojson }}", '["a", "b"]'),
            ("{{ event.resource.id | url }}", "orders.eu"),
            ("{{ 'a b/c' | url }}", "a%20b%2Fc"),
            ("{{ 'aXa' | replace('a', 'b') }}", "bXb"),
            ("no template", "no template"),
            (7, 7),
        ],
    )
    def test_values(self, text: Any, value: Any) -> None:
        assert render(text) == value

    def test_mappings_and_lists_through_and_through(self) -> None:
        given = {"a": ["{{ event.payload.rows }}", {"b": "{{ event.resource.id }}!"}], "c": None}
        assert render(given) == {"a": [12, {"b": "orders.eu!"}], "c": None}

    def test_what_a_value_holds_is_not_rendered_again(self) -> None:
        assert render("{{ event.payload.text }}") == "it's {{ blocks.secret.key }}"


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("{{ event.payload.row }}", "body: the template: there is no 'row': it is a mapping with rows, items"),
            ("{{ event.payload.late.by }}", "it is nothing"),
            ("{{ event.payload.rows.x }}", "it is a number"),
            ("{{ other }}", "'other' is undefined"),
            ("{{ event.payload.row.x }} text", "there is no 'row'"),
            ("{% for x in event.payload.row %}{% endfor %}", "there is no 'row'"),
            ("{{ 'x' + event.payload.row }}", "there is no 'row'"),
            ("{{ 1 / 0 }}", "division by zero"),
        ],
    )
    def test_it_is_named(self, text: str, problem: str) -> None:
        with pytest.raises(InvalidInput, match=r"^body: ") as caught:
            render(text)
        assert problem in str(caught.value)
        assert [*caught.value.errors] == ["body"]

    def test_at_save(self) -> None:
        document = {
            "a": "{{ evnt.x }}",
            "b": ["{{ event.x"],
            "c": "{{ event.payload.anything }}",
            "d": "{{ x | nope }}",
        }
        found = sandbox.problems(document, ["event", "x"], "then.0")
        assert sorted(found) == ["then.0.a", "then.0.b.0", "then.0.d"]
        assert found["then.0.a"] == ["There is no evnt; templates know event, x."]
        assert "line 1" in found["then.0.b.0"][0]


class TestWhatTheyMayNot:
    @pytest.mark.parametrize(
        "text",
        [
            "{{ event.__class__ }}",
            "{{ event['__class__'] }}",
            "{{ event.payload.keys() }}",
            "{{ event.payload.text.format(event) }}",
            "{{ ''.__class__.__mro__ }}",
            "{{ event | attr('__class__') }}",
            "{{ event.payload.items | map(attribute='__class__') }}",
            "{{ self }}",
            "{{ _tally.turns }}",
            "{{ cycler('a') }}",
            "{{ lipsum() }}",
            "{{ range }}",
            "{% set x = range %}{{ x(9) }}",
            "{% macro m() %}{% endmacro %}",
            "{% include 'x' %}",
            "{% import 'x' as y %}",
            "{% extends 'x' %}",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
            "{{ '%s' % event }}",
            "{{ event.payload.items.append(1) }}",
        ],
    )
    def test_reach_anything_else(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            render(text)

    @pytest.mark.parametrize(
        "text",
        [
            "{{ 'x' * 1000000000 }}",
            "{{ [1] * 1000000000 }}",
            "{{ 10 ** 1000000 }}",
            "{{ range(1000000000) }}",
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "{{ 'x' | center(1000000000) }}",
            "{{ '%1000000000d' | format(1) }}",
            "{{ [1] | batch(1000000000, 'x') }}",
            "{% set x = 'xxxxxxxxxx' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
            "{% set x = 'xxxxxxxxxx' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
            "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x | replace('a', x) %}" * 20 + "{{ x }}",
            "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
            "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x | tojson | length }}",
            "{% set x = 99999999 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
            "{% for a in range(9000) %}" + "x" * 1000 + "{% endfor %}",
            "x" * 200_000 + "{{ 1 }}",
        ],
    )
    def test_use_up_everything(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            render(text)
