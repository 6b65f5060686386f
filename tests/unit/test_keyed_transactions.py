"""Transactions with a key: known across runs and processes, kept once they are committed."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator import CommitMode, flow, transaction
from orchestrator.errors import InvalidInput


def compute(calls: list[str], value: Any = 7, **options: Any) -> Any:
    with transaction(key="orders", **options) as txn:
        if not txn.is_committed():
            calls.append("computed")
            txn.stage(value)
    return txn.read()


def test_what_was_committed_is_read_by_the_next_one() -> None:
    calls: list[str] = []
    job = flow(compute, name="job", validate_parameters=False)
    assert [job(calls, {"at": (1, 2)}), compute(calls), job(calls)] == [{"at": (1, 2)}] * 3
    assert calls == ["computed"]
    assert compute(calls, 8, overwrite=True) == 8
    assert compute(calls) == 8
    assert calls == ["computed"] * 2


def test_what_is_rolled_back_is_kept_by_nobody() -> None:
    calls: list[str] = []
    for level in ("SERIALIZABLE", None):
        with suppress(KeyError), transaction(key="orders", isolation_level=level) as txn:
            txn.stage(1)
            raise KeyError
        assert txn.is_rolled_back()
    with transaction() as around:
        compute(calls, isolation_level="SERIALIZABLE")
        around.rollback()
    with transaction(key="orders", commit_mode=CommitMode.OFF) as txn:
        txn.stage(2)
    with transaction(key="orders") as txn:
        txn.stage(3, on_commit_hooks=[lambda txn: 1 / 0])
    assert txn.is_rolled_back()
    compute(calls, write_on_commit=False)
    assert compute(calls, 9, isolation_level="SERIALIZABLE") == 9
    assert calls == ["computed"] * 3


def test_hooks_of_what_was_committed_before_are_not_called_again() -> None:
    lines: list[str] = []
    for _ in range(2):
        with transaction(key="orders") as txn:
            if not txn.is_committed():
                txn.stage("x", on_commit_hooks=[lambda txn: lines.append(txn.read())])
    assert lines == ["x"]


def test_one_computes_while_the_other_waits() -> None:
    inside, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    def first() -> None:
        with transaction(key="orders", isolation_level="SERIALIZABLE") as txn:
            inside.set()
            assert go_on.wait(20)
            txn.stage("of the first")

    found: list[Any] = []
    one = threading.Thread(target=first)
    one.start()
    assert inside.wait(20)
    two = threading.Thread(target=lambda: found.append(compute(calls, isolation_level="SERIALIZABLE")))
    two.start()
    two.join(0.3)
    assert two.is_alive()
    go_on.set()
    one.join(20)
    two.join(20)
    assert found == ["of the first"]
    assert calls == []


def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    code = """
import os
from orchestrator import transaction
with transaction(key="orders", isolation_level="SERIALIZABLE"):
    os._exit(3)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 3
    calls: list[str] = []
    assert compute(calls, isolation_level="SERIALIZABLE") == 7
    assert calls == ["computed"]


def test_large_values_go_to_files_and_odd_ones_warn(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    large = "x" * 3_000_000
    assert compute(calls, large) == large
    assert compute(calls) == large
    assert calls == ["computed"]
    with caplog.at_level(logging.WARNING):
        compute(calls, threading.Lock(), overwrite=True)
    assert "the transaction orders is committed, but its value was not kept" in caplog.text
    assert compute(calls) == large


def test_in_async_code() -> None:
    async def job() -> list[Any]:
        found = []
        for value in (1, 2):
            async with transaction(key="orders", isolation_level="SERIALIZABLE") as txn:
                if not txn.is_committed():
                    txn.stage(value)
            found.append(txn.read())
        return found

    assert asyncio.run(job()) == [1, 1]


def test_what_cannot_be() -> None:
    with pytest.raises(InvalidInput, match="key"):
        transaction(key="")
    with pytest.raises(InvalidInput, match="key"):
        transaction(key="a\nb")
    with pytest.raises(InvalidInput, match="with a key"):
        transaction(overwrite=True)
    with pytest.raises(InvalidInput, match="isolation_level"):
        transaction(key="a", isolation_level="SNAPSHOT")
    around = transaction(key="a", isolation_level="SERIALIZABLE")
    with around, transaction(), pytest.raises(InvalidInput, match="a is around this one"), transaction(key="a"):
        pass
    with transaction() as txn, pytest.raises(InvalidInput, match="no key"):
        txn.stage(1)
    with pytest.raises(InvalidInput, match="no key"):
        txn.read()
    with transaction(key="a") as txn, pytest.raises(InvalidInput, match="no value yet"):
        txn.read()
