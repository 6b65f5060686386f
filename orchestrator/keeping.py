"""Keeping what task runs returned, and finding it again: in a later attempt of the flow run, or in a cache across runs.

A call is known by what it is: the function with its code, the fingerprint of its inputs, how many calls with the same
ones came before, and the call that it was made in. So a new attempt, whatever order its threads run in, finds what an
earlier one has finished, and runs anew what is called otherwise.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from . import fingerprints, serializers, typed_json
from .cached_results import CacheStore, FileStore, ServerStore
from .caching import Caching, Key
from .client import Client, patiently
from .errors import InvalidInput
from .kept_files import ENDINGS, PATIENCE, KeptFiles, pickled, restored
from .logs import get_run_logger
from .masking import here as masks
from .result_storage import ResultStorage
from .results import State, describe
from .settings import Settings
from .settings import load as load_settings
from .states import StateType
from .typed_json import NotExact, TooLarge

if TYPE_CHECKING:
    from .context import FlowRun, TaskRun

#: How much of a call's inputs is looked at, in bytes, where nobody asked for its result to be kept.
INPUTS_MAX = 4 * 1024 * 1024
#: Seconds between looks whether a lock is free: the first, and the longest.
FIRST_LOOK, LONGEST_LOOK = 0.1, 2.0

Steps = Generator[Any, Any, State]


class Aside:
    """A step: something of ours that may wait for a disk or the network; an event loop goes on meanwhile."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn

    def run(self) -> Any:
        return self.fn()

    async def run_async(self) -> Any:
        return await asyncio.to_thread(self.fn)


@dataclass(frozen=True)
class Keep:
    """How the results of a task are kept.

    Attributes:
        task: The task.
        persist: True: they are; False: they are not; None: where they are small, or serve a later attempt.
        serializer: ``json`` or ``pickle``.
        caching: Across runs.
    """

    task: Any
    persist: bool | None = None
    serializer: str = "json"
    caching: Caching | None = None

    @cached_property
    def code(self) -> bytes:
        """What the task is known by, as long as its code stays as it is."""
        return f"{self.task.key} {fingerprints.of_code(self.task.fn)}".encode()

    @cached_property
    def is_asked(self) -> bool:
        """Whether the task itself asks for its results to be kept."""
        return bool(self.persist) or self.serializer != "json" or self.caching is not None


def check_serializer(serializer: str, persist: bool | None, what: str) -> str:
    """Check a ``result_serializer``. Raises InvalidInput."""
    if serializer not in ENDINGS:
        raise InvalidInput(f"result_serializer of {what} is {serializer!r}: it has to be {' or '.join(ENDINGS)}")
    if serializer != "json" and persist is False:
        raise InvalidInput(f"{what} has a result_serializer, and persist_result=False keeps nothing")
    return serializer


@dataclass(frozen=True)
class Finished:
    """A call that was finished before, and what is kept of its result."""

    record: dict[str, Any]
    #: When it was: ``attempt 1``.
    where: str


class Shelf:
    """What one flow run, with its subflows, has kept. Used from many threads.

    Args:
        run: The outermost flow run.
        durable: Whether later attempts take up what it keeps.
    """

    def __init__(
        self, found: Settings, storage: ResultStorage | None, run_id: str, attempt: int, tracked: bool
    ) -> None:
        self.files = KeptFiles(found, storage if tracked else None)
        self.settings = found
        self.is_tracked = tracked
        self._run_id, self._attempt = run_id, attempt
        self._lock = threading.Lock()
        self._finished: dict[str, Finished] = {}
        self._fetched = attempt <= 1 or not tracked or not found.api_url
        self._told: set[tuple[str, str]] = set()

    def has_earlier(self) -> bool:
        """Whether there may be anything that was finished before."""
        return not self._fetched or bool(self._finished)

    def needs_fetching(self) -> bool:
        """Whether looking something up asks the API."""
        return not self._fetched

    def finished(self, call: str) -> Finished | None:
        """A call that was finished before; the first time, all of them are fetched."""
        if not self._fetched:
            with self._lock:
                if not self._fetched:
                    self._finished.update(self._fetch())
                    self._fetched = True
        return self._finished.get(call)

    def note(self, call: str, record: dict[str, Any], where: str) -> None:
        """Remember what is kept of a call, for the next try in this process."""
        self._finished[call] = Finished(record, where)

    def once(self, task: str, about: str) -> bool:
        """Whether something is told of a task for the first time."""
        with self._lock:
            known = (task, about) in self._told
            self._told.add((task, about))
        return not known

    @cached_property
    def cache(self) -> CacheStore:
        """Where cached results are."""
        return cache_store(self.settings, self.is_tracked)

    def _fetch(self) -> dict[str, Finished]:
        until = time.monotonic() + PATIENCE

        def ask() -> dict[str, Finished]:
            client = Client(self.settings.api_url, self.settings.api_key)
            items = client.pages(f"flow-runs/{self._run_id}/kept-results", {"limit": 200})
            return {item["call_key"]: Finished(item["result"], _where(item["attempt"])) for item in items}

        try:
            return patiently(ask, lambda: time.monotonic() < until)
        except Exception as error:  # whatever comes of it, the run goes on
            told = "what earlier attempts finished is not known, so it runs again: %s"
            get_run_logger().warning(told, describe(error))
            return {}


def _where(attempt: int | None) -> str:
    return "an earlier attempt" if attempt is None else f"attempt {attempt}"


def cache_store(found: Settings, tracked: bool) -> CacheStore:
    """Where cached results are: on the server of a tracked run, else on this computer."""
    if tracked and found.api_url:
        return ServerStore(Client(found.api_url, found.api_key))
    return FileStore(found.path("cache", "results"))


class Keeping:
    """What one flow run keeps of its calls.

    Args:
        shelf: Of the outermost flow run.
        scope: Its own call, in the flow run around; empty for the outermost.
        durable: Whether its calls are to be found again by later attempts.
        keeps: Whether results are kept of tasks that do not say.
        tries: Whether this process may try the flow again.
    """

    def __init__(self, shelf: Shelf, scope: str, durable: bool, keeps: bool, tries: bool) -> None:
        self.shelf, self.scope, self.durable, self.keeps = shelf, scope, durable, keeps
        self._remembers = tries
        self._try = 0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def remembers(self) -> bool:
        """Whether what was kept is wanted again in this process."""
        return self._remembers

    @property
    def here(self) -> str:
        """The present try, as messages of the next one name it."""
        return "an earlier try" if self.scope else f"try {self._try}"

    def trying(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The flow's function, whose every call counts calls from the beginning again."""

        def begin(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._try += 1
                self._counts.clear()
            return fn(*args, **kwargs)

        return begin

    def call(self, scope: str, code: bytes, inputs: str) -> str:
        """The key of a call: that of the next one with such inputs."""
        same = fingerprints.of_bytes(scope.encode(), code, inputs.encode())
        with self._lock:
            number = self._counts[same]
            self._counts[same] = number + 1
        return fingerprints.of_bytes(same.encode(), str(number).encode())


def of_flow_run(run: FlowRun, *, durable: bool, persist: bool | None, retries: int, scope: str = "") -> Keeping | None:
    """What a flow run that begins keeps of its calls; None: nothing.

    Args:
        durable: As ``@flow`` says.
        persist: As ``@flow`` says.
        retries: As ``@flow`` says.
        scope: Key of the call that made it, for a subflow; empty: it has none, and is not found again.
    """
    parent, tracked = run.parent, run.sink is not None
    above = parent.keeping if parent is not None else None
    keeps = persist is not False and (above is None or above.keeps)
    tries = durable and keeps and (retries > 0 or (above is not None and above.remembers))
    if not tracked and not tries:
        return None
    lasting = durable and keeps and (tries or (run.supervised and (above is None or above.durable)))
    if above is not None:
        return Keeping(above.shelf, scope or run.id, lasting, keeps, tries)
    return Keeping(_shelf(run), "", lasting, keeps, tries)


def _shelf(run: FlowRun) -> Shelf:
    return Shelf(run.settings, run.results, run.id, run.attempt, run.sink is not None)


def call_of_subflow(flow: Any, parent: FlowRun, task: TaskRun | None, values: dict[str, Any]) -> str:
    """Key of the call of a flow inside a flow run; empty: it cannot be found again."""
    keeping = parent.keeping
    if keeping is None or not keeping.durable or flow.persist_result is False or not flow.durable:
        return ""
    own = getattr(flow.fn, "__self__", None)
    try:
        inputs = fingerprints.of([own, values], INPUTS_MAX)
    except NotExact:
        return ""
    above = task.kept.call if task is not None and task.kept is not None else ""
    code = f"{flow.name} {flow.key} {fingerprints.of_code(flow.fn)}".encode()
    return keeping.call(above or keeping.scope, code, inputs)


def earlier_subflow(run: FlowRun, pickles: bool) -> Generator[Any, Any, tuple[State, dict[str, Any]] | None]:
    """The end of a subflow that an earlier attempt finished, and what is kept of its result; None: it runs."""
    keeping = run.keeping
    if not run.call_key or keeping is None or not keeping.shelf.has_earlier():
        return None
    shelf = keeping.shelf

    def look() -> tuple[State, dict[str, Any]] | None:
        found = shelf.finished(run.call_key)
        if found is None:
            return None
        try:
            value = restored(found.record, shelf.files, pickles)
        except Exception as error:
            get_run_logger().warning("%s runs again: its result cannot be read: %s", run.name, describe(error))
            return None
        message = f"not run again: it completed in {found.where}"
        return State(StateType.COMPLETED, "Cached", message).holding(value, run_id=run.id), found.record

    found: tuple[State, dict[str, Any]] | None = yield Aside(look)
    return found


def key_of_end(run: FlowRun, state: State, result: dict[str, Any] | None) -> str:
    """By what a later attempt of the flow run above finds how a subflow ended; empty: not at all."""
    keeping = run.keeping
    if not run.call_key or result is None or keeping is None or not state.is_completed:
        return ""
    if "serializer" not in result and not typed_json.is_plain(state.result()):
        return ""  # what is kept is JSON for people: it does not give back what was returned
    if keeping.remembers:
        keeping.shelf.note(run.call_key, result, "an earlier try")
    return run.call_key


def keep_pickled(run: FlowRun, value: Any) -> dict[str, Any] | None:
    """Keep what a flow returned as a pickle; what its run keeps of it. It never raises."""
    shelf = run.keeping.shelf if run.keeping is not None else _shelf(run)
    try:
        data, more = pickled(value)
        record = shelf.files.write(f"{run.id}-{run.attempt}.pickle", data, here=True)
    except Exception as error:
        get_run_logger().warning("the result, a %s, was not stored: %s", type(value).__name__, describe(error))
        return None
    return None if record is None or run.sink is None else record | more


class Kept:
    """What is kept of one task run."""

    __slots__ = ("_cached", "_fn", "_keep", "_keeping", "_lock", "_run", "_shelf", "call", "told")

    def __init__(self, run: TaskRun, keep: Keep, keeping: Keeping | None, shelf: Shelf, fn: Callable[..., Any]) -> None:
        self._run, self._keep, self._keeping, self._shelf, self._fn = run, keep, keeping, shelf, fn
        self._cached: Key | None = None
        self._lock = ""
        #: Key of the call; empty: it cannot be found again.
        self.call = ""
        #: What its report says besides its state.
        self.told: dict[str, Any] = {}

    def identify(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Work out the key of the call, whose arguments are final."""
        keeping = self._keeping
        if keeping is None or not keeping.durable:
            return
        own = getattr(self._fn, "__self__", None)
        try:
            inputs = fingerprints.of([own, args, kwargs], None if self._keep.is_asked else INPUTS_MAX)
        except NotExact as error:
            self._unknown(error)
            return
        parent = self._run.parent
        above = parent.kept.call if parent is not None and parent.kept is not None else ""
        self.call = keeping.call(above or keeping.scope, self._keep.code, inputs)

    def around(self, attempts: Steps, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        """The steps of a task run, unless its result is known already; then that, and its result is kept."""
        found: State | None = None
        if self.call and self._shelf.has_earlier():
            look = partial(self._from_earlier)
            found = (yield Aside(look)) if self._needs_waiting() else look()
        if found is None and self._keep.caching is not None:
            self._cached = self._key(args, kwargs)
            if self._cached is not None:
                found = yield from self._from_cache()
        if found is not None:
            return found
        try:
            state: State = yield from attempts
            if state.type is StateType.COMPLETED:
                yield from self._kept(state)
            if self._lock:
                yield Aside(self._unlock)
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
        self.told = {"result": record, "call_key": self.call} if self.call else {"result": record}

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
        assert caching is not None and self._cached is not None
        found: State | None = None
        if not caching.policy.is_serializable:
            found = None if caching.refresh else (yield Aside(self._look_up))
            return found
        pause = FIRST_LOOK
        while True:
            found = None if caching.refresh else (yield Aside(self._look_up))
            if found is not None:
                return found
            if (yield Aside(self._take_lock)):
                break
            yield _Pause(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
        found = None if caching.refresh else (yield Aside(self._look_up))  # somebody may have been quicker
        if found is not None and self._lock:
            yield Aside(self._unlock)
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

    def _kept(self, state: State) -> Generator[Any, Any, None]:
        """Keep what the task returned. Whatever becomes of that, the task has completed."""
        try:
            if (store := self._to_keep(state)) is not None:
                yield Aside(store)
        except Exception as error:
            self._not_kept(describe(error))

    def _to_keep(self, state: State) -> Callable[[], None] | None:
        """Keep a result that is small now; what is still to be done, and may wait for a disk or the network."""
        keep = self._keep
        value = state.result()
        if keep.serializer == "pickle":
            return partial(self._store_pickle, value)
        data = self._json(value)
        if data is None:
            return None
        if len(data) <= self._shelf.settings.results_inline_max:
            return self._note({"value": serializers.written(data)}, {"value": data})
        if not keep.is_asked and not (self._keeping is not None and self._keeping.durable):
            return None
        return partial(self._store, data, {})

    def _json(self, value: Any) -> bytes | None:
        try:
            data = typed_json.write(value)
        except NotExact as error:
            self._not_kept(f"it has no JSON form that gives it back ({error}): see result_serializer")
            return None
        except Exception as error:
            self._not_kept(describe(error))
            return None
        if masks.hides(data):
            self._not_kept("it holds a secret")
            return None
        return data

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
        keeping = self._keeping
        if self.call and keeping is not None and keeping.remembers:
            if "value" in kept:
                kept = {"value": serializers.loads(kept["value"])}
            self._shelf.note(self.call, kept, keeping.here)
        return None if self._cached is None else partial(self._cache, told)

    def _cache(self, record: dict[str, Any]) -> None:
        caching, key, run = self._keep.caching, self._cached, self._run
        assert caching is not None and key is not None
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


class _Pause:
    """A step: let time pass."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self) -> None:
        time.sleep(self.seconds)

    async def run_async(self) -> None:
        await asyncio.sleep(self.seconds)


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
        made = flow_run.keeping = Keeping(_shelf(flow_run), "", durable=False, keeps=False, tries=False)
        return Kept(run, keep, made, made.shelf, fn)
    found = load_settings()
    return Kept(run, keep, None, Shelf(found, None, "", 1, bool(found.api_url)), fn)
