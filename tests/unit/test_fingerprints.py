"""Fingerprints: equal values have one, others have others, in every process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.values import fingerprints
from orchestrator.values.typed_json import NotExact, TooLarge

from .test_typed_json import VALUES, same


class Account:
    def __init__(self, name: str) -> None:
        self.name = name

    def shown(self) -> str:
        """A method."""
        return self.name


@dataclass
class Node:
    name: str
    below: list[Node] = field(default_factory=list)


@given(VALUES, VALUES)
def test_values_agree_exactly_when_their_fingerprints_do(left: Any, right: Any) -> None:
    assert (fingerprints.of(left) == fingerprints.of(right)) == alike(left, right)
    assert fingerprints.of([left, right]) == fingerprints.of([left, right])


def alike(left: Any, right: Any) -> bool:
    """The oracle: equal, types included, whatever the order in sets and dicts."""
    if isinstance(left, dict) and isinstance(right, dict) and type(left) is type(right):
        return len(left) == len(right) and all(
            any(alike(key, other) and alike(left[key], right[other]) for other in right) for key in left
        )
    if isinstance(left, (list, tuple)) and type(left) is type(right):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, (set, frozenset)) and type(left) is type(right):
        return len(left) == len(right) and all(any(alike(item, other) for other in right) for item in left)
    return same(left, right)


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=5))
def test_the_order_in_dicts_does_not_matter(value: dict[str, int]) -> None:
    assert fingerprints.of(dict(reversed(value.items()))) == fingerprints.of(value)


def test_objects_are_what_they_are_made_of() -> None:
    assert fingerprints.of(Account("a")) == fingerprints.of(Account("a")) != fingerprints.of(Account("b"))
    assert fingerprints.of(Node("a", [Node("b")])) != fingerprints.of(Node("a", [Node("c")]))
    assert fingerprints.of(functools.partial(max, 1)) != fingerprints.of(functools.partial(max, 2))
    assert fingerprints.of(Account) != fingerprints.of(Node)
    assert fingerprints.of(max) == fingerprints.of(max) != fingerprints.of(min)
    assert fingerprints.of(Account("a").shown) != fingerprints.of(Account("b").shown)


def test_functions_are_their_code_and_what_they_hold() -> None:
    def made(number: int, default: int = 0) -> Any:
        return lambda x, y=default: x + y + number

    assert fingerprints.of(made(1)) == fingerprints.of(made(1))
    assert len({fingerprints.of(made(1)), fingerprints.of(made(2)), fingerprints.of(made(1, 1))}) == 3
    assert fingerprints.of(lambda x: x + 1) != fingerprints.of(lambda x: x + 2)
    assert fingerprints.of_code(lambda x: x in {"a", "b"}) != fingerprints.of_code(lambda x: x in {"a", "c"})
    assert fingerprints.of_code(len) != fingerprints.of_code(max)


@pytest.mark.parametrize(
    "value", [threading.Lock(), [threading.Lock()], (n for n in ""), sys, {"a": threading.local()}]
)
def test_what_stands_for_something_outside_has_none(value: Any) -> None:
    with pytest.raises(NotExact):
        fingerprints.of(value)


def test_what_breaks_while_it_is_looked_at_has_none() -> None:
    class Odd:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(NotExact, match="Odd"):
        fingerprints.of(Odd())


@pytest.mark.parametrize("value", ["x" * 1000, [1] * 500, {"a": "x" * 1000}, b"x" * 1000, [("x" * 1000,)]])
def test_a_large_value_is_left_alone_where_it_must_not_be_large(value: Any) -> None:
    with pytest.raises(TooLarge):
        fingerprints.of(value, 500)
    assert fingerprints.of(value, 1_000_000) == fingerprints.of(value)


def test_other_processes_find_the_same() -> None:
    value = "[{'a', 'b', 'c', 'd'}, {1: {'x'}}, (1, 2.5), frozenset({'p', 'q'})]"
    program = (
        f"from orchestrator.values import fingerprints as f; print(f.of({value}), "
        "f.of_code(lambda x: x in {'a', 'b', 'c', 'd'}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    assert len(found) == 1
    assert found.pop().startswith(fingerprints.of(eval(value)))
