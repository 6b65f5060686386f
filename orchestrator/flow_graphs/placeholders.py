"""What stands in for values that nobody has, since no task ran."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, NoReturn


class Undecided(BaseException):
    """The flow asks of a placeholder what only the value could tell. No handler of the flow's own shall swallow it."""

    def __init__(self, label: str, origin: Iterable[str]) -> None:
        super().__init__(label)
        self.label = label
        #: Nodes that the value comes from.
        self.origin = frozenset(origin)


class Placeholder:
    """Stands in for a value. What is made of it (an attribute, an element, a sum, a call) stands in for another one,
    and comes from the same nodes; awaiting it gives itself.
    """

    __slots__ = ("label", "origin")
    label: str
    origin: frozenset[str]

    def __init__(self, label: str, origin: Iterable[str] = ()) -> None:
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "origin", frozenset(origin))

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__") or name in {"_repr_svg_", "_repr_mimebundle_", "_ipython_display_"}:
            raise AttributeError(name)
        return Placeholder(f"{self.label}.{name}", self.origin)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Undecided(self.label, self.origin)

    def __getitem__(self, key: Any) -> Placeholder:
        return Placeholder(f"{self.label}[...]", self.origin | origin_of(key))

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        found = self.origin.union(*map(origin_of, args), *map(origin_of, kwargs.values()))
        return Placeholder(f"{self.label}()", found)

    def __await__(self) -> Any:
        return self
        yield

    def __str__(self) -> str:
        return f"‹{self.label} {'+'.join(sorted(self.origin))}›"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __hash__(self) -> int:
        return id(self)

    def __enter__(self) -> Placeholder:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def _undecided(self, *_: Any) -> NoReturn:
        raise Undecided(self.label, self.origin)

    __bool__ = __iter__ = __len__ = __contains__ = __int__ = __float__ = __index__ = __complex__ = _undecided
    __aiter__ = __bytes__ = __setitem__ = __delitem__ = __next__ = __reversed__ = _undecided


def origin_of(value: Any) -> frozenset[str]:
    """The nodes that a placeholder comes from; none for anything else."""
    return value.origin if isinstance(value, Placeholder) else frozenset()


def _made(name: str) -> Callable[..., Placeholder]:
    def make(self: Placeholder, *others: Any) -> Placeholder:
        return Placeholder(self.label, self.origin.union(*map(origin_of, others)))

    make.__name__ = name
    return make


_BINARY = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "divmod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
]
for _name in [f"__{one}__" for one in _BINARY] + [f"__r{one}__" for one in _BINARY]:
    setattr(Placeholder, _name, _made(_name))
for _name in ("__neg__", "__pos__", "__abs__", "__invert__", "__round__"):
    setattr(Placeholder, _name, _made(_name))
for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
    assert hasattr(operator, _name)
    setattr(Placeholder, _name, _made(_name))
