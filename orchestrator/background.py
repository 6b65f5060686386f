"""Background runs: calls of a task that are made elsewhere, by whoever serves it, whenever there is room.

A background run is a run of a deployment of the task: a flow run which holds that one task run. So it waits in a work
queue, is claimed by one agent, watched, logged, cancelled and kept like any run. What it is given, and what it
returns, is JSON.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic_core import to_jsonable_python

from . import context, names, results, serializers
from .client import Client
from .clock import from_text
from .engine.arguments import found_in, resolved
from .engine.decorated import Decorated
from .errors import ApiUnreachable, InvalidInput, NotFound
from .flows import Flow
from .futures import TaskFuture
from .keeping import result_storage
from .observing.logs import get_run_logger
from .results import State
from .states import StateType
from .values import parameters

R = TypeVar("R")

#: Seconds between two looks at a background run: the first, growing to the longest.
FIRST_LOOK, LONGEST_LOOK = 0.05, 2.0


class BackgroundFuture(TaskFuture[R]):
    """A background run, as whoever asked for it sees it: it may be waited for, awaited, and given to other tasks.

    It lives in the server: each question whether it is done asks there.
    """

    __slots__ = ("_client", "_watched", "flow_run_id")

    def __init__(self, client: Client, flow_run_id: str, name: str) -> None:
        super().__init__("", name)
        #: The flow run that holds it.
        self.flow_run_id = flow_run_id
        self._client = client
        self._watched = False

    def done(self) -> bool:
        """Whether the run is over."""
        return self.final_state is not None or self._look()

    def wait(self, timeout: float | None = None) -> State | None:
        """Wait for the end; the final state, or None when it was not done in ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK
        while not self.done():
            left = LONGEST_LOOK if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK)
        return self.final_state

    def cancel(self) -> None:
        """Ask for the run to be cancelled. Raises Conflict where it is over."""
        self._client.post(f"flow-runs/{self.flow_run_id}/cancel")

    def add_done_callback(self, callback: Callable[[TaskFuture[R]], None]) -> None:
        """Call ``callback(future)`` at the end; at once when it is over. From now on a thread looks for the end."""
        super().add_done_callback(callback)
        if self.final_state is None and not self._watched:
            self._watched = True
            threading.Thread(target=self.wait, name=f"watch-{self.name}", daemon=True).start()

    def _look(self) -> bool:
        try:
            facts = self._client.get(f"flow-runs/{self.flow_run_id}")
        except ApiUnreachable:
            return False
        if not facts["ended"]:
            return False
        told = facts["state"]
        state = State(StateType(told["type"]), told["name"], told["message"], from_text(told["at"]), told["details"])
        self.resolve(state.holding(self._value()) if state.is_completed() else state)
        return True

    def _value(self) -> Any:
        try:
            return result_storage.read_result(self.flow_run_id, self._client)
        except NotFound as error:
            get_run_logger().warning("%s: %s", self.name, error)
            return None


def flow_of(task: Decorated[Any, Any]) -> Flow[Any, Any]:
    """The flow that makes one run of a task: what a deployment of the task executes."""
    made: Any = task
    if task.is_generator:  # its value is the list of its items then
        made = functools.partial(made, return_state=True)
    if task.is_async:

        @functools.wraps(task.fn)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await made(*args, **kwargs)

    else:

        @functools.wraps(task.fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            return made(*args, **kwargs)

    return Flow(call, name=names.task_flow(task.name), log_prints=task.log_prints)


def send(
    task: Decorated[Any, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    tags: frozenset[str],
    wait_for: Any = None,
) -> BackgroundFuture[Any]:
    """Ask for a background run; the future of it.

    Raises:
        ParameterError: The arguments do not fit the signature.
        InvalidInput: An argument has no JSON form.
        NotFound: Nobody ever served the task.
        SettingsError: No API is configured.
    """
    if inspect.ismethod(task.fn):
        raise InvalidInput(f"task {task.name} is a method: its object cannot be sent to a background run")
    for future in found_in([list(args), dict(kwargs), wait_for]):
        if isinstance(future, TaskFuture):
            future.wait()
    resolved(wait_for)  # raises what they raised
    body = {
        "parameters": _as_json(task, parameters.bind(task.fn, resolved(tuple(args)), resolved(dict(kwargs)))),
        "tags": sorted(tags | context.present_tags()),
    }
    client = Client.from_settings()
    try:
        path = f"deployments/{quote(names.task_flow(task.name), safe='')}/{names.BACKGROUND}/runs"
        facts = client.post(path, body, {"Idempotency-Key": str(uuid.uuid4())})
    except NotFound:
        where = f"orchestrator task serve FILE:{task.fn.__name__}"
        raise NotFound(f"nobody has served the task {task.name} yet: start `{where}`") from None
    return BackgroundFuture(client, facts["id"], facts["name"])


def _as_json(task: Decorated[Any, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: one.default for name, one in inspect.signature(task.fn).parameters.items()}
    found = {}
    for name, value in values.items():
        if value is defaults[name]:
            continue
        try:
            found[name] = serializers.loads(serializers.dumps(value, default=to_jsonable_python))
        except Exception as error:  # serializers of the user's own types run here
            told = f"{name} of {task.name} has no JSON form, and cannot be sent to a background run"
            raise InvalidInput(f"{told}: {results.describe(error)}") from None
    return found
