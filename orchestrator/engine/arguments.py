"""What is inside of arguments and return values: futures and states, wherever they are held, and marks around them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ..futures import FutureList, TaskFuture
from ..results import State

_LEAVES = frozenset({type(None), bool, int, float, str, bytes, bytearray, complex, range})
_CONTAINERS = frozenset({list, tuple, set, frozenset, FutureList})
#: How deep futures are looked for.
_DEPTH = 20


class _Mark:
    """Stands around an argument and says how it is taken."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class allow_failure(_Mark):
    """Marks an argument, or an entry of ``wait_for``, whose runs need not complete.

    The task runs whatever became of them. Where one did not complete, the task gets in its place what
    ``result(raise_on_failure=False)`` gives: the exception.
    """

    __slots__ = ()


class quote(_Mark):
    """Marks an argument that is handed over as it is: no futures are looked for in it, and none are waited for."""

    __slots__ = ()


#: What a run may depend on. An ``allow_failure`` holds one future or state.
Upstream = TaskFuture[Any] | State | _Mark


def bare(one: Upstream) -> Any:
    """The future or state without the ``allow_failure`` around it; a ``quote`` is none."""
    return one.value if isinstance(one, allow_failure) else one


def run_id(one: Upstream) -> str:
    """The id of the run that it stands for; empty where it stands for none."""
    one = bare(one)
    if isinstance(one, TaskFuture):
        return one.task_run_id
    return one.run_id if isinstance(one, State) else ""


def final(one: Upstream) -> State | None:
    """The final state of what a run depends on; None where it may end as it likes."""
    if isinstance(one, _Mark):
        return None
    state = one if isinstance(one, State) else one.final_state
    assert state is not None
    return state


def found_in(value: Any, depth: int = 0, seen: set[int] | None = None) -> list[Upstream]:
    """The futures and states inside a value: alone, in lists, tuples, sets, dicts, dataclasses and pydantic models.

    Marks are among them: an ``allow_failure`` around each future and state that it is to cover, or with whatever it
    holds where there is none; a ``quote`` as it is.
    """
    kind = type(value)
    if kind in _LEAVES or depth > _DEPTH:
        return []
    if isinstance(value, (TaskFuture, State, quote)):
        return [value]
    if isinstance(value, allow_failure):
        inner = found_in(value.value, depth + 1, seen)
        return [one if isinstance(one, _Mark) else allow_failure(one) for one in inner] or [value]
    items = _items(value, kind)
    if items is None:
        return []
    found: list[Upstream] = []
    for item in items:
        if type(item) not in _LEAVES:
            if seen is None:
                seen = {id(value)}
            if id(item) not in seen or isinstance(item, (TaskFuture, State)):
                seen.add(id(item))
                found += found_in(item, depth + 1, seen)
    return found


def resolved(value: Any) -> Any:
    """The value with each future and state in it replaced by its result, and each mark by what it holds.

    Containers are made anew; dataclasses and models are copied where something in them changed. All futures are done.
    """
    return _resolved(value, 0, {}, False)


def _resolved(value: Any, depth: int, known: dict[int, Any], allowed: bool) -> Any:
    kind = type(value)
    if kind in _LEAVES or depth > _DEPTH:
        return value
    if isinstance(value, TaskFuture):
        assert value.final_state is not None
        return value.final_state.result(raise_on_failure=not allowed)
    if isinstance(value, State):
        return value.result(raise_on_failure=not allowed)
    if isinstance(value, quote):
        return value.value
    if isinstance(value, allow_failure):
        return _resolved(value.value, depth + 1, {}, True)
    if id(value) in known:
        return known[id(value)]
    items = _items(value, kind)
    if items is None:
        return value
    known[id(value)] = value  # what holds itself goes on holding its old self
    known[id(value)] = made = _made_anew(value, kind, [_resolved(item, depth + 1, known, allowed) for item in items])
    return made


def _items(value: Any, kind: type) -> Iterable[Any] | None:
    """What a value holds, in order; None for one that is not looked into."""
    if kind in _CONTAINERS:
        items: Iterable[Any] = value
        return items
    if kind is dict:
        return value.values()  # type: ignore[no-any-return]
    fields = _FIELDS.get(kind, _UNKNOWN)
    if fields is _UNKNOWN:
        fields = _learn(kind)
    if fields is None:
        return None
    if fields:
        return [getattr(value, name, None) for name in fields]
    return value.values() if issubclass(kind, dict) else list(value)


def _made_anew(value: Any, kind: type, items: list[Any]) -> Any:
    if kind in _CONTAINERS:
        return items if kind is FutureList else kind(items)
    if kind is dict:
        return dict(zip(value, items, strict=True))
    if issubclass(kind, tuple):
        return kind._make(items)  # type: ignore[attr-defined]
    made = copy.copy(value)
    if issubclass(kind, dict):
        made.update(zip(value, items, strict=True))
    elif issubclass(kind, list):
        made[:] = items
    else:
        fields = _FIELDS.get(kind) or ()
        changed = {
            name: item for name, item in zip(fields, items, strict=True) if getattr(value, name, None) is not item
        }
        if not changed:
            return value
        for name, item in changed.items():
            object.__setattr__(made, name, item)
    return made


_UNKNOWN = ("?",)
#: The fields of each type that is looked into; empty for other containers, None for what is left alone.
_FIELDS: dict[type, tuple[str, ...] | None] = {}


def _learn(kind: type) -> tuple[str, ...] | None:
    if len(_FIELDS) > 4096:  # types are made at run time, too
        _FIELDS.clear()
    found: tuple[str, ...] | None = None
    if kind.__module__.split(".")[0] == "orchestrator":
        pass  # runs and records of ours hold futures that are none of the argument's
    elif isinstance(getattr(kind, "__dataclass_fields__", None), dict):
        found = tuple(kind.__dataclass_fields__) or None  # type: ignore[attr-defined]
    elif isinstance(fields := getattr(kind, "__pydantic_fields__", None), dict):
        found = (*fields, "__pydantic_extra__")
    elif issubclass(kind, (dict, list)) or (issubclass(kind, tuple) and hasattr(kind, "_make")):
        found = ()
    _FIELDS[kind] = found
    return found
