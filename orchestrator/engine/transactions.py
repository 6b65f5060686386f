"""Transactions: what tasks did inside one is kept together, or undone together, by the hooks that they bring along.

A transaction is the present one of the code inside its ``with``. A task run inside it has a transaction of its own
below it, which is *staged* when the task completes. When the outermost ends well its parts are committed in the order
in which they were staged; when it raises they are rolled back, the last first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..clock import to_text
from ..context import TaskRun
from ..errors import InvalidInput
from ..results import State, describe
from ..states import ROLLED_BACK, StateType
from .asides import Aside, Asides
from .hooks import Hooks, check, log_failure
from .steps import InThread, drive, drive_async

T = TypeVar("T")
Hook = Callable[..., Any]

_NOTHING = object()


class CommitMode(Enum):
    """When a transaction is committed."""

    #: At its own end, even inside another one.
    EAGER = "EAGER"
    #: When the outermost ends.
    LAZY = "LAZY"
    #: Only by :meth:`Transaction.commit`; else it is rolled back.
    OFF = "OFF"


class TransactionState(Enum):
    """How far a transaction is."""

    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"


class Keyed(Protocol):
    """What a transaction's key stands for across runs. All but :meth:`stage` and :meth:`read` are steps."""

    key: str

    def find(self) -> Asides[bool]:
        """Whether it was committed before."""

    def stage(self, value: Any) -> None:
        """Take the value that is kept when it is committed."""

    def read(self) -> Any:
        """The value. Raises InvalidInput where there is none."""

    def keep(self) -> Asides[None]:
        """It is committed."""

    def give_back(self) -> Asides[None]:
        """It is rolled back."""


class Transaction:
    """A transaction; :func:`orchestrator.transaction` makes it. Also the one of a task run, which its hooks are given.

    Attributes:
        state: How far it is.
        parent: The one around it.
        commit_mode: When it is committed.
    """

    def __init__(
        self, commit_mode: CommitMode | None = None, run: TaskRun | None = None, keyed: Keyed | None = None
    ) -> None:
        self.commit_mode = commit_mode or CommitMode.LAZY
        self._own_mode = commit_mode
        self.state = TransactionState.ACTIVE
        self.parent: Transaction | None = None
        self._run = run
        self._keyed = keyed
        self._values: dict[str, Any] = {}
        self._staged: list[Transaction] = []
        self._on_commit: list[Hook] = []
        self._on_rollback: list[Hook] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Transaction {self.state.value.lower()}{f' of {self._run.name}' if self._run else ''}>"

    def set(self, name: str, value: Any) -> None:
        """Keep a value for whoever shares the transaction, its hooks above all."""
        self._values[name] = value

    def get(self, name: str, default: Any = _NOTHING) -> Any:
        """A value that :meth:`set` kept here or in a transaction around this one.

        Raises:
            ValueError: There is none, and no default.
        """
        at: Transaction | None = self
        while at is not None:
            if name in at._values:
                return at._values[name]
            at = at.parent
        if default is _NOTHING:
            raise ValueError(f"the transaction holds no value {name!r}")
        return default

    def stage(
        self, value: Any = _NOTHING, on_rollback_hooks: Iterable[Hook] = (), on_commit_hooks: Iterable[Hook] = ()
    ) -> None:
        """Say what is kept under its key when it is committed, and what is to be called, with this transaction, when
        it is committed or rolled back.

        Raises:
            InvalidInput: One is no function; or a value is given, and it has no key.
        """
        if value is not _NOTHING:
            self._with_key().stage(value)
        self._on_commit += [check("on_commit_hooks", hook) for hook in on_commit_hooks]
        self._on_rollback += [check("on_rollback_hooks", hook) for hook in on_rollback_hooks]

    def read(self) -> Any:
        """The value of its key: the one that was staged, or that a transaction kept which was committed before.

        Raises:
            InvalidInput: There is none, or it has no key.
        """
        return self._with_key().read()

    def is_committed(self) -> bool:
        """Whether it was committed; with a key also before this time."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """Whether it was rolled back."""
        return self.state is TransactionState.ROLLED_BACK

    def commit(self) -> bool:
        """Commit it now, with what is staged in it; whether it is committed by this."""
        return drive(self._commit())

    def rollback(self) -> bool:
        """Roll it back now, with what is staged in it; whether it is rolled back by this."""
        return drive(self._roll_back())

    def __enter__(self) -> Transaction:
        self._begin()
        drive(self._find())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        drive(self._end(error is None))

    async def __aenter__(self) -> Transaction:
        self._begin()
        await drive_async(self._find())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await drive_async(self._end(error is None))

    def _begin(self) -> None:
        if self.parent is not None or present() is self or self.state is not TransactionState.ACTIVE:
            raise InvalidInput("a transaction is entered once: make another one")
        self._refuse_itself_around()
        self.parent = present()
        if self._own_mode is None and self.parent is not None:
            self.commit_mode = self.parent.commit_mode
        _present.set(self)

    def _refuse_itself_around(self) -> None:
        """One that waits for the lock of its own key, which one around it holds, would wait for ever."""
        at = present() if self._keyed is not None else None
        while at is not None:
            if at._keyed is not None and self._keyed is not None and at._keyed.key == self._keyed.key:
                raise InvalidInput(f"a transaction with the key {at._keyed.key} is around this one: take another key")
            at = at.parent

    def _find(self) -> Asides[None]:
        """Where it has a key, see whether it was committed before."""
        if self._keyed is None:
            return
        try:
            known = yield from self._keyed.find()
        except BaseException:
            _present.set(self.parent)
            raise
        if known:
            self.state = TransactionState.COMMITTED

    def _with_key(self) -> Keyed:
        if self._keyed is None:
            raise InvalidInput("the transaction has no key, so it has no value: write transaction(key=...)")
        return self._keyed

    def _end(self, well: bool) -> Asides[None]:
        """It is left: commit it, roll it back, or let the one around it decide."""
        _present.set(self.parent)
        if not well:
            yield from self._roll_back()
            return
        if self.state is not TransactionState.ACTIVE:
            return
        self.state = TransactionState.STAGED
        if self.commit_mode is CommitMode.EAGER:
            yield from self._commit()
        elif self.parent is not None:
            yield from self.parent._take(self)
        elif self.commit_mode is CommitMode.LAZY:
            yield from self._commit()
        else:
            yield from self._roll_back()

    def _take(self, part: Transaction) -> Asides[None]:
        """A part is staged; where this one is over already, the part shares what became of it."""
        with self._lock:
            over = self.is_committed() or self.is_rolled_back()
            if not over:
                self._staged.append(part)
        if over:
            yield from part._commit() if self.is_committed() else part._roll_back()

    def _close(self, state: TransactionState) -> bool:
        with self._lock:
            if self.is_committed() or self.is_rolled_back():
                return False
            self.state = state
        return True

    def _commit(self) -> Asides[bool]:
        if not self._close(TransactionState.COMMITTED):
            return False
        for part in self._staged:
            yield from part._commit()
        for hook in self._on_commit:
            try:
                yield Aside(hook, (self,))
            except Exception as error:
                log_failure("on_commit", hook, error)
                self.state = TransactionState.ROLLED_BACK
                yield from self._undo()
                return False
        yield from self._release()
        if self._keyed is not None:
            yield from self._keyed.keep()
        return True

    def _release(self) -> Asides[None]:
        """Let later attempts, and other runs, find what the task returned: it need not be run again."""
        run = self._run
        if run is None or run.kept is None:
            return
        rest, state = run.kept.release(), run.state
        if state is not None and "call_key" in run.kept.told:
            details = {**(state.details or {}), "committed": True}
            run.put(state.type, state.name, state.message, details, to_text(state.at))
        if rest is not None:
            yield InThread(rest)

    def _roll_back(self) -> Asides[bool]:
        if not self._close(TransactionState.ROLLED_BACK):
            return False
        yield from self._undo()
        return True

    def _undo(self) -> Asides[None]:
        why = "its transaction was rolled back"
        for hook in reversed(self._on_rollback):
            try:
                yield Aside(hook, (self,))
            except Exception as error:
                why = f"its transaction was rolled back; a hook for that raised {describe(error)}"
                log_failure("on_rollback", hook, error)
        if self._run is not None:
            self._run.put(StateType.COMPLETED, ROLLED_BACK, why)
        for part in reversed(self._staged):
            yield from part._roll_back()
        if self._keyed is not None:
            yield from self._keyed.give_back()


def get_transaction() -> Transaction | None:
    """The transaction that the present code is in: inside a task, the task run's own; None outside of any."""
    return present()


_present: ContextVar[Transaction | None] = ContextVar("orchestrator_transaction", default=None)
#: The present transaction, for those who only ask whether there is one.
present = _present.get


def around(steps: Any, hooks: Hooks | None, run: TaskRun) -> Any:
    """One try of a task, as a part of the present transaction, or with hooks of its own; a generator of its steps.

    What nested tasks did is undone when the try does not complete.
    """
    part = Transaction(run=run)
    part._begin()
    if run.kept is not None:
        run.kept.hold()
    try:
        state: State = yield from steps
    except GeneratorExit:
        _present.set(part.parent)
        raise
    except BaseException:
        yield from part._end(well=False)
        raise
    if state.is_completed() and hooks is not None:
        part.stage(on_commit_hooks=hooks["on_commit"], on_rollback_hooks=hooks["on_rollback"])
    yield from part._end(state.is_completed())
    return state
