"""Fingerprints of values: equal values have one fingerprint, in every process and on every machine.

Values that JSON can hold are hashed as JSON; others by what they are made of: the fields of dataclasses and models, the
parts that an object names for being copied (``__reduce_ex__``), the code of functions. Nothing is pickled.
"""

from __future__ import annotations

import builtins
import hashlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from .typed_json import Encoder, NotExact, Room, canonical_bytes, is_plain

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def of(value: Any, most: int | None = None) -> str:
    """The fingerprint of a value, as 32 hexadecimal digits.

    Args:
        most: About how many bytes of a value to look at.

    Raises:
        NotExact: It has none: it stands for something outside of the process, such as a connection or a lock.
        TooLarge: There is more of it than ``most``.
    """
    room = Room(most)
    try:
        form = value if is_plain(value, room) else Encoder(True, _reduced, room).encode(value)
        return of_bytes(canonical_bytes(form))
    except NotExact:
        raise
    except Exception as error:  # __reduce_ex__ is code of the user's own
        raise NotExact(f"a {type(value).__qualname__}: {error!r}") from None


def of_bytes(*parts: bytes) -> str:
    """The fingerprint of some bytes; where they are divided matters."""
    joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def of_code(fn: Callable[..., Any]) -> str:
    """The fingerprint of a function's compiled code; of its name alone where it is not written in Python."""
    function = inspect.unwrap(getattr(fn, "__func__", fn))
    code = getattr(function, "__code__", None)
    return of_bytes(*_code(code)) if code is not None else of_bytes(_name(function).encode())


def _code(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):  # of literals; their order differs from process to process
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()


def _reduced(value: Any, encoder: Encoder) -> Any:
    if isinstance(value, type):
        return {"$class": _name(value)}
    if isinstance(value, _FUNCTIONS):
        return {"$function": _function(value, encoder.encode)}
    size = getattr(value, "nbytes", 0)
    if isinstance(size, int):  # an array: a large one is refused before it is copied
        encoder.room.take(size)
    parts = value.__reduce_ex__(4)
    if isinstance(parts, str):
        return {"$global": [type(value).__module__, parts]}
    made, arguments, state, items, pairs = (*parts, None, None, None)[:5]
    form = [encoder.encode(part) for part in (made, tuple(arguments), state, list(items or ()), list(pairs or ()))]
    return {"$object": form}


def _function(value: Any, encode: Callable[[Any], Any]) -> Any:
    own = getattr(value, "__self__", None)
    if isinstance(value, types.BuiltinFunctionType):
        if own is not None and own is not builtins and not isinstance(own, types.ModuleType):
            return [_name(value), encode(own)]
        return [_name(value)]
    if isinstance(value, types.MethodType):
        return [_name(value), of_code(value), encode(own)]
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return [_name(value), of_code(value), encode(value.__defaults__), encode(cells)]


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
