"""Templates of SQL: what they make, and that no value ever becomes a part of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.sql_database import SQLDatabase
from orchestrator.blocks.sql_template import SQLTemplate
from orchestrator.errors import InvalidInput

INJECTIONS = [
    "x'; DROP TABLE orders; --",
    "' OR '1'='1",
    "\\'; DELETE FROM orders; --",
    ":id",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "%(id)s",
    "`; DROP TABLE orders",
    "/* */ ; --",
    "x\0y",
    "$$; DROP TABLE orders; $$",
    "ʼ; DROP TABLE orders",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SQLDatabase:
    path: Path = tmp_path_factory.mktemp("shop") / "shop.db"
    made = SQLDatabase(credentials=DatabaseCredentials(dialect="sqlite", database=str(path)))
    made.execute("CREATE TABLE orders (id integer, country text, day text)")
    rows = [(1, "DE", "2026-01-01"), (2, "FR", "2026-01-02"), (3, "US", "2026-01-03")]
    made.execute(
        "INSERT INTO orders VALUES (:id, :country, :day)",
        [dict(zip(("id", "country", "day"), row, strict=True)) for row in rows],
    )
    return made


def template(shop: SQLDatabase, statement: str, **parameters: Any) -> SQLTemplate:
    return SQLTemplate(database=shop, statement=statement, parameters=parameters)


def test_values_are_bound_by_name(shop: SQLDatabase) -> None:
    made = template(shop, "SELECT * FROM orders WHERE country = {{ country }} OR country = {{ country }}", country={})
    sql, bound = made.preview(country="DE")
    assert sql == "SELECT * FROM orders WHERE country = :country OR country = :country"
    assert bound == {"country": "DE"}
    assert [row["id"] for row in made.run(country="DE")] == [1]


def test_conditions_loops_and_lists(shop: SQLDatabase) -> None:
    statement = """
        SELECT {% for name in columns %}{{ name | identifier }}{% if not loop.last %}, {% endif %}{% endfor %}
        FROM {{ table | identifier }} WHERE 1 = 1
        {% if countries %}AND country IN ({{ countries }}){% endif %}
        {% for low in least %}AND id >= {{ low }} {% endfor %}
    """
    made = template(
        shop,
        statement,
        columns={"type": "identifier", "many": True, "default": ["id", "country"]},
        table={"type": "identifier", "choices": ["orders"], "default": "orders"},
        countries={"many": True, "required": False},
        least={"type": "integer", "many": True, "required": False},
    )
    sql, bound = made.preview(countries=["DE", "FR"], least=[1, 2])
    assert " ".join(sql.split()) == (
        'SELECT "id", "country" FROM "orders" WHERE 1 = 1 AND country IN (:countries_1, :countries_2) '
        "AND id >= :low AND id >= :low_2"
    )
    assert bound == {"countries_1": "DE", "countries_2": "FR", "low": 1, "low_2": 2}
    assert made.run(countries=["DE", "FR"], least=[1, 2]) == [{"id": 2, "country": "FR"}]
    assert len(made.run()) == 3
    assert [row["id"] for row in made.stream(columns=["id"])] == [1, 2, 3]


def test_types_defaults_and_what_is_unknown(shop: SQLDatabase) -> None:
    made = template(
        shop, "SELECT {{ day }} AS day, {{ n }} AS n", day={"type": "date"}, n={"type": "integer", "default": 3}
    )
    assert made.preview(day="2026-01-31")[1] == {"day": date(2026, 1, 31), "n": 3}
    for values, said in [
        ({}, "day is missing"),
        ({"day": "yesterday"}, "day: Input should be a valid date"),
        ({"day": "2026-01-01", "n": "many"}, "n: Input should be a valid integer"),
        ({"day": "2026-01-01", "x": 1}, "does not take x; it takes day, n"),
    ]:
        with pytest.raises(InvalidInput, match=said):
            made.preview(**values)


def test_an_empty_list_names_the_way_out(shop: SQLDatabase) -> None:
    made = template(shop, "SELECT 1 WHERE 1 IN ({{ ids }})", ids={"type": "integer", "many": True})
    with pytest.raises(InvalidInput, match=r"empty list.*\{% if ids %\}"):
        made.run(ids=[])
    with pytest.raises(InvalidInput, match="ids: give a list"):
        made.run(ids="1")


@pytest.mark.parametrize("value", INJECTIONS)
def test_injections_stay_values(shop: SQLDatabase, value: str) -> None:
    made = template(shop, "SELECT {{ a }} AS a, {{ a ~ 'x' }} AS b, {{ [a] }} AS c", a={})
    sql, _ = made.preview(a=value)
    assert sql == "SELECT :a AS a, :a_2 AS b, :a_1 AS c"
    assert made.run(a=value) == [{"a": value, "b": f"{value}x", "c": value}]
    assert len(shop.fetch("SELECT * FROM orders")) == 3


@given(value=st.text(max_size=200), other=st.text(max_size=50))
def test_no_value_changes_the_statement(shop: SQLDatabase, value: str, other: str) -> None:
    made = template(
        shop,
        "SELECT {% if a %}{{ a | upper }}{% else %}{{ a }}{% endif %} FROM orders WHERE x IN ({{ b }})",
        a={},
        b={"many": True},
    )
    sql, bound = made.preview(a=value, b=[value, other])
    assert sql == "SELECT :a FROM orders WHERE x IN (:b_1, :b_2)"
    assert bound == {"a": value.upper(), "b_1": value, "b_2": other}


@given(name=st.text(max_size=60))
def test_only_names_become_identifiers(shop: SQLDatabase, name: str) -> None:
    made = template(shop, "SELECT * FROM {{ t | identifier }}", t={})
    try:
        sql, bound = made.preview(t=name)
    except InvalidInput:
        assert not (name.isascii() and name.isidentifier())
    else:
        assert bound == {}
        assert sql == "SELECT * FROM " + ".".join(f'"{part}"' for part in name.split("."))
        assert all(part.isascii() and part.replace("$", "_").isidentifier() for part in name.split("."))


@pytest.mark.parametrize(
    "name", ['orders"; DROP TABLE orders; --', "a.b.c.d", "", "1a", "a b", "a..b", "ordérs", "a\n"]
)
def test_what_is_no_identifier_is_refused(shop: SQLDatabase, name: str) -> None:
    made = template(shop, "SELECT * FROM {{ t | identifier }}", t={"type": "identifier"})
    with pytest.raises(InvalidInput, match="no name of a table or column"):
        made.preview(t=name)


def test_an_allow_list_is_the_only_way(shop: SQLDatabase) -> None:
    made = template(shop, "SELECT * FROM {{ t | identifier }}", t={"type": "identifier", "choices": ["orders"]})
    assert made.preview(t="orders")[0] == 'SELECT * FROM "orders"'
    with pytest.raises(InvalidInput, match="t: one of orders is allowed"):
        made.preview(t="salaries")


def test_an_identifier_that_is_put_together_is_a_value_again(shop: SQLDatabase) -> None:
    made = template(shop, "SELECT {{ (t | identifier) ~ t }} AS x", t={})
    assert list(made.preview(t="orders")[1]) == ["t"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT {{ unknown }}", "uses unknown, which parameters does not declare"),
        ("SELECT {{ a", "the template, line 1"),
        ("{% macro m() %}x{% endmacro %}", "macro"),
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% from 'x' import y %}", "from"),
        ("{% extends 'x' %}", "extends"),
        ("{% block b %}{% endblock %}", "block"),
        ("{% set x %}{{ a }}{% endset %}", "set with a body"),
        ("{% filter upper %}{{ a }}{% endfilter %}", "filter"),
        ("{% call a() %}{% endcall %}", "call"),
        ("SELECT {{ a | _bind('x') }}", "no filter _bind"),
        ("SELECT {{ a | safe }}", "filter"),
        ("SELECT {{ a | nothing }}", "filter"),
        ("SELECT {{ _values }}", "what starts with _"),
        ("{% set _values = a %}SELECT 1", "what starts with _"),
        ("SELECT {{ self }}", "self"),
        ("SELECT {{ lipsum() }}", "lipsum"),
        ("SELECT {{ cycler }}", "cycler"),
    ],
)
def test_a_template_that_cannot_be_is_refused_when_it_is_made(shop: SQLDatabase, statement: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        template(shop, statement, a={})


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT {{ a.__class__.__mro__ }}",
        "SELECT {{ a['__class__'] }}",
        "SELECT {{ a.format.__globals__ }}",
        "SELECT {{ '{0.__class__}'.format(a).x }}",
        "SELECT {{ (a * 1000000000) }}",
        "SELECT {{ 10 ** 10000 }}",
        "SELECT {{ '%1000000000d' % 1 }}",
        "SELECT {% for i in range(1000000000) %}x{% endfor %}",
        "SELECT {% for i in range(90000) %}{{ i }},{% endfor %} 1",
        "SELECT {{ a.nothing }}",
        "SELECT {{ a() }}",
        "SELECT {{ range }}",
        "SELECT '{{ a }}'",
        'SELECT "{{ a }}"',
        "SELECT $$ {{ a }} $$",
        "SELECT 1 -- {{ a }}",
        "SELECT /* {{ a }} */ 1",
    ],
)
def test_the_sandbox_holds(shop: SQLDatabase, statement: str) -> None:
    made = template(shop, statement, a={})
    with pytest.raises(InvalidInput) as caught:
        made.preview(a="x")
    assert len(str(caught.value).splitlines()) == 1


def test_colons_of_the_statement_are_no_parameters(shop: SQLDatabase) -> None:
    made = template(shop, """SELECT '{"a":1, "b": :x}' AS j, '12:30' AS t, {{ a }} AS a""", a={})
    assert made.run(a="v") == [{"j": '{"a":1, "b": :x}', "t": "12:30", "a": "v"}]


def test_declarations_are_checked(shop: SQLDatabase) -> None:
    for parameters, said in [
        ({"1a": {}}, "cannot name a parameter"),
        ({"_values": {}}, "cannot name a parameter"),
        ({"n": {"type": "integer", "default": "many"}}, "n: Input should be a valid integer"),
        ({"n": {"type": "blob"}}, "type"),
        ({"n": {"type": "integer", "choices": ["x"]}}, "n: Input should be a valid integer"),
    ]:
        with pytest.raises(ValidationError, match=said):
            template(shop, "SELECT 1", **parameters)


def test_changes_are_counted_and_the_test_changes_nothing(shop: SQLDatabase) -> None:
    made = template(shop, "DELETE FROM orders WHERE id = {{ id }}", id={"type": "integer"})
    assert "DELETE FROM orders WHERE id = :id" in made.test()
    assert "SQLite" in made.test()
    assert len(shop.fetch("SELECT * FROM orders")) == 3
    assert made.execute(id=99) == 0
