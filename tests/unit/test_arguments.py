"""What is found inside arguments, what takes its place, and what marks around it mean."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic
import pytest

from orchestrator import State, allow_failure, flow, quote, task, unmapped
from orchestrator.context import FlowRun
from orchestrator.engine.arguments import found_in, resolved, run_id
from orchestrator.errors import CancelledRun, FailedRun
from orchestrator.futures import FutureList, TaskFuture
from orchestrator.results import Completed, Failed
from orchestrator.settings import Settings
from orchestrator.states import StateType

Reports = Callable[..., list[dict[str, Any]]]


def done(value: Any) -> TaskFuture[Any]:
    found: TaskFuture[Any] = TaskFuture("id", "t")
    found.resolve(Completed(data=value))
    return found


def failed(error: BaseException) -> TaskFuture[Any]:
    found: TaskFuture[Any] = TaskFuture("id", "t")
    found.resolve(Failed("no", error=error))
    return found


@dataclass
class Order:
    item: Any
    lines: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    item: Any
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", 1)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True, frozen=True)
    item: Any
    count: int = 1


class Pair(NamedTuple):
    left: Any
    right: Any


def test_futures_and_states_are_found_and_replaced_inside_containers() -> None:
    one, state = done(1), Completed(data=2)
    value = {"a": [one, (state, "x")], "b": {one}, "c": object(), 3: None}
    assert found_in(value) == [one, state, one]
    found = resolved(value)
    assert (found["a"], found["b"], found[3]) == ([1, (2, "x")], {1}, None)
    assert found["c"] is value["c"]


def test_they_are_found_in_dataclasses_models_and_kinds_of_containers() -> None:
    one = done(1)
    values = [
        Order(one, [one]), Frozen(one), Model(item=one, other=[one]), Pair(one, 2), OrderedDict(a=one),
        defaultdict(list, a=one), FutureList([one]),
    ]  # fmt: skip
    assert [len(found_in(value)) for value in values] == [2, 1, 2, 1, 1, 1, 1]
    order, frozen, model, pair, ordered, defaulting, listed = resolved(values)
    assert order == Order(1, [1])
    assert values[0] == Order(one, [one])
    assert (frozen.item, frozen.made) == (1, 1)
    assert (model.item, model.count, model.other) == (1, 1, [1])
    assert (pair, ordered, defaulting, listed) == (Pair(1, 2), {"a": 1}, {"a": 1}, [1])
    assert isinstance(ordered, OrderedDict)
    assert defaulting["new"] == []
    plain = Order("x")
    assert resolved([plain, one])[0].item == "x"


def test_runs_of_ours_are_no_containers() -> None:
    run = FlowRun("id", "f", "n", {}, Settings(), None)
    run.pending.add(done(1))
    assert found_in([run]) == []


def test_what_holds_itself_is_searched_once() -> None:
    circle: list[Any] = [done(1)]
    circle += [circle, circle]
    assert len(found_in(circle)) == 1
    assert resolved(circle)[0] == 1
    parent = Order("p")
    parent.lines = [Order(parent, [parent]) for _ in range(50)]
    assert len(found_in([parent, done(1)])) == 1
    deep: Any = done(1)
    for _ in range(200):
        deep = [deep]
    assert found_in(deep) == []


def test_allow_failure_and_quote_are_found_and_unwrapped() -> None:
    error = ValueError("no")
    bad, good = failed(error), done(1)
    found = found_in([allow_failure([bad, good]), good])
    assert [type(one) for one in found] == [allow_failure, allow_failure, TaskFuture]
    assert [run_id(one) for one in found] == ["id"] * 3
    assert resolved([allow_failure([bad, good]), good]) == [[error, 1], 1]
    assert len(found_in(allow_failure(5))) == 1
    assert resolved(allow_failure(5)) == 5
    quoted = quote([bad])
    assert found_in([quoted]) == [quoted]
    assert resolved([quoted])[0] is quoted.value
    assert run_id(quoted) == ""
    assert repr(quote(3)) == "quote(3)"
    with pytest.raises(ValueError, match="no"):
        resolved([bad])


@task
def fail() -> int:
    raise ValueError("on purpose")


@task
def one() -> int:
    return 1


@task
def look(*values: Any, **named: Any) -> Any:
    return [*values, *named.values()]


def test_a_task_runs_though_what_it_takes_failed(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        bad, good = fail.submit(), one.submit()
        never = look.submit(bad)
        called = look(allow_failure(bad), named=allow_failure([good, never]))
        later = look.submit(7, wait_for=[allow_failure(bad)])
        mapped = look.map([1, 2], unmapped(allow_failure(bad)), allow_failure([bad, good]))
        state = look(allow_failure(fail(return_state=True)))
        assert look(bad, return_state=True).name == "UpstreamFailed"
        return [called, later.result(), mapped.result(), state], bad.task_run_id

    (called, later, mapped, state), bad_id = outer()
    error = called[0]
    assert isinstance(error, ValueError)
    assert called[1][0] == 1
    assert isinstance(called[1][1], CancelledRun)
    assert later == [7]
    assert mapped == [[1, error, error], [2, error, 1]]
    assert isinstance(state[0], ValueError)
    ended = {item["name"]: item for item in reports("task-run") if item["state"]["name"] == "Completed"}
    assert bad_id in ended["look-1"]["upstream"]
    assert ended["look-2"]["upstream"] == [bad_id]


def test_a_quoted_argument_is_handed_over_as_it_is(reports: Reports) -> None:
    @task
    def is_the_same(value: Any, other: int) -> bool:
        return id(value) == other

    @flow
    def outer() -> Any:
        future = one.submit()
        held = {"a": future}
        called = is_the_same(quote(held), id(held))
        mapped = is_the_same.map(quote([held]), [id(held)]).result()
        return called, mapped, is_the_same.submit(quote(future), id(future)).result()

    assert outer() == (True, [True], True)
    ended = [item for item in reports("task-run") if item["name"].startswith("is-the-same")]
    assert all(item["upstream"] == [] for item in ended)


def test_futures_in_dataclasses_and_models_order_tasks(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        future = one.submit()
        (order,), (model,) = look.submit(Order(future)).result(), look(Model(item=[future]))
        return order.item, model.item, future.task_run_id

    item, items, run = outer()
    assert (item, items) == (1, [1])
    ended = [item for item in reports("task-run") if (item["name"][:4], item["state"]["name"]) == ("look", "Completed")]
    assert [item["upstream"] for item in ended] == [[run], [run]]


def test_what_a_flow_returns_may_hold_them_anywhere(reports: Reports) -> None:
    @flow
    def good() -> Any:
        return Order(one.submit(), [quote(3)])

    @flow
    def tolerant() -> Any:
        return [allow_failure(fail.submit()), one.submit()]

    @flow
    def strict() -> Any:
        return Order(fail.submit())

    assert good() == Order(1, [3])
    error, value = tolerant()
    assert (type(error), value) == (ValueError, 1)
    assert strict(return_state=True).is_failed()


def test_a_subflow_waits_for_what_it_takes(reports: Reports) -> None:
    entered: list[Any] = []

    @flow
    def inner(number: int, more: Any = None) -> int:
        entered.append((number, more))
        return number + 1

    @flow
    def outer() -> Any:
        good, bad = one.submit(), fail.submit()
        first = inner(good)
        state = inner(2, wait_for=[bad], return_state=True)
        with pytest.raises(CancelledRun, match="fail-0"):
            inner(bad)
        kept = inner(3, more=allow_failure(bad))
        return first, state.name, kept, inner(inner(5, return_state=True))

    assert outer() == (2, "UpstreamFailed", 4, 7)
    assert [number for number, _ in entered] == [1, 3, 5, 6]
    assert isinstance(entered[1][1], ValueError)
    begun = [item["state"]["name"] for item in reports("flow-run")]
    assert begun == ["Running", "Running", "UpstreamFailed", "UpstreamFailed", "Running", "Running", "Running"]


def test_map_goes_through_whatever_can_be_gone_through(reports: Reports) -> None:
    class Countable:
        def __iter__(self) -> Any:
            return iter([5, 6])

    @task
    def pair(left: Any, right: Any = None) -> Any:
        return left, right

    @task
    def numbers() -> list[int]:
        return [1, 2]

    @flow
    def outer() -> Any:
        listed = numbers.submit()
        results = [
            pair.map(number for number in (1, 2)), pair.map(zip("ab", "cd", strict=True)), pair.map(Countable()),
            pair.map({3}, right={"a": 1}), pair.map(listed, numbers(return_state=True)),
            pair.map([1], Model(item=2)), pair.map(range(2), right=unmapped(listed)),
        ]  # fmt: skip
        return [futures.result() for futures in results], listed.task_run_id

    results, listed = outer()
    assert results == [
        [(1, None), (2, None)], [(("a", "c"), None), (("b", "d"), None)], [(5, None), (6, None)],
        [(3, {"a": 1})], [(1, 1), (2, 2)], [(1, Model(item=2))], [(0, [1, 2]), (1, [1, 2])],
    ]  # fmt: skip
    mapped = {item["name"]: item["upstream"] for item in reports("task-run") if item["name"].startswith("pair")}
    assert [len(mapped[f"pair-{number}"]) for number in range(11)] == [0] * 7 + [2, 2, 0, 1]
    assert listed in mapped["pair-7"]
    assert mapped["pair-10"] == [listed]


def test_a_returned_state_of_another_run_stays_that_runs(reports: Reports) -> None:
    constant = Completed("always", data=1)

    @flow
    def outer() -> Any:
        states.append(one(return_state=True))
        return states[0]

    @flow
    def same() -> Any:
        return constant

    @flow
    def unfinished() -> Any:
        return State(StateType.RUNNING)

    states: list[State] = []
    ended = outer(return_state=True)
    assert ended.result() == 1
    assert ended.run_id != states[0].run_id == reports("task-run")[0]["id"]
    first, second = same(return_state=True), same(return_state=True)
    assert first.run_id != second.run_id
    assert (second.message, constant.run_id) == ("always", "")
    with pytest.raises(FailedRun, match="no end of a run"):
        unfinished()
