"""Transactions: kept together in order, undone together in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from orchestrator import INPUTS, CommitMode, flow, get_transaction, task, transaction
from orchestrator.errors import InvalidInput

Reports = Callable[..., list[dict[str, Any]]]


class Book:
    """Tasks whose hooks note what is called."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def task(self, name: str, fails: bool = False, **options: Any) -> Any:
        @task(name=name, **options)
        def one() -> str:
            txn = get_transaction()
            assert txn is not None
            txn.set("name", name)
            if fails:
                raise ValueError(name)
            return name

        one.on_commit(lambda txn: self.lines.append(f"commit {txn.get('name')}"))
        one.on_rollback(lambda txn: self.lines.append(f"undo {txn.get('name')}"))
        return one


@pytest.fixture
def book() -> Book:
    return Book()


def test_what_ends_well_is_committed_in_order(book: Book) -> None:
    first, second = book.task("first"), book.task("second")

    @flow
    def job() -> None:
        with transaction() as txn:
            first()
            second.submit().wait()
            assert book.lines == []
            assert get_transaction() is txn
        assert txn.is_committed()
        assert get_transaction() is None

    job()
    assert book.lines == ["commit first", "commit second"]


def test_what_raises_is_rolled_back_in_reverse(book: Book, reports: Reports) -> None:
    first, second, bad = book.task("first"), book.task("second"), book.task("bad", fails=True)

    @flow
    def job() -> None:
        with transaction() as txn:
            try:
                first()
                second()
                bad()
            finally:
                assert book.lines == []
        assert txn.is_rolled_back()

    job(return_state=True)
    assert book.lines == ["undo second", "undo first"]
    told = [(item["name"], item["state"]["type"], item["state"]["name"]) for item in reports("task-run")]
    assert told[-2:] == [("second-0", "COMPLETED", "RolledBack"), ("first-0", "COMPLETED", "RolledBack")]
    assert ("bad-0", "FAILED", "Failed") in told


def test_an_inner_one_waits_for_the_outermost(book: Book) -> None:
    first, second, third = (book.task(name) for name in ("first", "second", "third"))
    with transaction() as outer:
        outer.set("name", "never seen: each task has its own")
        first()
        with transaction() as inner:
            assert inner.parent is outer
            second()
        third()
        assert book.lines == []
    assert book.lines == ["commit first", "commit second", "commit third"]
    book.lines.clear()
    with suppress(KeyError), transaction():
        first()
        with transaction():
            second()
        third()
        raise KeyError("late")
    assert book.lines == ["undo third", "undo second", "undo first"]


def test_an_inner_one_that_raises_is_undone_alone(book: Book) -> None:
    first, second = book.task("first"), book.task("second")
    with transaction():
        first()
        with suppress(KeyError), transaction():
            second()
            raise KeyError("inner")
    assert book.lines == ["undo second", "commit first"]


def test_modes(book: Book) -> None:
    first, second = book.task("first"), book.task("second")
    with suppress(KeyError), transaction():
        with transaction(commit_mode=CommitMode.EAGER):
            first()
        second()
        raise KeyError
    assert book.lines == ["commit first", "undo second"]
    book.lines.clear()
    with transaction(commit_mode=CommitMode.OFF) as txn:
        first()
    assert txn.is_rolled_back()
    with transaction(commit_mode=CommitMode.OFF) as txn:
        second()
        assert txn.commit()
    assert txn.is_committed()
    assert book.lines == ["undo first", "commit second"]


def test_outside_of_any_a_task_is_committed_at_its_end(book: Book) -> None:
    assert book.task("alone")() == "alone"
    book.task("bad", fails=True)(return_state=True)
    assert book.lines == ["commit alone"]


def test_values_are_looked_for_outwards() -> None:
    with transaction() as outer:
        outer.set("a", 1)
        with transaction() as inner:
            inner.set("b", 2)
            assert (inner.get("a"), inner.get("b"), inner.get("c", 3)) == (1, 2, 3)
            inner.set("a", None)
            assert inner.get("a") is None
        assert outer.get("a") == 1
        with pytest.raises(ValueError, match="'b'"):
            outer.get("b")


def test_a_try_that_fails_undoes_what_it_called(book: Book) -> None:
    inner, tries = book.task("inner"), []

    @task(retries=1)
    def outer() -> None:
        inner()
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")

    @flow
    def job() -> None:
        with transaction():
            outer()
            book.lines.append("end")

    job()
    assert book.lines == ["undo inner", "end", "commit inner"]


@pytest.mark.parametrize("way", ["async with", "with"])
def test_async_code_and_async_hooks(way: str) -> None:
    lines: list[str] = []

    @task
    async def load(name: str) -> None:
        await asyncio.sleep(0)
        txn = get_transaction()
        assert txn is not None
        txn.set("name", name)

    @load.on_rollback
    async def undo(txn: Any) -> None:
        await asyncio.sleep(0)
        lines.append(f"undo {txn.get('name')}")

    @flow
    async def job() -> None:
        if way == "with":
            with transaction():
                await load("a")
                await load.submit("b")
                raise KeyError("late")
        async with transaction():
            await load("a")
            await load.submit("b")
            raise KeyError("late")

    state = asyncio.run(job(return_state=True))
    assert state.message == "KeyError: 'late'"
    assert lines == ["undo b", "undo a"]


def test_hooks_that_raise(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    def breaks(txn: Any) -> None:
        raise RuntimeError("broken hook")

    @task(on_commit=[breaks], on_rollback=[lambda txn: lines.append("undo bad"), lambda txn: lines.append("first")])
    def bad() -> None:
        pass

    @task(on_commit=[lambda txn: lines.append("commit good")], on_rollback=[breaks])
    def good() -> None:
        pass

    with transaction() as txn:
        bad()
        good()
    assert txn.is_committed()
    assert lines == ["first", "undo bad", "commit good"]
    lines.clear()
    with suppress(KeyError), transaction():
        bad()
        good()
        raise KeyError
    assert lines == ["first", "undo bad"]
    assert caplog.text.count("broken hook") >= 2


def test_what_ends_after_its_transaction_shares_its_fate(book: Book) -> None:
    one = book.task("one")
    with transaction(commit_mode=CommitMode.OFF) as txn:
        assert txn.rollback()
        one()
    assert book.lines == ["undo one"]


@pytest.mark.parametrize("where", ["inside", "after"])
def test_what_was_rolled_back_is_run_by_the_next_try_and_what_was_committed_is_not(
    book: Book, reports: Reports, where: str
) -> None:
    calls: list[str] = []
    tries: list[int] = []
    write = book.task("write")

    @task
    def plain(number: int) -> int:
        calls.append("plain")
        return number

    @flow
    def below() -> int:
        calls.append("subflow")
        return 1

    @flow(retries=1, retry_delay_seconds=0.001)
    def job() -> str:
        with transaction():
            done = write() + str(plain(1) + below())
            if len(calls) == 2 and where == "inside":
                raise KeyError("late")
        tries.append(1)
        if len(tries) == 1 and where == "after":
            raise KeyError("too late")
        return done

    assert job() == "write2"
    names = [item["state"]["name"] for item in reports("task-run") if item["name"].startswith("write")]
    if where == "inside":
        assert book.lines == ["undo write", "commit write"]
        assert calls == ["plain", "subflow"] * 2
        assert names == ["Running", "Completed", "RolledBack", "Running", "Completed", "Completed"]
    else:
        assert book.lines == ["commit write"]
        assert calls.count("plain") == 1
        assert names == ["Running", "Completed", "Completed", "Cached"]


def test_a_cache_takes_what_is_committed(book: Book, own_home: Any) -> None:
    write = book.task("write", cache_policy=INPUTS)
    for how in ("bad", "good", "again"):
        with suppress(KeyError), transaction():
            assert write() == "write"
            if how == "bad":
                raise KeyError
    assert book.lines == ["undo write", "commit write"]


def test_hooks_without_a_task() -> None:
    lines: list[str] = []
    with transaction() as txn:
        txn.stage(
            on_commit_hooks=[lambda txn: lines.append("commit")], on_rollback_hooks=[lambda txn: lines.append("undo")]
        )
    with suppress(KeyError), transaction() as txn:
        txn.stage(on_rollback_hooks=[lambda txn: lines.append("undo")])
        raise KeyError
    assert lines == ["commit", "undo"]
    with pytest.raises(InvalidInput, match="on_commit_hooks"):
        txn.stage(on_commit_hooks=["x"])  # type: ignore[list-item]


def test_a_transaction_is_entered_once() -> None:
    txn = transaction()
    with txn, pytest.raises(InvalidInput, match="once"), txn:
        pass
    with pytest.raises(InvalidInput, match="once"), txn:
        pass
    with pytest.raises(InvalidInput, match="CommitMode"):
        transaction(commit_mode="LAZY")  # type: ignore[arg-type]
