"""Keeping what task runs returned, and finding it again: in a later attempt of the flow run, or in a cache across runs.

A call is known by what it is: the function with its code, the fingerprint of its inputs, how many calls with the same
ones came before, and the call that it was made in. So a new attempt, whatever order its threads run in, finds what an
earlier one has finished, and runs anew what is called otherwise.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..client import Client, patiently
from ..engine.steps import InThread
from ..errors import InvalidInput
from ..observing.logs import get_run_logger
from ..results import State, describe
from ..settings import Settings
from ..states import StateType
from ..values import fingerprints, typed_json
from ..values.typed_json import NotExact
from .cached_results import CacheStore, FileStore, ServerStore
from .caching import Caching
from .kept_files import ENDINGS, PATIENCE, KeptFiles, pickled, restored
from .result_storage import ResultStorage

if TYPE_CHECKING:
    from ..context import FlowRun, TaskRun

#: How much of a call's inputs is looked at, in bytes, where nobody asked for its result to be kept.
INPUTS_MAX = 4 * 1024 * 1024


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
    return Keeping(shelf_of(run), "", lasting, keeps, tries)


def shelf_of(run: FlowRun) -> Shelf:
    """The shelf of an outermost flow run."""
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

    found: tuple[State, dict[str, Any]] | None = yield InThread(look)
    return found


def key_of_end(run: FlowRun, state: State, result: dict[str, Any] | None) -> str:
    """By what a later attempt of the flow run above finds how a subflow ended; empty: not at all."""
    keeping = run.keeping
    if not run.call_key or result is None or keeping is None or not state.is_completed():
        return ""
    if "serializer" not in result and not typed_json.is_plain(state.result()):
        return ""  # what is kept is JSON for people: it does not give back what was returned
    if keeping.remembers:
        keeping.shelf.note(run.call_key, result, "an earlier try")
    return run.call_key


def keep_pickled(run: FlowRun, value: Any) -> dict[str, Any] | None:
    """Keep what a flow returned as a pickle; what its run keeps of it. It never raises."""
    shelf = run.keeping.shelf if run.keeping is not None else shelf_of(run)
    try:
        data, more = pickled(value)
        record = shelf.files.write(f"{run.id}-{run.attempt}.pickle", data, here=True)
    except Exception as error:
        get_run_logger().warning("the result, a %s, was not stored: %s", type(value).__name__, describe(error))
        return None
    return None if record is None or run.sink is None else record | more
