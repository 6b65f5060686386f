"""What is kept of one task run: found rather than run again, or kept for others to find."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import serializers
from ..engine.steps import InThread, Sleep
from ..masking import here as masks
from ..observing.logs import get_run_logger
from ..results import State, describe
from ..settings import load as load_settings
from ..states import StateType
from ..values import fingerprints, typed_json
from ..values.typed_json import NotExact, TooLarge
from .caching import Key
from .kept_files import ENDINGS, pickled, restored
from .shelves import INPUTS_MAX, Keep, Keeping, Shelf, shelf_of

if TYPE_CHECKING:
    from ..context import TaskRun

#: Seconds between looks whether a lock is free: the first, and the longest.
FIRST_LOOK, LONGEST_LOOK = 0.1, 2.0

Steps = Generator[Any, Any, State]


class Kept:
    """What is kept of one task run."""

    __slots__ = ("_cached", "_fn", "_held", "_keep", "_keeping", "_lock", "_run", "_shelf", "_waits", "call", "told")

    def __init__(self, run: TaskRun, keep: Keep, keeping: Keeping | None, shelf: Shelf, fn: Callable[..., Any]) -> None:
        self._run, self._keep, self._keeping, self._shelf, self._fn = run, keep, keeping, shelf, fn
        self._cached: Key | None = None
        self._lock = ""
        #: Key of the call; empty: it cannot be found again.
        self.call = ""
        #: What its report says besides its state.
        self.told: dict[str, Any] = {}
        #: Whether a transaction decides if others may find the result; what is then to be noted.
        self._held = False
        self._waits: tuple[dict[str, Any], dict[str, Any]] | None = None

    def hold(self) -> None:
        """Have nobody find the result before :meth:`release`: what the task did may still be undone."""
        self._held = True

    def release(self) -> Callable[[], None] | None:
        """What the task did stays: let others find its result; what is still to do, and may wait for the network."""
        self._held = False
        return None if self._waits is None else self._note(*self._waits)

    def identify(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Work out the key of the call, whose arguments are final."""
        keeping = self._keeping
        if keeping is None or not keeping.durable:
            return
        own = getattr(self._fn, "__self__", None)
        try:
            inputs = fingerprints.of([own, list(args), kwargs], None if self._keep.is_asked else INPUTS_MAX)
        except NotExact as error:
            self._unknown(error)
            return
        parent = self._run.parent
        above = parent.kept.call if parent is not None and parent.kept is not None else ""
        self.call = keeping.call(above or keeping.scope, self._keep.code, inputs)

    def around(self, attempts: Steps, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """The steps of a task run, unless its result is known already; then that, and its result is kept."""
        if self._keep.caching is not None or (self.call and self._shelf.has_earlier()):
            return self._unless_known(attempts, args, kwargs)
        return self._then_kept(attempts)

    def _then_kept(self, attempts: Steps) -> Steps:
        state = yield from attempts
        if state.type is StateType.COMPLETED and (store := self._to_keep(state)) is not None:
            yield InThread(store)
        return state

    def _unless_known(self, attempts: Steps, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        found: State | None = None
        if self.call and self._shelf.has_earlier():
            found = (yield InThread(self._from_earlier)) if self._needs_waiting() else self._from_earlier()
        try:
            if found is None and self._keep.caching is not None:
                self._cached = self._key(args, kwargs)
                if self._cached is not None:
                    found = yield from self._from_cache()
            if found is not None:
                return found
            state = yield from self._then_kept(attempts)
            if self._lock:
                yield InThread(self._unlock)
        finally:
            if self._lock:  # the process is being ended
                self._unlock()
        return state

    def _needs_waiting(self) -> bool:
        if self._shelf.needs_fetching():
            return True
        found = self._shelf.finished(self.call)
        return found is not None and "value" not in found.record

    def _from_earlier(self) -> State | None:
        found = self._shelf.finished(self.call)
        if found is None:
            return None
        return self._restored(found.record, f"not run again: it completed in {found.where}", found.where)

    def _restored(self, record: dict[str, Any], message: str, where: str) -> State | None:
        try:
            value = restored(record, self._shelf.files, self._keep.serializer == "pickle")
        except Exception as error:
            name = self._run.name
            get_run_logger().warning("%s runs again: its result of %s cannot be read: %s", name, where, describe(error))
            return None
        self._tell(record)
        return State(StateType.COMPLETED, "Cached", message).holding(value)

    def _tell(self, record: dict[str, Any]) -> None:
        known = self.call and not self._held
        self.told = {"result": record, "call_key": self.call} if known else {"result": record}

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
        caching = self._keep.caching
        assert caching is not None
        try:
            return caching.key(self._fn, self._run, args, kwargs)
        except NotExact as error:
            self._warn("key", "%s is not cached: %s", self._keep.task.name, str(error))
        except Exception as error:
            self._warn("key", "%s is not cached: its cache_key_fn raised %s", self._keep.task.name, describe(error))
        return None

    def _from_cache(self) -> Generator[Any, Any, State | None]:
        caching = self._keep.caching
        assert caching is not None
        assert self._cached is not None
        if not caching.policy.is_serializable:
            return (yield from self._looked_up())
        pause = FIRST_LOOK
        while (found := (yield from self._looked_up())) is None:
            if (yield InThread(self._take_lock)):
                found = yield from self._looked_up()  # somebody may have been quicker
                if found is not None and self._lock:
                    yield InThread(self._unlock)
                break
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
        return found

    def _looked_up(self) -> Generator[Any, Any, State | None]:
        caching = self._keep.caching
        if caching is None or caching.refresh:
            return None
        found: State | None = yield InThread(self._look_up)
        return found

    def _take_lock(self) -> bool:
        """Whether to go on: the lock is ours, or there is none to be had."""
        assert self._cached is not None
        holder = str(uuid.uuid4())
        try:
            taken = self._shelf.cache.lock(self._cached.id, holder)
        except Exception as error:
            self._warn("cache", "%s runs without a lock: %s", self._keep.task.name, describe(error))
            return True
        self._lock = holder if taken else ""
        return taken

    def _unlock(self) -> None:
        lock, self._lock = self._lock, ""
        assert self._cached is not None
        try:
            self._shelf.cache.unlock(self._cached.id, lock)
        except Exception as error:
            get_run_logger().warning("a lock in the cache was not given back: %s; it lapses", describe(error))

    def _look_up(self) -> State | None:
        assert self._cached is not None
        try:
            record = self._shelf.cache.get(self._cached.id)
        except Exception as error:
            self._warn("cache", "%s is not looked up in the cache: %s", self._keep.task.name, describe(error))
            return None
        if record is None:
            return None
        source = record.get("flow_run_id")
        where = f"the cache as {self._cached.text}" + (f", from flow run {source}" if source else "")
        return self._restored(record["result"], f"found in {where}", "the cache")

    def _to_keep(self, state: State) -> Callable[[], None] | None:
        """Keep a result that is small now; what is still to be done, and may wait for a disk or the network.

        Whatever becomes of it, the task has completed: nothing is raised.
        """
        keep, value = self._keep, state.result()
        if keep.serializer == "pickle":
            return partial(self._store_pickle, value)
        try:
            data = typed_json.write(value)
        except Exception as error:  # of properties and the like, which are the user's own code
            exact = isinstance(error, NotExact)
            no_form = f"it has no JSON form that gives it back ({error}): see result_serializer"
            self._not_kept(no_form if exact else describe(error))
            return None
        if masks.hides(data):
            self._not_kept("it holds a secret")
            return None
        if len(data) <= self._shelf.settings.results_inline_max:
            return self._note({"value": serializers.written(data)}, {"value": data})
        if not keep.is_asked and not (self._keeping is not None and self._keeping.durable):
            return None
        return partial(self._store, data, {})

    def _store_pickle(self, value: Any) -> None:
        try:
            data, more = pickled(value)
        except Exception as error:
            self._not_kept(f"it cannot be pickled ({describe(error)})")
        else:
            self._store(data, more)

    def _store(self, data: bytes, more: dict[str, Any]) -> None:
        run = self._run
        folder = run.flow_run.id if run.flow_run is not None else "tasks"
        name = f"{folder}/{run.id}.{ENDINGS[self._keep.serializer]}"
        try:
            record = self._shelf.files.write(name, data, self._keep.is_asked)
        except Exception as error:
            self._not_kept(f"{len(data)} bytes, into its storage: {describe(error)}")
            return
        if record is None:
            most = self._shelf.settings.results_inline_max
            self._not_kept(f"it takes {len(data)} bytes, ORCHESTRATOR_RESULTS_INLINE_MAX is {most}, and there is no "
                           "storage block for results")  # fmt: skip
            return
        if (cache := self._note(record | more, record | more)) is not None:
            cache()

    def _note(self, told: dict[str, Any], kept: dict[str, Any]) -> Callable[[], None] | None:
        if self._shelf.is_tracked:
            self._tell(told)
        if self._held:
            self._waits = (told, kept)
            return None
        keeping = self._keeping
        if self.call and keeping is not None and keeping.remembers:
            if "value" in kept:
                kept = {"value": serializers.loads(kept["value"])}
            self._shelf.note(self.call, kept, keeping.here)
        return None if self._cached is None else partial(self._cache, told)

    def _cache(self, record: dict[str, Any]) -> None:
        caching, key, run = self._keep.caching, self._cached, self._run
        assert caching is not None
        assert key is not None
        lock, self._lock = self._lock, ""
        facts = {
            "key": key.text[:500],
            "task_key": self._keep.task.key,
            "result": record,
            "expires_in_s": caching.expiration.total_seconds() if caching.expiration is not None else None,
            "flow_run_id": run.flow_run.id if run.flow_run is not None else None,
            "task_run_id": run.id,
        }
        try:
            self._shelf.cache.put(key.id, facts, lock)
        except Exception as error:
            self._lock = lock
            self._warn("cache", "the result of %s was not cached: %s", self._keep.task.name, describe(error))

    def _not_kept(self, why: str) -> None:
        keep, keeping = self._keep, self._keeping
        if keep.is_asked or (keeping is not None and keeping.durable):
            self._warn("kept", "the result of task %s was not kept: %s", keep.task.name, why)

    def _unknown(self, error: NotExact) -> None:
        """Say why a call is run again by another attempt: when there is one, or the task asks for its result."""
        if not (self._shelf.has_earlier() or (self._keep.is_asked and self._keep.caching is None)):
            return
        most = f"its arguments take more than {INPUTS_MAX} bytes: see persist_result"
        why = most if isinstance(error, TooLarge) else f"its arguments cannot be hashed, {error}"
        self._warn("inputs", "task %s is run by each attempt: %s", self._keep.task.name, why)

    def _warn(self, about: str, message: str, *values: Any) -> None:
        if self._shelf.once(self._keep.task.name, about):
            get_run_logger().warning(message, *values)


def of_task_run(run: TaskRun, keep: Keep, keeping: Keeping | None, fn: Callable[..., Any]) -> Kept | None:
    """What is kept of a task run that begins; None: nothing."""
    if keep.persist is False:
        return None
    if keeping is not None:
        if not (keeping.keeps or keep.is_asked):
            return None
        return Kept(run, keep, keeping, keeping.shelf, fn)
    if not keep.is_asked:
        return None
    if (flow_run := run.flow_run) is not None:
        made = flow_run.keeping = Keeping(shelf_of(flow_run), "", durable=False, keeps=False, tries=False)
        return Kept(run, keep, made, made.shelf, fn)
    found = load_settings()
    return Kept(run, keep, None, Shelf(found, None, "", 1, bool(found.api_url)), fn)
