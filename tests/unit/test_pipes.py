"""Frames in a pipe, and JSON of whatever people put into a report."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest

from orchestrator.reporting.pipes import PipeSink, encode, frames


def test_a_pipe_carries_frames_whole_whatever_the_cuts() -> None:
    reading, writing = os.pipe()
    sink = PipeSink(writing)
    items = [{"kind": "log", "message": str(number), "filler": "x" * number * 7} for number in range(200)]
    thread = threading.Thread(target=lambda: [sink.put(item) for item in items])
    thread.start()
    buffer, found = bytearray(), []
    while len(found) < len(items):
        buffer += os.read(reading, 1013)
        found += [json.loads(frame) for frame in frames(buffer)]
    thread.join()
    assert found == items
    assert sink.flush(0)
    os.close(reading)
    sink.put({"kind": "log"})
    os.close(writing)


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ({1: (2, {3})}, {"1": [2, "{3}"]}),
        (2**70, str(2**70)),
        (-(2**63), -(2**63)),
        ("a\ud800b", "a?b"),
        ({"a\ud800": True}, {"a?": True}),
        (object, repr(object)),
    ],
)
def test_what_json_lacks_arrives_in_another_form(value: Any, arrives: Any) -> None:
    assert json.loads(encode({"kind": "event", "value": value}))["value"] == arrives


def test_circles_end_somewhere() -> None:
    assert b'"..."' in encode({"kind": "event", "value": circle()})
