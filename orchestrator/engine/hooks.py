"""Hooks: functions that are called when a run of a flow or task comes into a state. They decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from .. import context
from ..context import FlowRun, TaskRun
from ..errors import InvalidInput
from ..observing.logs import captured, get_run_logger
from ..results import State, describe
from ..states import END_HOOKS, StateType
from .asides import Aside, Asides

S = StateType

Hook = Callable[..., Any]

#: The hooks of flows that are called at a run's end, by its state.
ENDS = END_HOOKS
FLOW_HOOKS = ("on_running", *ENDS.values())
TASK_HOOKS = ("on_running", "on_completion", "on_failure", "on_rollback", "on_commit")


class Hooks:
    """The hooks of one flow or task.

    Args:
        owner: The flow or task; the first argument of all.
        named: Lists of functions by the name of the hook.
    """

    __slots__ = ("_named", "owner")

    def __init__(self, owner: Any, named: Mapping[str, list[Hook]]) -> None:
        self.owner = owner
        self._named = {name: list(found) for name, found in named.items() if found}

    def __getitem__(self, name: str) -> list[Hook]:
        return self._named.get(name, [])

    def with_one(self, name: str, hook: Hook) -> Hooks:
        """These, and one more."""
        return Hooks(self.owner, {**self._named, name: [*self[name], hook]})

    @property
    def names(self) -> list[str]:
        """Those that there are."""
        return sorted(self._named)

    def calls(self, name: str, run: FlowRun | TaskRun, state: State) -> Asides[None]:
        """Call the hooks of one name with ``(owner, run, state)``, in order. One that raises is logged."""
        for hook in self[name]:
            try:
                yield Aside(hook, (self.owner, run, state))
            except Exception as error:
                log_failure(name, hook, error)

    def of_task_end(self, run: TaskRun, state: State) -> Asides[None]:
        """The hooks that a task run's final state calls."""
        name = ENDS.get(state.type, "")
        if not self[name]:
            return
        before = context.enter_task(run)
        try:
            yield from self.calls(name, run, state)
        finally:
            context.leave_task(before)

    def of_flow_end(self, run: FlowRun, state: State) -> Asides[None]:
        """The hooks that a flow run's final state calls; it is the present run, and they log into its log."""
        name = ENDS.get(state.type, "")
        if not self[name]:
            return
        with ExitStack() as stack:
            stack.enter_context(context.running(run))
            stack.enter_context(captured(run))
            yield from self.calls(name, run, state)


def log_failure(name: str, hook: Hook, error: Exception) -> None:
    """Log that a hook raised, with its traceback; nothing else comes of it."""
    text = "the hook %s (%s) raised %s"
    get_run_logger().error(text, getattr(hook, "__name__", hook), name, describe(error), exc_info=error)


def read(owner: Any, kind: str, given: Mapping[str, Iterable[Hook] | None]) -> Hooks | None:
    """The hooks that ``@flow`` and ``@task`` are given; None where there are none.

    Raises:
        InvalidInput: One is no function, or they are in no list.
    """
    named = {}
    for name, hooks in given.items():
        if hooks is None:
            continue
        if callable(hooks) or isinstance(hooks, (str, bytes)) or not isinstance(hooks, Iterable):
            raise InvalidInput(f"{name} of the {kind} is {hooks!r}: it has to be a list of functions")
        named[name] = [check(name, hook) for hook in hooks]
    return Hooks(owner, named) if any(named.values()) else None


def check(name: str, hook: Any) -> Hook:
    """A hook that can be called. Raises InvalidInput."""
    if not callable(hook):
        raise InvalidInput(f"{name} holds {hook!r}: each hook has to be a function")
    found: Hook = hook
    return found
