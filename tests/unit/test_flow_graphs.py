"""Graphs of flows: found without running a task, and drawn."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import (
    RunInput,
    as_completed,
    emit_event,
    flow,
    get_run_logger,
    pause_flow_run,
    receive_input,
    suspend_flow_run,
    task,
    unmapped,
    wait,
)
from orchestrator.errors import InvalidInput, ParameterError
from orchestrator.flow_graphs import FlowGraph, Node
from orchestrator.flow_graphs.layers import GAP_X, place

RAN: list[str] = []


@task
def extract(table: str = "") -> list[int]:
    RAN.append("extract")
    return [1]


@task
def transform(rows: Any, factor: Any = 1) -> Any:
    RAN.append("transform")
    return rows


@task
def load(rows: Any) -> None:
    RAN.append("load")


@task
async def fetch(url: Any) -> Any:
    RAN.append("fetch")
    return url


@task(viz_return_value=["a", "b"])
def tables() -> list[str]:
    RAN.append("tables")
    return []


@flow
def inner(rows: Any) -> Any:
    RAN.append("inner")
    return rows


def edges(graph: FlowGraph) -> set[tuple[str, str, str]]:
    assert RAN == []
    names = {node.id: node.name for node in graph.nodes}
    return {(names[edge.source], names[edge.target], edge.kind) for edge in graph.edges}


def test_edges_come_from_data_and_wait_for() -> None:
    @flow
    def etl(table: str = "orders") -> None:
        rows = extract(table)
        more = transform.submit(rows)
        done = load.submit({"rows": [more]})
        extract("other", wait_for=[done])  # type: ignore[call-overload]
        inner(more.result()[0]["field"] + 1)

    graph = etl.visualize()
    assert [node.name for node in graph.nodes] == ["extract-0", "transform", "load", "extract-1", "inner"]
    assert edges(graph) == {
        ("extract-0", "transform", "data"),
        ("transform", "load", "data"),
        ("load", "extract-1", "wait_for"),
        ("transform", "inner", "data"),
    }
    assert [node.kind for node in graph.nodes][-1] == "flow"
    assert graph.note == ""


def test_values_made_of_placeholders_keep_their_origin() -> None:
    @dataclass
    class Batch:
        rows: Any

    @flow
    def many() -> None:
        first, second = extract("a"), extract("b")
        transform(f"s3://{first}/x")
        transform(
            Batch(second),
            factor=-first.size * 2,  # type: ignore[attr-defined]
        )
        transform({"deep": ({second},)})

    assert edges(many.visualize()) == {
        ("extract-0", "transform-0", "data"),
        ("extract-0", "transform-1", "data"),
        ("extract-1", "transform-1", "data"),
        ("extract-1", "transform-2", "data"),
    }


def test_mapped_tasks_are_one_node_each() -> None:
    @flow
    def mapped() -> None:
        rows = transform.map([1, 2, 3], factor=unmapped(2))
        assert wait(rows)
        assert len(list(as_completed(rows))) == 3
        load.map(extract())
        load(rows)

    graph = mapped.visualize()
    assert [node.label for node in graph.nodes] == ["transform × 3", "extract", "load-0 × n", "load-1"]
    assert edges(graph) == {("transform", "load-1", "data"), ("extract", "load-0", "data")}


def test_async_flows_are_drawn_with_and_without_a_loop() -> None:
    @flow
    async def gathered() -> Any:
        one, two = await asyncio.gather(fetch("a"), fetch("b"))
        later = fetch.submit([one, two])
        return await fetch(await later)

    wanted = {("fetch-0", "fetch-2", "data"), ("fetch-1", "fetch-2", "data"), ("fetch-2", "fetch-3", "data")}
    assert edges(gathered.visualize()) == wanted

    async def in_a_notebook() -> FlowGraph:
        return gathered.visualize()

    assert edges(asyncio.run(in_a_notebook())) == wanted


def test_a_value_to_draw_with_lets_the_flow_branch() -> None:
    @flow
    def each() -> None:
        found = tables()
        if len(found) > 1:
            load(found)
        for name in found:
            extract(name)

    graph = each.visualize()
    assert graph.note == ""
    assert ("tables", "load", "data") in edges(graph)
    assert [node.name for node in graph.nodes] == ["tables", "load", "extract-0", "extract-1"]
    assert tables.with_options(name="other").viz_return_value == ["a", "b"]


def test_what_branches_is_read_from_its_source_with_every_branch() -> None:
    @flow
    def choosing() -> None:
        rows = extract()
        if rows:  # noqa: SIM108 each branch a statement of its own
            found = transform(rows)
        else:
            found = inner(rows)
        loads = []
        for row in rows:
            loads.append(load.submit(row))
        [fetch.submit(one) for one in found]
        with_other = transform.with_options(name="x").submit(loads, wait_for=[found])
        with_other.result()

    graph = choosing.visualize()
    assert graph.note.startswith("the flow choosing cannot go on without what extract returns")
    assert "viz_return_value" in graph.note
    assert "\n" not in graph.note
    assert edges(graph) == {
        ("extract", "transform-0", "data"),
        ("extract", "inner", "data"),
        ("extract", "load", "data"),
        ("transform-0", "fetch", "data"),
        ("inner", "fetch", "data"),
        ("load", "transform-1", "data"),
        ("transform-0", "transform-1", "wait_for"),
        ("inner", "transform-1", "wait_for"),
    }
    assert {node.name: node.times for node in graph.nodes}["load"] == 0


@pytest.mark.parametrize(
    "asks",
    [
        lambda rows: rows or 1,
        lambda rows: list(rows),
        lambda rows: len(rows),
        lambda rows: int(rows),
        lambda rows: 1 if rows.count > 3 else 2,
        lambda rows: "x" in rows,
        lambda rows: setattr(rows, "field", 1),
        lambda rows: [10, 20][rows],
    ],
)
def test_what_only_the_value_can_tell_is_one_clear_line(asks: Callable[[Any], Any]) -> None:
    def body() -> None:
        asks(extract())

    exec(compile("def unseen():\n    body()", "<no source>", "exec"), space := {"body": body})
    with pytest.raises(InvalidInput, match=r"cannot go on without what extract returns: .*viz_return_value") as caught:
        flow(space["unseen"]).visualize()
    assert "\n" not in str(caught.value)


def test_missing_parameters_are_stood_in_for_and_drawn_on_request(tmp_path: Path) -> None:
    @flow
    def loads(table: str, factor: int = 5000) -> None:
        transform(extract(table), factor)

    assert {node.kind for node in loads.visualize().nodes} == {"task"}
    from orchestrator.flow_graphs import graph_of

    shown = graph_of(loads, (), {}, show_parameters=True)
    assert edges(shown) == {
        ("table", "extract", "data"), ("extract", "transform", "data"), ("factor", "transform", "data")
    }  # fmt: skip
    with pytest.raises(ParameterError, match="tabel"):
        loads.visualize(tabel="x")
    with pytest.raises(ParameterError, match="factor"):
        loads.visualize("t", factor="many")


def test_a_parameter_that_decides_is_asked_for() -> None:
    exec("def unseen(day):\n    return 1 if day else 2", space := dict[str, Any]())
    with pytest.raises(InvalidInput, match="without a value of its parameter day: give one"):
        flow(space["unseen"]).visualize()
    assert flow(space["unseen"]).visualize(day=1).nodes == ()


def test_threads_of_the_flow_are_drawn_too_and_a_flow_that_runs_elsewhere_runs() -> None:
    begun, drawn = threading.Event(), threading.Event()

    @flow
    def real() -> list[int]:
        begun.set()
        assert drawn.wait(30)
        return extract("real")

    @flow
    def with_a_thread() -> None:
        thread = threading.Thread(target=extract)
        thread.start()
        thread.join()

    found: list[Any] = []
    beside = threading.Thread(target=lambda: found.append(real()))
    beside.start()
    assert begun.wait(30)
    assert [node.name for node in with_a_thread.visualize().nodes] == ["extract"]
    drawn.set()
    beside.join()
    assert (found, RAN) == ([[1]], ["extract"])
    RAN.clear()
    assert extract() == [1]
    RAN.clear()


def test_what_the_function_tells_goes_nowhere(reports: Any) -> None:
    @flow
    def tells() -> None:
        get_run_logger().info("hello")
        emit_event("table.loaded", "orders")
        extract()

    tells.visualize()
    assert reports() == []


def test_generators_and_states() -> None:
    @flow
    def states() -> None:
        state = extract(return_state=True)
        transform(state)
        load(state.result())

    assert edges(states.visualize()) == {("extract", "transform", "data"), ("extract", "load", "data")}


class Approval(RunInput):
    """What somebody is asked."""

    is_fine: bool


def test_questions_to_people_are_nodes_that_the_flow_waits_at() -> None:
    @flow
    def asks() -> None:
        before = extract.submit("x")
        transform(before, 2)
        answer = pause_flow_run(Approval)
        load(answer.is_fine)
        load(before)
        for message in receive_input(int):
            load(message)
        suspend_flow_run()
        load(3)

    graph = asks.visualize()
    names = {node.id: node.name for node in graph.nodes}
    assert [node.name for node in graph.nodes if node.kind == "question"] == [
        "pause for Approval", "receive int", "suspend",
    ]  # fmt: skip
    assert [(names[edge.source], names[edge.target], edge.kind) for edge in graph.edges] == [
        ("extract", "transform", "data"),
        ("transform", "pause for Approval", "wait_for"),
        ("pause for Approval", "load-0", "data"),
        ("extract", "load-1", "data"),
        ("pause for Approval", "load-1", "wait_for"),
        ("load-0", "receive int", "wait_for"),
        ("load-1", "receive int", "wait_for"),
        ("receive int", "load-2", "data"),
        ("load-2", "suspend", "wait_for"),
        ("suspend", "load-3", "wait_for"),
    ]
    assert '{{"pause for Approval"}}' in graph.mermaid()
    assert 'class="question"' in graph.svg()


def test_a_default_answer_lets_the_flow_branch() -> None:
    @flow
    async def asks() -> None:
        if await suspend_flow_run(int, default=1000) > 5:
            load(1)
        else:
            transform(1)
        receiver = receive_input(str)
        load(await receiver.next())
        async for message in receiver:
            load(message)

    assert [node.name for node in asks.visualize().nodes] == [
        "suspend for int", "load-0", "receive str-0", "load-1", "receive str-1", "load-2",
    ]  # fmt: skip


def test_what_branches_on_an_answer_is_read_from_its_source() -> None:
    @flow
    def asks() -> None:
        answer = pause_flow_run(Approval)
        if answer.is_fine:
            load(answer)
        else:
            transform(1)

    graph = asks.visualize()
    assert [(node.name, node.kind) for node in graph.nodes] == [
        ("pause", "question"), ("load", "task"), ("transform", "task"),
    ]  # fmt: skip
    assert [(edge.source, edge.target) for edge in graph.edges] == [("n0", "n1")]
    assert "without an answer to 'pause for Approval': give it a default" in graph.note


def test_mermaid_escapes_what_it_would_take_for_its_own() -> None:
    nodes = (Node("n0", 'say "hi" #1 <b>'), Node("n1", "f", "flow"), Node("n2", "p", "parameter"))
    text = FlowGraph("x", nodes, ()).mermaid()
    assert text.splitlines()[0] == "flowchart TD"
    assert '    n0["say #34;hi#34; #35;1 #60;b#62;"]' in text
    assert '    n1[["f"]]' in text
    assert '    n2[/"p"/]' in text


def test_notebooks_get_a_picture_that_is_well_formed() -> None:
    nodes = (Node("n0", "a < b & \x00 \ud800 c"), Node("n1", "x" * 100, "flow"), Node("n2", "流れ"))

    @flow
    def plain() -> None:
        load(extract())

    graph = FlowGraph("t <i>", nodes, (), "a note & more")
    for one in (graph, plain.visualize(), FlowGraph("empty", (), ())):
        root = ElementTree.fromstring(one._repr_svg_())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        bundle = one._repr_mimebundle_()
        assert set(bundle) == {"image/svg+xml", "text/plain"}
        assert json.loads(json.dumps(one.to_dict()))["flow"] == one.flow
    assert "…" in graph.svg()


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=60))
def test_nothing_overlaps_and_all_stand_below_what_they_wait_for(pairs: list[tuple[int, int]]) -> None:
    ways = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    widths = [40.0 + 10 * (number % 5) for number in range(26)]
    places = place(widths, 34.0, ways)
    for (source, target), points in zip(ways, places.edges, strict=True):
        assert places.nodes[source][1] < places.nodes[target][1]
        assert (points[0], points[-1]) == (places.nodes[source], places.nodes[target])
    rows: dict[float, list[int]] = {}
    for node, (_, y) in enumerate(places.nodes):
        rows.setdefault(y, []).append(node)
    for row in rows.values():
        row.sort(key=lambda node: places.nodes[node][0])
        for one, other in pairwise(row):
            gap = places.nodes[other][0] - places.nodes[one][0] - (widths[one] + widths[other]) / 2
            assert gap >= GAP_X - 1e-6
    assert all(
        x - wide / 2 >= 0 and x + wide / 2 <= places.width + 1e-6
        for (x, _), wide in zip(places.nodes, widths, strict=True)
    )


FILE = """
from orchestrator import flow, task
@task
def extract(table):
    raise SystemExit("a task ran")
@flow
def etl(table, day=300):
    print("on the way")
    extract([table, day])
@flow
def asks(table):
    for row in extract(table): extract(row)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flows.py").write_text(FILE)
    return tmp_path


def graph(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", "flow", "graph", *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)


def test_the_command_draws_in_three_forms(project: Path) -> None:
    done = graph(project, "flows.py:etl")
    assert (done.returncode, done.stdout) == (0, 'flowchart TD\n    n0["extract"]\n')
    assert "on the way" in done.stderr
    shown = graph(project, str(project / "flows.py") + ":etl", "--output", "json", "--parameters", "--param", "table=x")
    assert [node["name"] for node in json.loads(shown.stdout)["nodes"]] == ["table", "day", "extract"]
    picture = graph(project, "flows.py:etl", "--output", "svg")
    assert picture.stdout.startswith("<svg")
    asks = graph(project, "flows.py:asks")
    assert (asks.returncode, asks.stdout.count("-->")) == (0, 1)
    assert "cannot go on without what extract returns" in asks.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["flows.py:nothing"], 1, "its flows are asks, etl"),
        (["flows.py"], 1, "path/to/file.py:function"),
        (["flows.py:etl", "--param", "other=1"], 2, "other"),
    ],
)
def test_what_is_wrong_is_one_line(project: Path, words: list[str], code: int, said: str) -> None:
    done = graph(project, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
