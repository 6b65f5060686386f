"""Caching across runs: when a call of a task is the same as an earlier one, by policies that are composed."""

from __future__ import annotations

import enum
import inspect
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from ..context import FlowRun, TaskRun
from ..errors import InvalidInput
from ..values import fingerprints, parameters
from ..values.typed_json import NotExact

#: What a key may be made of.
_INPUTS, _SOURCE, _FLOW_PARAMETERS, _RUN_ID = "inputs", "source", "flow_parameters", "run_id"


class IsolationLevel(str, enum.Enum):
    """What two runs that compute the same result at once do."""

    #: Both compute; the one that is done last is kept.
    READ_COMMITTED = "READ_COMMITTED"
    #: One computes, the other waits for its result.
    SERIALIZABLE = "SERIALIZABLE"


@dataclass(frozen=True)
class CachePolicy:
    """Which calls of one task are the same: those that agree in all ``parts``.

    ``a + b`` agrees where both do; ``INPUTS - "debug"`` leaves an argument out of account. Make policies of those that
    there are: :data:`INPUTS`, :data:`TASK_SOURCE`, :data:`FLOW_PARAMETERS`, :data:`RUN_ID`, :data:`DEFAULT`,
    :data:`NO_CACHE`.
    """

    parts: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    isolation_level: IsolationLevel = IsolationLevel.READ_COMMITTED

    def __add__(self, other: CachePolicy) -> CachePolicy:
        """Calls are the same where they are by both; ``NO_CACHE`` adds nothing. The stricter isolation holds."""
        if not isinstance(other, CachePolicy):
            return NotImplemented
        if _INPUTS in self.parts and _INPUTS in other.parts:
            without = self.without & other.without
        else:
            without = self.without | other.without
        strict = IsolationLevel.SERIALIZABLE in (self.isolation_level, other.isolation_level)
        level = IsolationLevel.SERIALIZABLE if strict else IsolationLevel.READ_COMMITTED
        return CachePolicy(self.parts | other.parts, without, level)

    def __sub__(self, names: str | Iterable[str]) -> CachePolicy:
        """The same, whatever these arguments are. Raises InvalidInput where the policy looks at no inputs."""
        if _INPUTS not in self.parts:
            raise InvalidInput(f"{names!r} cannot be left out of a cache policy that looks at no inputs")
        listed = [names] if isinstance(names, str) else list(names)
        return replace(self, without=self.without | frozenset(listed))

    def configure(self, *, isolation_level: IsolationLevel | str | None = None) -> CachePolicy:
        """The same policy with another isolation level: ``READ_COMMITTED`` or ``SERIALIZABLE``. Raises InvalidInput."""
        if isolation_level is None:
            return self
        try:
            return replace(self, isolation_level=IsolationLevel(isolation_level))
        except ValueError:
            levels = " or ".join(level.value for level in IsolationLevel)
            raise InvalidInput(f"isolation_level is {isolation_level!r}: it has to be {levels}") from None

    @property
    def is_serializable(self) -> bool:
        """Whether two runs never compute the same result at once."""
        return self.isolation_level is IsolationLevel.SERIALIZABLE


#: No caching.
NO_CACHE = CachePolicy()
#: Equal arguments.
INPUTS = CachePolicy(frozenset({_INPUTS}))
#: The same code of the task's function.
TASK_SOURCE = CachePolicy(frozenset({_SOURCE}))
#: Equal parameters of the flow run around.
FLOW_PARAMETERS = CachePolicy(frozenset({_FLOW_PARAMETERS}))
#: The same flow run.
RUN_ID = CachePolicy(frozenset({_RUN_ID}))
#: Equal arguments and the same code, in the same flow run.
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


@dataclass(frozen=True)
class CacheContext:
    """What a ``cache_key_fn`` gets besides the parameters of the call."""

    task: Any
    task_run: TaskRun
    flow_run: FlowRun | None
    parameters: dict[str, Any]


KeyFunction = Callable[[CacheContext, dict[str, Any]], "str | None"]


@dataclass(frozen=True)
class Key:
    """The key of a result: ``id`` is where it is kept, ``text`` what people see."""

    id: str
    text: str


@dataclass(frozen=True)
class Caching:
    """How the results of one task are cached."""

    task: Any
    policy: CachePolicy
    key_fn: KeyFunction | None = None
    expiration: timedelta | None = None
    refresh: bool = False

    @cached_property
    def _code(self) -> str:
        return fingerprints.of_code(self.task.fn)

    def key(self, fn: Callable[..., Any], run: TaskRun, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
        """The key of a call; None: it is not cached.

        Raises:
            NotExact: An argument has no fingerprint; the message names it.
            Exception: Whatever a ``cache_key_fn`` raises.
        """
        values = parameters.bind(fn, args, kwargs)
        if self.key_fn is not None:
            text = self.key_fn(CacheContext(self.task, run, run.flow_run, values), values)
            if text is None:
                return None
            return _key(fingerprints.of_bytes(b"key", str(text).encode("utf-8", "replace")), str(text))
        found = [self.task.key.encode()]
        for part in sorted(self.policy.parts):
            piece = self._part(part, fn, run, values)
            if piece is None:
                return None
            found += [part.encode(), piece.encode()]
        known = fingerprints.of_bytes(*found)
        return _key(known, f"{self.task.name}-{known[:12]}")

    def _part(self, part: str, fn: Callable[..., Any], run: TaskRun, values: dict[str, Any]) -> str | None:
        if part == _SOURCE:
            return self._code
        if part == _INPUTS:
            own = getattr(fn, "__self__", None)
            return _inputs(values if own is None else {"self": own, **values}, self.policy.without)
        if run.flow_run is None:
            return None
        return run.flow_run.id if part == _RUN_ID else _inputs(run.flow_run.parameters, frozenset())


def _key(digits: str, text: str) -> Key:
    return Key(str(uuid.UUID(hex=digits)), text)


def _inputs(values: dict[str, Any], without: frozenset[str]) -> str:
    found = []
    for name in sorted(values.keys() - without):
        try:
            found += [name.encode(), fingerprints.of(values[name]).encode()]
        except NotExact as error:
            raise NotExact(f"the argument {name}, {error}, cannot be hashed") from None
    return fingerprints.of_bytes(*found)


def chosen(
    task: Any,
    policy: CachePolicy | None,
    key_fn: KeyFunction | None,
    expiration: timedelta | None,
    refresh: bool | None,
    persist: bool | None,
) -> Caching | None:
    """How a task's results are cached, by its options; None: they are not.

    Raises:
        InvalidInput: An option cannot be used, or two of them do not go together.
    """
    what = f"task {task.name}"
    if policy is not None and not isinstance(policy, CachePolicy):
        raise InvalidInput(f"cache_policy of {what} is {policy!r}: write INPUTS, TASK_SOURCE + INPUTS, or the like")
    if key_fn is not None and not callable(key_fn):
        raise InvalidInput(f"cache_key_fn of {what} is {key_fn!r}: it has to be a function of a context and parameters")
    if expiration is not None and not (isinstance(expiration, timedelta) and expiration > timedelta(0)):
        raise InvalidInput(f"cache_expiration of {what} is {expiration!r}: it has to be a timedelta of more than 0")
    if policy is None:
        policy = NO_CACHE if expiration is None and not refresh else DEFAULT
    if not policy.parts and key_fn is None:
        return None
    if persist is False:
        raise InvalidInput(f"{what} has a cache policy and persist_result=False: what is not kept cannot be cached")
    if unknown := policy.without - _parameters(task.fn):
        raise InvalidInput(f"cache_policy of {what} leaves out {', '.join(sorted(unknown))}: it has no such parameter")
    return Caching(task, policy, key_fn, expiration, bool(refresh))


def _parameters(fn: Callable[..., Any]) -> set[str]:
    return {"self", *inspect.signature(fn).parameters}
