"""What surrounds the life of a task run: slots of the limits of its tags, and word of the resources it read and wrote.

Each is a generator around the engine's own: it hands on all steps, and adds some of its own.
"""

from __future__ import annotations

import logging
import string
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..context import TaskRun
from ..errors import InvalidInput
from ..observing import emitting
from ..results import State
from ..slots import Slots
from ..states import StateType
from ..values import parameters
from .arguments import resolved
from .runs import Call, Step, Steps

#: A resource's id, a template of one over the parameters, or a function of these that gives one or several.
Told: TypeAlias = "str | Callable[..., str | Iterable[str]]"

#: The event that tells of resources.
EVENT = "data.moved"
#: Most resources that a task may name in either direction.
MOST = 20

_S = StateType
_log = logging.getLogger("orchestrator.resources")


@dataclass(frozen=True)
class Moves:
    """The resources that a task reads and writes, as its decorator names them."""

    reads: tuple[Told, ...]
    writes: tuple[Told, ...]

    def resources(self, values: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Their ids, for these parameters."""
        return _ids(self.reads, values), _ids(self.writes, values)


def moves(fn: Callable[..., Any], reads: Iterable[Told] | None, writes: Iterable[Told] | None) -> Moves | None:
    """What the options of a decorator name; None: nothing.

    Raises:
        InvalidInput: It is no list of ids, templates or functions; or a template names no parameter.
    """
    if not reads and not writes:
        return None
    names = parameters.names(fn)
    return Moves(_checked("reads", reads, names), _checked("writes", writes, names))


def _checked(option: str, told: Iterable[Told] | None, names: frozenset[str] | None) -> tuple[Told, ...]:
    found = [] if told is None else [told] if isinstance(told, str) else list(told)
    if isinstance(told, str) or not all(callable(one) or (isinstance(one, str) and one.strip()) for one in found):
        raise InvalidInput(f"{option} is {told!r}: it has to be a list of ids, templates or functions")
    if len(found) > MOST:
        raise InvalidInput(f"{option} names {len(found)} resources: at most {MOST} are taken")
    for one in found:
        try:
            fields = (
                [part for _, part, _, _ in string.Formatter().parse(one) if part is not None]
                if isinstance(one, str)
                else []
            )
        except ValueError as error:
            raise InvalidInput(f"{option}: {one!r} is no template: {error}") from None
        for part in fields:
            name = part.partition(".")[0].partition("[")[0]
            if names is not None and name not in names:
                raise InvalidInput(f"{option}: {one!r} names {name or 'nothing'}, which is no parameter of the task")
    return tuple(found)


def _ids(told: Iterable[Told], values: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for one in told:
        given = one.format(**values) if isinstance(one, str) else one(**values)
        found += [given] if isinstance(given, str) else list(given)
    return list(dict.fromkeys(filter(None, map(str, found))))[:MOST]


def telling(
    steps: Steps, run: TaskRun, moves: Moves, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps:
    """The steps; once they completed, an event tells which resources were read and written."""
    state = yield from steps
    if state.type is _S.COMPLETED and state.name != "Cached" and run.flow_run is not None and run.flow_run.sink:
        try:
            reads, writes = moves.resources(parameters.bind(fn, resolved(args), resolved(kwargs)))
            _tell(run, reads, writes)
        except Exception as error:  # whatever a user's template or function raises: the task did its work
            _log.warning("%s: what it read and wrote cannot be told: %r", run.name, error)
    return state


def _tell(run: TaskRun, reads: list[str], writes: list[str]) -> None:
    """Each resource that was written is told of by an event of its own, with all that was read for it."""
    flow_run = run.flow_run
    assert flow_run is not None
    whose = f"orchestrator.flow-run.{flow_run.id}"
    read = [{"source": whose, "target": one, "role": "reads"} for one in reads]
    related = [
        {"resource.id": whose, "resource.name": flow_run.name, "resource.role": "flow-run"},
        {"resource.id": f"orchestrator.task-run.{run.id}", "resource.name": run.name, "resource.role": "task-run"},
    ]
    payload = {"task": run.task_key, "reads": reads, "writes": writes}
    sink = flow_run.sink
    assert sink is not None
    for one in writes:
        wrote = [{"source": whose, "target": one, "role": "writes"}]
        sources = [{"target": other, "role": "reads"} for other in reads if other != one]
        told = emitting.document(EVENT, one, related, payload, relations=[*wrote, *sources, *read])
        sink.put({"kind": "event", "event": told})
    if reads and not writes:
        about = {"resource.id": whose, "resource.name": flow_run.name}
        told = emitting.document(EVENT, about, related[1:], payload, kind="relationship", relations=read)
        sink.put({"kind": "event", "event": told})


class _Take:
    """A step: take slots, or wait for some."""

    def __init__(self, slots: Slots, waits: Callable[[], None]) -> None:
        self._slots, self._waits = slots, waits

    def run(self) -> None:
        self._slots.take(self._waits)

    async def run_async(self) -> None:
        await self._slots.take_async(self._waits)


class _GiveBack:
    """A step: give the slots back."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def run(self) -> None:
        self._slots.give_back()

    async def run_async(self) -> None:
        await self._slots.give_back_async()


def limited(steps: Steps, run: TaskRun, names: list[str]) -> Steps:
    """The steps, with slots of these limits held around each entering of user code."""
    try:
        step = next(steps)
        while True:
            try:
                value = yield from _holding(step, run, names) if isinstance(step, Call) else _as_it_is(step)
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as stop:
        state: State = stop.value
        return state


def _as_it_is(step: Step) -> Generator[Any, Any, Any]:
    return (yield step)


def _holding(call: Call, run: TaskRun, names: list[str]) -> Generator[Any, Any, Any]:
    slots, waited = Slots(names), []

    def waits() -> None:
        waited.append(True)
        run.put(_S.PENDING, "AwaitingConcurrencySlot", f"waits for a slot of {', '.join(names)}")

    yield _Take(slots, waits)
    if waited:
        run.put(_S.RUNNING, "Running" if run.attempt <= 1 else "Retrying")
    try:
        value = yield call
    except GeneratorExit:
        slots.give_back()
        raise
    except BaseException:
        yield _GiveBack(slots)
        raise
    yield _GiveBack(slots)
    return value
