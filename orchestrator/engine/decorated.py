"""What flows and tasks have in common: a function that stays one, with options beside it."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any, Generic, ParamSpec, TypeVar

from ..clock import now
from ..errors import InvalidInput
from ..names import BY_SOURCE
from ..timing.retries import Delays, Retries, Rules
from . import hooks as hooks_of
from . import streams, timeouts
from .hooks import Hook, Hooks
from .runs import Policy

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
D = TypeVar("D", bound="Decorated[Any, Any]")
H = TypeVar("H", bound=Hook)


class Decorated(Generic[P, R]):
    """A function with a name and a policy."""

    #: What it is called in messages: ``flow`` or ``task``.
    kind = ""
    #: The function itself; of a method that is bound, the bound one.
    fn: Callable[P, R]

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        retries: int | None = None,
        retry_delay_seconds: Delays | None = None,
        retry_jitter_factor: float | None = None,
        retry_delay_max: float | None = None,
        retry_on: Rules | None = None,
        retry_condition_fn: Callable[..., Any] | None = None,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
        hooks: Mapping[str, Iterable[Hook] | None] | None = None,
    ) -> None:
        #: A class method or static method, where the decorator stands above that one.
        self._descriptor: Any = fn if isinstance(fn, (classmethod, staticmethod)) else None
        if self._descriptor is not None:
            fn = self._descriptor.__func__
        _check_function(fn, self.kind)
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]
        self.fn = fn
        self.name = _name(name, fn, self.kind)
        #: Whether a call gives its items one at a time.
        self.is_generator = inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)
        self.is_async = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
        timeout = timeouts.check(timeout_seconds, f"{self.kind} {self.name}")
        if timeout is not None and not self.is_async and not timeouts.ALARMS:
            raise timeouts.refuse(f"{self.kind} {self.name}", "on this platform")
        if retry_condition_fn is not None and not callable(retry_condition_fn):
            raise InvalidInput(f"retry_condition_fn is {retry_condition_fn!r}: it has to be a function")
        condition = functools.partial(retry_condition_fn, self) if retry_condition_fn is not None else None
        rest = {"delay_max": retry_delay_max, "rules": retry_on, "condition": condition}
        made = functools.partial(_retries, retries, retry_delay_seconds, retry_jitter_factor, rest)
        policy = made(0, 0.0)
        if self.kind == "task" and (retries is None or retry_delay_seconds is None):
            policy = replace(policy, later=made)
        self.policy = Policy(policy, timeout, hooks_of.read(self, self.kind, hooks or {}))
        self.log_prints = log_prints
        self.key = f"{fn.__module__}.{fn.__qualname__}"
        names = inspect.signature(fn).parameters
        #: Options of a call that the function has no parameters of its own for.
        self._call_options = frozenset({"return_state", "wait_for"} - set(names))
        self._options: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def __code__(self) -> CodeType:
        """The code of the function: ``break load`` in a debugger stops in it."""
        code: CodeType = self.fn.__code__
        return code

    def __get__(self: D, instance: Any, owner: type | None = None) -> D:
        """A flow or task that is a method, bound as functions are."""
        method = self.fn if self._descriptor is None else self._descriptor
        if (instance is None and not isinstance(method, classmethod)) or isinstance(method, staticmethod):
            return self
        bound = copy.copy(self)
        bound.fn, bound._descriptor = method.__get__(instance, owner), None
        return bound

    def __copy__(self: D) -> D:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled by its name, as functions are, where it can be found by that."""
        found: Any = sys.modules.get(self.fn.__module__)
        for part in self.fn.__qualname__.split("."):
            found = getattr(found, part, None)
        return self.fn.__qualname__ if found is self else super().__reduce_ex__(protocol)

    @property
    def whole_fn(self) -> Callable[..., Any]:
        """What gives the value of a run at once: the function; of a generator function one that collects its items."""
        return streams.whole(self.fn, self.is_async) if self.is_generator else self.fn

    def with_options(self: D, **options: Any) -> D:
        """The same function with other options; those not given stay as they are."""
        fn = self.fn if self._descriptor is None else self._descriptor
        return type(self)(fn, **{**self._options, **options})

    def _add_hook(self, name: str, hook: H) -> H:
        """Have a function called as one more hook; returns it."""
        hooks_of.check(name, hook)
        hooks = (self.policy.hooks or Hooks(self, {})).with_one(name, hook)
        self.policy = replace(self.policy, hooks=hooks)
        self._options[name] = hooks[name]
        return hook

    def _must_interrupt(self, how: str = "outside the main thread") -> None:
        if self.policy.timeout is not None and not self.is_async and not timeouts.can_interrupt():
            raise timeouts.refuse(f"{self.kind} {self.name}", how)

    def _split(self, kwargs: dict[str, Any]) -> tuple[bool, Any]:
        """Take ``return_state`` and ``wait_for`` out of the arguments of a call."""
        if not kwargs:
            return False, None
        options = self._call_options
        return_state = kwargs.pop("return_state", False) if "return_state" in options else False
        return bool(return_state), kwargs.pop("wait_for", None) if "wait_for" in options else None


def _retries(
    retries: int | None,
    delays: Delays | None,
    jitter: float | None,
    rest: dict[str, Any],
    default: int,
    default_delay: float,
) -> Retries:
    most, found = default if retries is None else retries, default_delay if delays is None else delays
    return Retries.of(most, found, jitter, **rest)


#: What names a run: a template, or a function, which is given the parameters where it has a parameter ``parameters``.
RunName = str | Callable[[], str] | Callable[[dict[str, Any]], str]
#: Longest name of a run, in characters; longer ones are cut.
NAME_MAX = 1000


def fill(template: RunName | None, facts: dict[str, Any], parameters: Callable[[], dict[str, Any]], what: str) -> str:
    """A run's name from its template; empty where there is none.

    Args:
        template: What names the run.
        facts: Names beside the parameters, which go before them.
        parameters: Gives the parameters, where they are needed.
        what: What the template is called in messages.

    Raises:
        InvalidInput: It cannot be filled.
    """
    if template is None:
        return ""
    try:
        if not callable(template):
            text = template.format(**{"now": now(), **facts, **parameters()})
        elif "parameters" in inspect.signature(template).parameters:
            text = template(parameters=parameters())  # type: ignore[call-arg]
        else:
            text = template()  # type: ignore[call-arg]
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{what} {template!r} cannot be filled from the parameters: {error!r}") from None
    text = str(text)
    return text if len(text) <= NAME_MAX else f"{text[: NAME_MAX - 3]}..."


def checked_tags(tags: Iterable[str] | None) -> frozenset[str]:
    """Tags as a set. Raises InvalidInput for a lone text or things that are no text."""
    if tags is None:
        return frozenset()
    found = [tags] if isinstance(tags, str) else list(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in found):
        raise InvalidInput(f"tags is {tags!r}: it has to be a list of texts")
    return frozenset(found)


def _check_function(fn: Any, kind: str) -> None:
    if not callable(fn) or not hasattr(fn, "__name__"):
        raise InvalidInput(f"@{kind} goes on a function, not on {fn!r}")


def _name(name: str | None, fn: Callable[..., Any], kind: str) -> str:
    found = name if name is not None else fn.__name__.replace("_", "-").strip("-")
    if fn.__name__ == "<lambda>" and name is None:
        raise InvalidInput(f"a lambda needs a name: {kind}(..., name='...')")
    if not isinstance(found, str) or not found.strip() or "/" in found or len(found) > 200:
        raise InvalidInput(f"{found!r} is no name for a {kind}: 1 to 200 characters without a slash")
    return found


def source_version(fn: Callable[..., Any]) -> str:
    """A version from the file that a function is written in: ``sha-`` and twelve digits; empty where there is none."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(fn))
        return f"{BY_SOURCE}{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}" if path else ""
    except (OSError, TypeError):  # a notebook, a REPL, a file that is gone
        return ""
