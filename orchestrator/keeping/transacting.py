"""Transactions that other runs know of: by a key, under which a value is kept as soon as they are committed."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from functools import partial
from typing import Any

from .. import context, serializers
from ..engine.steps import InThread, Sleep
from ..engine.transactions import CommitMode, Transaction
from ..errors import InvalidInput
from ..masking import here as masks
from ..observing.logs import get_run_logger
from ..results import describe
from ..settings import load as load_settings
from ..values import fingerprints, typed_json
from .caching import CachePolicy, IsolationLevel
from .kept_calls import FIRST_LOOK, LONGEST_LOOK
from .kept_files import restored
from .shelves import Shelf, shelf_of

#: Longest key.
KEY_MAX = 500


class KeyedValue:
    """What a key stands for across runs: looked up, locked while it is computed, and kept when that is committed.

    Args:
        key: As people see it.
        serializable: Whether nobody else may compute it meanwhile.
        overwrite: Whether what is there already is left out of account.
        writes: Whether what was computed is kept.
    """

    def __init__(self, key: str, serializable: bool, overwrite: bool, writes: bool) -> None:
        self.key = key
        self._id = str(uuid.UUID(hex=fingerprints.of_bytes(b"transaction", key.encode())))
        self._serializable, self._overwrite, self._writes = serializable, overwrite, writes
        self._run = context.flow_run()
        self._shelf = _shelf_here(self._run)
        self._lock = ""
        self._values: list[Any] = []

    def find(self) -> Generator[Any, Any, bool]:
        """Steps: whether there is a value already. Where there is none, and the key is to be locked, its lock is held
        after them: they wait for whoever has it.
        """
        if (yield InThread(self._look)):
            return True
        if self._serializable:
            pause = FIRST_LOOK
            while not (yield InThread(self._take_lock)):
                yield Sleep(pause)
                pause = min(pause * 1.5, LONGEST_LOOK)
            if (yield InThread(self._look)):  # somebody was quicker
                yield InThread(self._unlock)
                return True
        return False

    def stage(self, value: Any) -> None:
        """Take a value, to be kept by :meth:`keep`."""
        self._values[:] = [value]

    def read(self) -> Any:
        """The value. Raises InvalidInput where there is none."""
        if not self._values:
            raise InvalidInput(f"the transaction {self.key} has no value yet: ask txn.is_committed(), or stage one")
        return self._values[0]

    def keep(self) -> Generator[Any, Any, None]:
        """Steps: keep what was staged, for all. They never raise."""
        if self._values and self._writes:
            yield InThread(partial(self._write, self._values[0]))
        yield from self.give_back()

    def give_back(self) -> Generator[Any, Any, None]:
        """Steps: let others have the key."""
        if self._lock:
            yield InThread(self._unlock)

    def _look(self) -> bool:
        if self._overwrite:
            return False
        try:
            record = self._shelf.cache.get(self._id)
            if record is not None:
                self._values[:] = [restored(record["result"], self._shelf.files, pickles=False)]
        except Exception as error:
            self._warn("is begun as if nobody had committed it before", error)
            return False
        return record is not None

    def _take_lock(self) -> bool:
        holder = str(uuid.uuid4())
        try:
            taken = self._shelf.cache.lock(self._id, holder)
        except Exception as error:
            self._warn("goes on without a lock", error)
            return True
        self._lock = holder if taken else ""
        return taken

    def _unlock(self) -> None:
        lock, self._lock = self._lock, ""
        try:
            self._shelf.cache.unlock(self._id, lock)
        except Exception as error:
            self._warn("did not give its lock back, which lapses", error)

    def _write(self, value: Any) -> None:
        try:
            data = typed_json.write(value)
            if masks.hides(data):
                raise InvalidInput("it holds a secret")
            facts = {
                "key": self.key,
                "task_key": "transaction",
                "result": self._record(data),
                "expires_in_s": None,
                "flow_run_id": self._run.id if self._run is not None else None,
                "task_run_id": None,
            }
            self._shelf.cache.put(self._id, facts, self._lock)
        except Exception as error:
            self._warn("is committed, but its value was not kept", error)
        else:
            self._lock = ""

    def _record(self, data: bytes) -> dict[str, Any]:
        if len(data) <= self._shelf.settings.results_inline_max:
            return {"value": serializers.written(data)}
        # A file of its own each time: the record names one that is whole.
        record = self._shelf.files.write(f"transactions/{self._id}-{uuid.uuid4().hex}.json", data, here=True)
        assert record is not None
        return record

    def _warn(self, what: str, error: Exception) -> None:
        get_run_logger().warning("the transaction %s %s: %s", self.key, what, describe(error))


def transaction(
    key: str | None = None,
    *,
    commit_mode: CommitMode | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
) -> Transaction:
    """A transaction: ``with transaction() as txn:``, or ``async with``.

    Args:
        key: What other runs know it by: when one was committed with a value, ``txn.is_committed()`` holds from the
            beginning, and ``txn.read()`` gives that value. At most 500 characters.
        commit_mode: When it is committed; as the one around it when not given, and ``LAZY`` for the outermost.
        isolation_level: ``SERIALIZABLE``: whoever enters one with the same key waits until this one is over.
        overwrite: Begin anew, even where it was committed before.
        write_on_commit: Whether the value that is staged is kept for others.

    Raises:
        InvalidInput: An argument cannot be used, or one that needs a key is given without.
    """
    if commit_mode is not None and not isinstance(commit_mode, CommitMode):
        raise InvalidInput(f"commit_mode is {commit_mode!r}: write CommitMode.LAZY, CommitMode.EAGER or CommitMode.OFF")
    if key is None:
        if isolation_level is not None or overwrite or not write_on_commit:
            raise InvalidInput("isolation_level, overwrite and write_on_commit are of transactions with a key")
        return Transaction(commit_mode)
    if not isinstance(key, str) or not 0 < len(key) <= KEY_MAX or not key.isprintable():
        raise InvalidInput(f"key is {key!r}: it has to be a text of 1 to {KEY_MAX} printable characters")
    serializable = CachePolicy().configure(isolation_level=isolation_level).is_serializable
    return Transaction(commit_mode, keyed=KeyedValue(key, serializable, overwrite, write_on_commit))


def _shelf_here(run: context.FlowRun | None) -> Shelf:
    if run is not None:
        return run.keeping.shelf if run.keeping is not None else shelf_of(run)
    found = load_settings()
    return Shelf(found, None, "", 1, bool(found.api_url))
