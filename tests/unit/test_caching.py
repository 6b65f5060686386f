"""Cache policies, and results that runs without a server share by files."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
    CachePolicy,
    IsolationLevel,
    flow,
    task,
)
from orchestrator.clock import now
from orchestrator.context import FlowRun, TaskRun
from orchestrator.errors import InvalidInput
from orchestrator.keeping import cached_results
from orchestrator.settings import Settings
from tests.polling import until

RAN: Counter[Any] = Counter()
SERIAL = IsolationLevel.SERIALIZABLE


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


def cached(name: str = "work", **options: Any) -> Any:
    @task(name=name, **options)
    def work(number: Any, debug: bool = False) -> Any:
        RAN[name] += 1
        return number

    return work


def state_of(called: Any, *args: Any, **kwargs: Any) -> tuple[str, Any]:
    state = called(*args, return_state=True, **kwargs)
    return state.name, state.result()


POLICIES = [INPUTS, TASK_SOURCE, FLOW_PARAMETERS, RUN_ID]


class TestPolicies:
    @given(st.lists(st.sampled_from([*POLICIES, NO_CACHE]), max_size=5), st.data())
    def test_a_sum_agrees_where_all_its_parts_do(self, summed: list[CachePolicy], data: st.DataObject) -> None:
        """The oracle: two calls are the same if they agree in every part that the policy looks at."""
        policy = sum(summed, NO_CACHE)
        fields = {
            "number": st.integers(0, 1),
            "debug": st.booleans(),
            "flow": st.integers(0, 1),
            "run": st.integers(0, 1),
        }
        left, right = (data.draw(st.fixed_dictionaries(fields)) for _ in range(2))
        if not policy.parts:
            assert cached(cache_policy=policy).keep.caching is None
            return
        looked = {
            "inputs": ("number", "debug"), "source": (), "flow_parameters": ("flow",), "run_id": ("run",),
        }  # fmt: skip
        names = [name for part in policy.parts for name in looked[part]]
        agree = all(left[name] == right[name] for name in names)
        assert (self.key(policy, left) == self.key(policy, right)) == agree

    @staticmethod
    def key(policy: CachePolicy, facts: dict[str, Any]) -> str:
        called = cached(cache_policy=policy)
        run = FlowRun(f"run-{facts['run']}", "f", "f", {"p": facts["flow"]}, Settings(), None)
        task_run = TaskRun("t", called.key, [], [], run, False)
        key = called.keep.caching.key(called.fn, task_run, (facts["number"],), {"debug": facts["debug"]})
        return str(key.id)

    def test_inputs_may_be_left_out(self) -> None:
        facts = {"number": 1, "debug": False, "flow": 1, "run": 1}
        for policy in (INPUTS - "debug", INPUTS - ["debug"], (INPUTS + TASK_SOURCE) - "debug"):
            assert self.key(policy, facts) == self.key(policy, {**facts, "debug": True})
            assert self.key(policy, facts) != self.key(policy, {**facts, "number": 2})
        assert (INPUTS - "debug") + INPUTS == INPUTS
        assert DEFAULT == INPUTS + TASK_SOURCE + RUN_ID

    def test_tasks_of_other_names_or_code_share_nothing(self) -> None:
        def work(number: int) -> int:
            return number + 1

        facts = {"number": 1, "debug": False, "flow": 1, "run": 1}
        other = task(cache_policy=INPUTS)(work)
        run = TaskRun("t", other.key, [], [], None, False)
        assert other.keep.caching is not None
        key = other.keep.caching.key(work, run, (1,), {})
        assert key is not None
        assert key.id != self.key(INPUTS, facts)
        assert self.source(lambda: 1) != self.source(lambda: 2)

    @staticmethod
    def source(fn: Any) -> Any:
        made = task(name="same", cache_policy=TASK_SOURCE)(fn)
        assert made.keep.caching is not None
        return made.keep.caching.key(fn, TaskRun("t", "k", [], [], None, False), (), {})

    def test_isolation(self) -> None:
        strict = INPUTS.configure(isolation_level="SERIALIZABLE")
        assert strict.is_serializable
        assert (strict + RUN_ID).is_serializable
        assert (RUN_ID + strict - "number").is_serializable
        assert strict.configure() == strict
        assert not strict.configure(isolation_level=IsolationLevel.READ_COMMITTED).is_serializable
        with pytest.raises(InvalidInput, match="READ_COMMITTED or SERIALIZABLE"):
            INPUTS.configure(isolation_level="LOOSE")

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"cache_policy": "INPUTS"}, "cache_policy of task work"),
            ({"cache_policy": INPUTS - "nothing"}, "leaves out nothing: it has no such parameter"),
            ({"cache_policy": INPUTS, "persist_result": False}, "cannot be cached"),
            ({"cache_expiration": 60}, "has to be a timedelta"),
            ({"cache_expiration": timedelta(0)}, "more than 0"),
            ({"cache_key_fn": "key"}, "has to be a function"),
        ],
    )
    def test_options_that_cannot_be_used(self, options: dict[str, Any], problem: str) -> None:
        with pytest.raises(InvalidInput, match=problem):
            cached(**options)
        with pytest.raises(InvalidInput, match="looks at no inputs"):
            TASK_SOURCE - "number"

    def test_expiry_or_refreshing_alone_means_the_default(self) -> None:
        for options in ({"cache_expiration": timedelta(hours=1)}, {"refresh_cache": True}):
            caching = cached(**options).keep.caching
            assert caching.policy == DEFAULT
        assert cached().keep.caching is None
        assert cached(cache_policy=NO_CACHE).keep.caching is None


def test_without_options_nothing_is_cached(own_home: Path) -> None:
    work = cached()
    flow(name="f")(lambda: (work(1), work(1)))()
    assert RAN["work"] == 2
    assert not (own_home / "cache").exists()


def test_runs_share_results_by_files() -> None:
    work = cached(cache_policy=INPUTS)
    run = flow(name="f")(lambda number: state_of(work, number))
    assert run((1, {2})) == ("Completed", (1, {2}))
    assert run((1, {2})) == ("Cached", (1, {2}))
    assert run((1, {3})) == ("Completed", (1, {3}))
    assert state_of(work, (1, {2})) == ("Cached", (1, {2}))
    assert work.submit((1, {2})).result() == (1, {2})
    assert RAN["work"] == 2


def test_large_results_and_async_tasks_are_cached_too() -> None:
    @task(cache_policy=INPUTS)
    async def work(size: int) -> str:
        RAN[size] += 1
        return "x" * size

    @flow
    async def run() -> list[str]:
        return [await work(10_000), await work(10_000), *await asyncio.gather(work(5), work(5))]

    assert [len(text) for text in asyncio.run(run())] == [10_000, 10_000, 5, 5]
    assert RAN[10_000] == 1


def test_default_is_for_one_run() -> None:
    work = cached(cache_policy=DEFAULT)
    run = flow(name="f")(lambda: [state_of(work, 1)[0] for _ in range(2)])
    assert run() == ["Completed", "Cached"]
    assert run() == ["Completed", "Cached"]
    assert state_of(work, 1)[0] == state_of(work, 1)[0] == "Completed"


def test_a_key_of_ones_own() -> None:
    seen: list[Any] = []

    def key(context: Any, parameters: dict[str, Any]) -> str | None:
        seen.append((context.task.name, context.task_run.name, context.flow_run, parameters, context.parameters))
        return None if parameters["number"] < 0 else f"key {parameters['number'] % 2}"

    one, other = cached("one", cache_key_fn=key), cached("other", cache_key_fn=key)
    assert [one(1), one(3), other(5), one(2)] == [1, 1, 1, 2]
    assert [one(-1), one(-1)] == [-1, -1]
    assert RAN == {"one": 4}
    assert seen[0] == ("one", "one", None, {"number": 1, "debug": False}, {"number": 1, "debug": False})


def test_a_key_that_cannot_be_made_is_warned_of_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    broken = cached("broken", cache_key_fn=lambda context, parameters: 1 / 0)
    unhashable = cached("unhashable", cache_policy=INPUTS)

    @flow
    def run() -> list[Any]:
        return [broken(1), broken(1), unhashable(threading.Lock(), True) and 1, unhashable(threading.Lock()) and 1]

    assert run() == [1, 1, 1, 1]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line for line in warned if line.startswith("broken")] == [
        "broken is not cached: its cache_key_fn raised ZeroDivisionError: division by zero"
    ]
    [told] = [line for line in warned if line.startswith("unhashable")]
    assert "the argument number, " in told


def test_the_object_of_a_method_counts_among_its_inputs() -> None:
    @dataclass
    class Loader:
        table: str

        @task(cache_policy=INPUTS)
        def load(self, number: int) -> str:
            RAN[self.table] += 1
            return self.table

        @task(cache_policy=INPUTS - "self")
        def same(self) -> str:
            return self.table

    assert [Loader("a").load(1), Loader("b").load(1), Loader("a").load(1)] == ["a", "b", "a"]
    assert [Loader("a").same(), Loader("b").same()] == ["a", "a"]
    assert RAN == {"a": 1, "b": 1}


def test_results_expire_and_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    work = cached(cache_policy=INPUTS, cache_expiration=timedelta(minutes=5))
    assert [state_of(work, 1)[0] for _ in range(2)] == ["Completed", "Cached"]
    assert state_of(work.with_options(refresh_cache=True), 1)[0] == "Completed"
    present = now()
    monkeypatch.setattr(cached_results, "now", lambda: present + timedelta(minutes=6))
    assert state_of(work, 1)[0] == "Completed"


def test_failures_are_not_cached() -> None:
    fails = [True, False]

    @task(cache_policy=INPUTS.configure(isolation_level=SERIAL))
    def work(number: int) -> int:
        if fails.pop(0):
            raise ZeroDivisionError
        return number

    with pytest.raises(ZeroDivisionError):
        work(1)
    assert work(1) == work(1) == 1


def test_a_damaged_record_is_no_record(own_home: Path) -> None:
    work = cached(cache_policy=INPUTS)
    work(1)
    [record] = (own_home / "cache" / "results").glob("*.json")
    for content in (b"{", b"[]", b'{"expires": null, "result": {"file": "/nowhere"}}', b'{"expires": 5}'):
        record.write_bytes(content)
        assert state_of(work, 1) == ("Completed", 1)
    assert state_of(work, 1)[0] == "Cached"


def test_where_nothing_can_be_written_tasks_run(own_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    own_home.mkdir(exist_ok=True)
    (own_home / "cache").touch()
    work = cached(cache_policy=INPUTS.configure(isolation_level=SERIAL))

    @flow
    def run() -> list[str]:
        return [state_of(work, 1)[0] for _ in range(2)]

    assert run() == ["Completed", "Completed"]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 1, warned
    assert warned[0].startswith("work runs without a lock: ")


@pytest.mark.parametrize("is_async", [False, True])
def test_serializable_calls_never_compute_at_once(is_async: bool) -> None:
    at_once = most = 0
    lock = threading.Lock()

    def enter(change: int) -> None:
        nonlocal at_once, most
        with lock:
            at_once += change
            most = max(most, at_once)
            RAN["work"] += change > 0

    @task(cache_policy=INPUTS.configure(isolation_level=SERIAL))
    def work(number: int) -> int:
        enter(1)
        time.sleep(0.02)
        enter(-1)
        return number

    @task(name="work", cache_policy=INPUTS.configure(isolation_level=SERIAL))
    async def work_async(number: int) -> int:
        enter(1)
        await asyncio.sleep(0.02)
        enter(-1)
        return number

    @flow
    def run() -> list[int]:
        return [future.result() for future in work.map([1] * 6)]

    @flow
    async def run_async() -> list[int]:
        return await asyncio.gather(*[work_async(1) for _ in range(60)])

    assert set(asyncio.run(run_async()) if is_async else run()) == {1}
    assert (most, RAN["work"]) == (1, 1)


PROGRAM = """
import sys, time
from pathlib import Path
from orchestrator import INPUTS, task

@task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"))
def work(folder):
    with (Path(folder) / "ran").open("a") as file:
        file.write("x")
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return 7

print(work(sys.argv[1]))
"""


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    ran = tmp_path / "ran"
    with start() as first:
        until(lambda: ran.exists() and ran.read_text() == "x", "the first process to compute")
        with start() as second, start() as third:
            first.kill()
            until(lambda: ran.read_text() == "xx", "another process to take over")
            (tmp_path / "go").touch()
            assert [process.communicate(timeout=30)[0] for process in (second, third)] == ["7\n", "7\n"]
    assert ran.read_text() == "xx"
