"""What every database promises, held against each engine: real servers and real files."""

from __future__ import annotations

import multiprocessing
import threading
import uuid
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest

from orchestrator.blocks.sql_database import SQLDatabase
from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.interfaces import Observed

from ..polling import until
from ..standins.databases import ENGINES, database


@pytest.fixture(scope="module", params=ENGINES)
def shop(request: pytest.FixtureRequest, services: tuple[str, str]) -> Iterator[SQLDatabase]:
    with database(request.param, services[0]) as made:
        yield made


@pytest.fixture
def orders(shop: SQLDatabase) -> Iterator[str]:
    """Name of a table with a key and a text."""
    name = f"orders_{uuid.uuid4().hex[:8]}"
    shop.execute(f"CREATE TABLE {name} (id integer PRIMARY KEY, what varchar(100))")
    yield name
    shop.execute(f"DROP TABLE IF EXISTS {name}")


def fill(shop: SQLDatabase, table: str, count: int) -> int:
    rows = [{"id": number, "what": f"thing {number}"} for number in range(count)]
    done = shop.execute(f"INSERT INTO {table} VALUES (:id, :what)", rows)
    if shop.url().get_backend_name() == "postgresql":
        shop.fetch("SELECT pg_stat_force_next_flush()")  # an idle connection tells what it counted after 10 s
    return done


def told(shop: SQLDatabase, rows: int) -> int:
    """What is told of so many rows that were written: DuckDB tells it since 2.0."""
    if shop.url().get_backend_name() == "duckdb" and metadata.version("duckdb") < "2":
        return 0
    return rows


def count(shop: SQLDatabase, table: str) -> int:
    return int(shop.fetch(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def test_what_is_executed_is_kept_and_fetched(shop: SQLDatabase, orders: str) -> None:
    assert shop.execute(f"INSERT INTO {orders} VALUES (:id, :what)", {"id": 1, "what": "one"}) == told(shop, 1)
    more = [{"id": 2, "what": None}, {"id": 3, "what": "x"}]
    assert shop.execute(f"INSERT INTO {orders} VALUES (:id, :what)", more) == told(shop, 2)
    assert shop.execute(f"UPDATE {orders} SET what = :what WHERE id > :id", {"what": "new", "id": 1}) == told(shop, 2)
    assert shop.fetch(f"SELECT id, what FROM {orders} ORDER BY id") == [
        {"id": 1, "what": "one"},
        {"id": 2, "what": "new"},
        {"id": 3, "what": "new"},
    ]
    assert shop.execute(f"DELETE FROM {orders} WHERE id = :id", {"id": 99}) == 0


def test_nothing_is_executed_for_no_parameters_at_all(shop: SQLDatabase, orders: str) -> None:
    assert shop.execute(f"INSERT INTO {orders} VALUES (:id, :what)", []) == 0
    assert shop.execute(f"DELETE FROM {orders}", []) == 0
    assert count(shop, orders) == 0


def test_fetch_takes_no_more_than_the_limit(shop: SQLDatabase, orders: str) -> None:
    fill(shop, orders, 20)
    query = f"SELECT id FROM {orders} ORDER BY id"
    assert [row["id"] for row in shop.fetch(query, limit=3)] == [0, 1, 2]
    assert len(shop.fetch(query, limit=100)) == 20
    assert shop.fetch(query, limit=0) == []
    with pytest.raises(InvalidInput, match="limit"):
        shop.fetch(query, limit=-1)


def test_a_statement_without_rows_fetches_none(shop: SQLDatabase, orders: str) -> None:
    assert shop.fetch(f"INSERT INTO {orders} VALUES (1, 'x')") == []
    assert count(shop, orders) == 1


@pytest.mark.parametrize("value", ["'; DROP TABLE x; --", "100%", "a:b", "%s %(x)s ? :id", "ä 'q' \"d\" \\ `", None])
def test_values_are_never_part_of_the_statement(shop: SQLDatabase, orders: str, value: str | None) -> None:
    shop.execute(f"INSERT INTO {orders} VALUES (:id, :what)", {"id": 1, "what": value})
    assert shop.fetch(f"SELECT what FROM {orders}") == [{"what": value}]
    assert shop.fetch(f"SELECT '100%' AS share, what FROM {orders}")[0]["share"] == "100%"


def test_a_stream_gives_all_rows_in_order(shop: SQLDatabase, orders: str) -> None:
    fill(shop, orders, 2500)
    rows = shop.stream(f"SELECT id FROM {orders} WHERE id >= :low ORDER BY id", {"low": 10}, batch=100)
    assert [row["id"] for row in rows] == list(range(10, 2500))
    with pytest.raises(InvalidInput, match="batch"):
        next(shop.stream("SELECT 1", batch=0))


def test_a_stream_that_is_left_gives_its_connection_back(shop: SQLDatabase, orders: str) -> None:
    fill(shop, orders, 50)
    small = shop.model_copy(update={"max_connections": 1, "connect_timeout_s": 5})
    for _ in range(3):
        stream = small.stream(f"SELECT id FROM {orders} ORDER BY id", batch=5)
        assert next(stream)["id"] == 0
        stream.close()
    assert count(small, orders) == 50


def insert_and_fail(shop: SQLDatabase, table: str, number: int) -> None:
    with shop.transaction():
        shop.execute(f"INSERT INTO {table} VALUES (:id, 'x')", {"id": number})
        _ = 1 / 0


def insert_twice(shop: SQLDatabase, table: str, number: int) -> None:
    with shop.transaction():
        for _ in range(2):
            shop.execute(f"INSERT INTO {table} VALUES (:id, 'x')", {"id": number})


def test_a_transaction_is_kept_whole_or_not_at_all(shop: SQLDatabase, orders: str) -> None:
    with shop.transaction() as inside:
        inside.execute(f"INSERT INTO {orders} VALUES (1, 'x')")
        shop.execute(f"INSERT INTO {orders} VALUES (2, 'x')")
        assert count(shop, orders) == 2
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(shop, orders, 3)
    assert count(shop, orders) == 2
    with pytest.raises(InvalidInput):
        insert_twice(shop, orders, 4)
    assert count(shop, orders) == 2


def test_a_transaction_inside_another_is_undone_alone(shop: SQLDatabase, orders: str) -> None:
    with shop.transaction():
        shop.execute(f"INSERT INTO {orders} VALUES (1, 'x')")
        if shop.url().get_backend_name() == "duckdb":
            with pytest.raises(InvalidInput, match="no transaction inside"), shop.transaction():
                pass
            return
        with pytest.raises(ZeroDivisionError):
            insert_and_fail(shop, orders, 2)
        with shop.transaction():
            shop.execute(f"INSERT INTO {orders} VALUES (3, 'x')")
    assert shop.fetch(f"SELECT id FROM {orders} ORDER BY id") == [{"id": 1}, {"id": 3}]


def test_another_thread_is_outside_of_the_transaction(shop: SQLDatabase, orders: str) -> None:
    seen: list[int] = []
    with shop.transaction():
        shop.execute(f"INSERT INTO {orders} VALUES (1, 'x')")
        reader = threading.Thread(target=lambda: seen.append(count(shop, orders)))
        reader.start()
        reader.join()
    assert seen == [0]
    assert count(shop, orders) == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELEKT 1", "SELEKT"),
        ("SELECT :missing AS x", "names :missing, and no value is given"),
        ("SELECT '{\"a\":1}' AS x", r"write \\:1 where it is no parameter"),
    ],
)
def test_a_statement_that_cannot_be_is_refused_in_one_line(shop: SQLDatabase, statement: str, said: str) -> None:
    for verb in (shop.execute, shop.fetch, lambda text: [*shop.stream(text)]):
        with pytest.raises(InvalidInput, match=f"(?i){said}") as caught:
            verb(statement)
        assert len(str(caught.value).splitlines()) == 1


def test_a_colon_that_is_no_parameter_is_escaped(shop: SQLDatabase) -> None:
    assert shop.fetch("SELECT '{\"a\"\\:1}' AS x, :y AS y", {"y": "b"}) == [{"x": '{"a":1}', "y": "b"}]


def test_a_statement_that_takes_too_long_is_ended(shop: SQLDatabase) -> None:
    endless = {
        "postgresql": "SELECT pg_sleep(60)",
        "mysql": "SELECT sleep(60)",
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "duckdb": "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range + b.range = -1",
    }[shop.url().get_backend_name()]
    hurried = shop.model_copy(update={"statement_timeout_s": 0.5})
    with pytest.raises(Unavailable, match=r"longer than 0.5 s \(statement_timeout_s\)"):
        hurried.fetch(endless)
    assert hurried.fetch("SELECT 1 AS one") == [{"one": 1}]


def test_quoted_names_are_names(shop: SQLDatabase) -> None:
    name = 'odd "na`me'
    table = shop.quote(name)
    shop.execute(f"CREATE TABLE {table} ({shop.quote('select')} integer)")
    try:
        assert shop.execute(f"INSERT INTO {table} VALUES (1)") == told(shop, 1)
    finally:
        shop.execute(f"DROP TABLE {table}")


def test_the_test_names_server_and_version(shop: SQLDatabase) -> None:
    said = shop.test()
    assert "answers in" in said
    assert any(name in said for name in ("PostgreSQL", "MariaDB", "MySQL", "SQLite", "DuckDB"))
    assert said.count("://") == 1


def _insert(shop: SQLDatabase, orders: str, number: int) -> None:
    shop.execute(f"INSERT INTO {orders} VALUES (:id, 'forked')", {"id": number})


def test_a_forked_process_uses_connections_of_its_own(shop: SQLDatabase, orders: str) -> None:
    shop.execute(f"INSERT INTO {orders} VALUES (0, 'parent')")
    context = multiprocessing.get_context("fork")
    for number in (1, 2):
        child = context.Process(target=_insert, args=(shop, orders, number))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert count(shop, orders) == number + 1


def test_tables_are_discovered_with_their_figures(shop: SQLDatabase, orders: str) -> None:
    fill(shop, orders, 30)
    shop.execute(f"CREATE VIEW {orders}_view AS SELECT * FROM {orders}")
    try:
        found = until(lambda: figures(shop, orders, 30), "the engine's estimate")
    finally:
        shop.execute(f"DROP VIEW {orders}_view")
    table, view = found[orders], found[f"{orders}_view"]
    assert (table.kind, table.labels["type"], view.labels["type"]) == ("sql.table", "table", "view")
    assert {"rows", "bytes", "changed", "fresh"} <= table.volatile
    by_id = {resource.id: resource for resource in shop.discover()}
    assert by_id[table.related[0].id].kind in ("sql.schema", "sql.database")
    assert len(by_id) == len([*shop.discover()])
    assert table.id.partition("://")[0] in ("postgres", "mysql", "sqlite", "duckdb")
    if table.id.startswith("postgres"):
        assert table.id.endswith(f"/public.{orders}")
        assert int(table.labels["bytes"] or 0) > 0


def figures(shop: SQLDatabase, orders: str, rows: int) -> dict[str, Any] | None:
    found = {resource.name.rpartition(".")[2]: resource for resource in shop.discover()}
    return found if found[orders].labels.get("rows") == rows else None


def test_what_happens_to_tables_is_observed_once(shop: SQLDatabase, orders: str) -> None:
    told: list[Observed] = []
    first = shop.observe(None, told.append)
    assert told == []
    fill(shop, orders, 25)
    shop.execute(f"CREATE TABLE {orders}_new (id integer)")
    cursor = first
    wanted = {("sql.table.created", f"{orders}_new"), ("sql.table.changed", orders), ("sql.table.grew", orders)}

    def look() -> bool:
        nonlocal cursor
        cursor = shop.observe(cursor, told.append)
        return wanted <= {(item.event, item.resource.name.rpartition(".")[2]) for item in told}

    until(look, "what happened")
    shop.execute(f"DROP TABLE {orders}_new")
    del told[:]
    cursor = shop.observe(cursor, told.append)
    assert [(item.event, item.resource.name.rpartition(".")[2]) for item in told] == [
        ("sql.table.dropped", f"{orders}_new")
    ]
    assert told[0].key
    shop.observe(cursor, told.append)
    assert len(told) == 1


def test_a_freshness_query_tells_of_updates(shop: SQLDatabase, orders: str) -> None:
    fill(shop, orders, 3)
    watched = shop.model_copy(update={"freshness": {orders: f"SELECT max(what) FROM {orders}"}})
    cursor = watched.observe(None, lambda _: None)
    table = next(resource for resource in watched.discover() if resource.name.endswith(orders))
    assert table.labels["fresh"] == "thing 2"
    shop.execute(f"UPDATE {orders} SET what = 'z' WHERE id = 0")
    told: list[Observed] = []
    watched.observe(cursor, told.append)
    assert "sql.table.changed" in {item.event for item in told if item.resource.name.endswith(orders)}
