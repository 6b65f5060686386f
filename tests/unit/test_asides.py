"""Functions beside a run's own code, written either way and called from either side."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from orchestrator.engine.asides import Aside, Asides
from orchestrator.engine.steps import drive, drive_async

here: ContextVar[str] = ContextVar("here", default="nowhere")


def plain(value: str) -> str:
    return f"plain {value} {here.get()}"


async def slow(value: str) -> str:
    await asyncio.sleep(0)
    return f"async {value} {here.get()}"


async def bad() -> None:
    raise ValueError("bad")


def both() -> Asides[list[str]]:
    found = [(yield Aside(plain, ("a",))), (yield Aside(slow, ("b",)))]
    with pytest.raises(ValueError, match="bad"):
        yield Aside(bad, ())
    return found


EXPECTED = ["plain a there", "async b there"]


def test_from_synchronous_code() -> None:
    here.set("there")
    assert drive(both()) == EXPECTED


def test_on_an_event_loop_and_from_synchronous_code_below_one() -> None:
    async def main() -> list[Any]:
        here.set("there")
        return [await drive_async(both()), drive(both())]

    assert asyncio.run(main()) == [EXPECTED, EXPECTED]
