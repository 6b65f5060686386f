"""What flows and tasks have in common: a function that stays one, with options beside it."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, Generic, ParamSpec, TypeVar

from . import timeouts
from .engine import Policy
from .errors import InvalidInput
from .retries import Delays, Retries

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", bound="Decorated[Any, Any]")


class Decorated(Generic[P, R]):
    """A function with a name and a policy."""

    #: What it is called in messages: ``flow`` or ``task``.
    kind = ""

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        retries: int = 0,
        retry_delay_seconds: Delays = 0.0,
        retry_jitter_factor: float | None = None,
        timeout_seconds: float | None = None,
        log_prints: bool | None = None,
    ) -> None:
        _check_function(fn, self.kind)
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]
        self.fn = fn
        self.name = _name(name, fn, self.kind)
        self.is_async = inspect.iscoroutinefunction(fn)
        timeout = timeouts.check(timeout_seconds, f"{self.kind} {self.name}")
        if timeout is not None and not self.is_async and not timeouts.ALARMS:
            raise timeouts.refuse(f"{self.kind} {self.name}", "on this platform")
        self.policy = Policy(Retries.of(retries, retry_delay_seconds, retry_jitter_factor), timeout)
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
        if instance is None:
            return self
        bound = copy.copy(self)
        bound.fn = self.fn.__get__(instance, owner)
        return bound

    def with_options(self: D, **options: Any) -> D:
        """The same function with other options; those not given stay as they are."""
        return type(self)(self.fn, **{**self._options, **options})

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


def fill(template: str | Callable[[], str] | None, parameters: dict[str, Any], what: str) -> str | None:
    """A run's name from its template and the parameters. Raises InvalidInput where it cannot be filled."""
    if template is None:
        return None
    try:
        text = template() if callable(template) else template.format(**parameters)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{what} {template!r} cannot be filled from the parameters: {error!r}") from None
    return str(text)


def checked_tags(tags: Iterable[str] | None) -> frozenset[str]:
    """Tags as a set. Raises InvalidInput for a lone text or things that are no text."""
    if tags is None:
        return frozenset()
    found = [tags] if isinstance(tags, str) else list(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in found):
        raise InvalidInput(f"tags is {tags!r}: it has to be a list of texts")
    return frozenset(found)


def _check_function(fn: Any, kind: str) -> None:
    if isinstance(fn, (classmethod, staticmethod)):
        raise InvalidInput(f"put @{type(fn).__name__} above @{kind}, not below it")
    if not callable(fn) or not hasattr(fn, "__name__"):
        raise InvalidInput(f"@{kind} goes on a function, not on {fn!r}")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise InvalidInput(f"{fn.__name__} is a generator: @{kind} takes functions that return (return a list)")


def _name(name: str | None, fn: Callable[..., Any], kind: str) -> str:
    found = name if name is not None else fn.__name__.replace("_", "-").strip("-")
    if fn.__name__ == "<lambda>" and name is None:
        raise InvalidInput(f"a lambda needs a name: {kind}(..., name='...')")
    if not isinstance(found, str) or not found.strip() or "/" in found or len(found) > 200:
        raise InvalidInput(f"{found!r} is no name for a {kind}: 1 to 200 characters without a slash")
    return found
