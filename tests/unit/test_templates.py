"""Templates: what is one, what it stands for, and what is said of those that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.documents.templates import holds_template, names_in, resolve, without_templates
from orchestrator.errors import InvalidInput


class Values:
    """A lookup over dictionaries."""

    def block(self, ref: str, field: str | None) -> Any:
        blocks = {
            "secret/api-key": {"value": "s3cr3t"},
            "json/dev.v2": {"value": {"rows": [1, {"deep-er": True}], "none": None, "1": "one"}},
            "s3/dev": {"bucket": "flows", "port": 9000},
        }
        if ref not in blocks:
            raise InvalidInput(f"there is no block {ref}")
        return blocks[ref][field or "value"]

    def variable(self, name: str) -> Any:
        return {"region": "eu", "odd name": [1, 2]}[name]

    def env(self, name: str) -> str:
        return {"HOME": "/home/me"}[name]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ blocks.secret.api-key }}", "s3cr3t"),
        ("{{blocks.secret.api-key}}", "s3cr3t"),
        (" {{ blocks.s3.dev.port }} ", 9000),
        ("{{ blocks.s3.dev.bucket }}/{{ variables.region }}:{{blocks.s3.dev.port}}", "flows/eu:9000"),
        ('{{ blocks.json["dev.v2"] }}', {"rows": [1, {"deep-er": True}], "none": None, "1": "one"}),
        ("{{ blocks.json['dev.v2'].value.rows[1].deep-er }}", True),
        ("{{ blocks.json['dev.v2'].value.rows[-1]['deep-er'] }}", True),
        ("{{ blocks.json['dev.v2'].value.rows.0 }}", 1),
        ("{{ blocks.json['dev.v2'].value.1 }}", "one"),
        ("<{{ blocks.json['dev.v2'].value.none }}>", "<>"),
        ("rows: {{ blocks.json['dev.v2'].value.rows }}", 'rows: [1, {"deep-er": true}]'),
        ('{{ variables["odd name"] }}', [1, 2]),
        ("{{ env.HOME }}/x", "/home/me/x"),
        ({"a": ["{{ env.HOME }}", None], "b": "{{ env.HOME }}"}, {"a": ["/home/me", None], "b": "/home/me"}),
        ("SELECT {{ column }} FROM {{ ref('orders') }}", "SELECT {{ column }} FROM {{ ref('orders') }}"),
        ("{{ items | join(', ') }} {{ env.HOME }}", "{{ items | join(', ') }} /home/me"),
        ("{{ block }} {{}} {{ 1 }} {env.HOME} {{env.HOME", "{{ block }} {{}} {{ 1 }} {env.HOME} {{env.HOME"),
        (7, 7),
    ],
)  # fmt: skip
def test_what_templates_stand_for(value: Any, expected: Any) -> None:
    assert resolve(value, Values(), "parameters") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ blocks }}", "names no block: write {{ blocks.TYPE.NAME }}"),
        ("{{ blocks.secret }}", "names no block"),
        ("{{ blocks.secret[0] }}", "names no block"),
        ("{{ variables }}", "names no variable: write {{ variables.NAME }}"),
        ("{{ env }}", "names no environment variable: write {{ env.NAME }}"),
        ("{{ env.A.B }}", "names no environment variable"),
        ("{{ env['A=B'] }}", "names no environment variable"),
        ("{{ block.secret.a }}", "begins with none of blocks, variables, env; did you mean blocks?"),
        ("{{ variable.a }}", "did you mean variables?"),
        ("{{ blocks.secret.a | upper }}", "is no dotted name: after 'blocks.secret.a' comes '| upper'"),
        ("{{ blocks.secret.a.__class__() }}", "is no dotted name"),
        ("{{ variables.a + 1 }}", "is no dotted name"),
        ("{{ blocks.s3. }}", "is no dotted name"),
        ('{{ blocks.s3["dev }}', "is no dotted name"),
        ("{{ env." + "x" * 2000 + " }}", "longer than 1000 characters"),
    ],
)
def test_a_template_that_is_wrong_names_its_place_and_the_fix(text: str, message: str) -> None:
    for call in (lambda value: names_in(value, "parameters"), lambda value: resolve(value, Values(), "parameters")):
        with pytest.raises(InvalidInput) as caught:
            call({"rows": [{"a": f"x {text}"}]})
        assert str(caught.value).startswith("parameters.rows[0].a: ")
        assert message in str(caught.value)
        assert [*caught.value.errors] == ["parameters.rows[0].a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ blocks.json['dev.v2'].value.rows[5] }}", "there is no 5 in it"),
        ("{{ blocks.json['dev.v2'].value.gone }}", "there is no gone in it"),
        ("{{ blocks.secret.api-key.value.upper }}", "there is no upper in it"),
        ("{{ blocks.secret.none }}", "there is no block secret/none"),
    ],
)
def test_what_stands_for_nothing_is_named_without_any_value(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match="a: ") as caught:
        resolve({"a": text}, Values(), "parameters")
    assert message in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_values_of_blocks_are_no_templates_themselves() -> None:
    class Nested(Values):
        def variable(self, name: str) -> Any:
            return "{{ blocks.secret.api-key }}"

    assert resolve("{{ variables.x }}", Nested(), "p") == "{{ blocks.secret.api-key }}"


def test_names_are_told_with_their_places() -> None:
    found = names_in({"a": "{{ blocks.s3.dev.bucket }}-{{ env.X }}", "b": [{"c": "{{ variables.y }}"}]}, "parameters")
    assert [(place, name.root, name.steps) for place, name in found] == [
        ("parameters.a", "blocks", ("s3", "dev", "bucket")),
        ("parameters.a", "env", ("X",)),
        ("parameters.b[0].c", "variables", ("y",)),
    ]
    assert found[0][1].block == "s3/dev"


def test_values_with_templates_are_told_from_others() -> None:
    values = {"a": [{"b": "{{ env.X }}"}], "c": "{{ c }}", "d": "{{ blocks }}"}
    assert holds_template(values)
    assert without_templates(values) == {"c": "{{ c }}"}


def test_a_hostile_text_takes_no_time_out_of_proportion() -> None:
    """What takes quadratic time here does not end before the time-out of the test."""
    for text in ("{{" * 300_000, "{{ env." * 100_000, "{{ blocks" + " " * 300_000, "}}" * 300_000):
        assert not holds_template(text)
        assert resolve(text, Values(), "p") == text
