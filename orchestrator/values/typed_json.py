"""JSON that gives back exactly what it was made of: what JSON has no type for is written as an object with one key.

``(1, 2)`` is ``{"$tuple": [1, 2]}``, a date ``{"$date": "2026-01-31"}``, an instance of a dataclass
``{"$dataclass": {"of": "shop:Order", "fields": {...}}}``; docs/results.md lists the forms. Reading makes instances only
of dataclasses, enumerations, named tuples and pydantic models of modules that are loaded already, so a document can
make nothing run.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from ..errors import InvalidInput
from ..serializers import dumps, loads

#: How deep values may be nested; what holds itself is deeper than that.
DEPTH = 100

#: Ends a time that is meant when the clock shows it for the second time.
_FOLD = "~"

_ATOMS = frozenset({type(None), bool})


class NotExact(TypeError):
    """A value has no JSON form that gives it back."""


class TooLarge(NotExact):
    """A value has one, but of more than it may take."""


class Room:
    """Counts roughly the bytes that a JSON form takes, and refuses more than there are."""

    __slots__ = ("left",)

    def __init__(self, most: int | None) -> None:
        self.left = sys.maxsize if most is None else most

    def take(self, size: int) -> None:
        """Take some bytes. Raises TooLarge."""
        self.left -= size
        if self.left < 0:
            raise TooLarge("it is too large")


#: Gives the form of values of other types; it gets the encoder for what is inside. Raises NotExact.
Other = Callable[[Any, "Encoder"], Any]


def write(value: Any) -> bytes:
    """The JSON of a value. Raises NotExact, which names the type that is at fault."""
    try:
        return dumps(value if is_plain(value) else Encoder().encode(value))
    except NotExact:
        raise
    except (TypeError, ValueError, RecursionError) as error:  # surrogates that belong to no character, say
        raise NotExact(str(error)) from None


def read(data: bytes | str) -> Any:
    """What :func:`write` was given.

    Raises:
        ValueError: It is no JSON.
        InvalidInput: It names a type that is not there (any more), or that is none of those it may name.
    """
    return decode(loads(data))


def is_plain(value: Any, room: Room | None = None, depth: int = 0) -> bool:
    """Whether JSON has types for all that a value holds, so that it is its own form. Raises TooLarge."""
    kind = type(value)
    if kind is str:
        if room is not None:
            room.take(len(value))
        return True
    if kind in _ATOMS:
        return True
    if kind is int:
        return bool(-(2**63) <= value < 2**64)
    if kind is float:
        return math.isfinite(value)
    if kind is list and depth < DEPTH:
        if room is not None:
            room.take(8 * len(value))
        return all(is_plain(item, room, depth + 1) for item in value)
    if kind is dict and depth < DEPTH:
        if room is not None:
            room.take(16 * len(value))
        if len(value) == 1 and str(next(iter(value))).startswith("$"):
            return False
        return all(type(key) is str and is_plain(item, room, depth + 1) for key, item in value.items())
    return False


class Encoder:
    """Makes the JSON form of values.

    Args:
        canonical: Whether equal sets and dicts have one form, whatever the order in them.
        other: Encodes values of types that have no form of their own.
        room: How large the form may become.
    """

    def __init__(self, canonical: bool = False, other: Other | None = None, room: Room | None = None) -> None:
        self._canonical, self._other, self.room = canonical, other, room or Room(None)
        self._depth = 0

    def encode(self, value: Any) -> Any:
        """The form of a value. Raises NotExact, TooLarge."""
        if is_plain(value, self.room):
            return value
        self._depth += 1
        if self._depth > DEPTH:
            raise NotExact(f"it is nested more than {DEPTH} deep, or holds itself")
        try:
            if (scalar := _SCALARS.get(type(value))) is not None:
                return {scalar[0]: scalar[1](value)}
            return self._composed(value)
        finally:
            self._depth -= 1

    def _composed(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            return self._all(value)
        if kind is dict:
            return self._dict(value)
        if kind is tuple:
            return {"$tuple": self._all(value)}
        if kind is set or kind is frozenset:
            return {f"${kind.__name__}": self._ordered(self._all(value))}
        if kind in (bytes, bytearray):
            self.room.take(len(value))
            return {f"${kind.__name__}": base64.b64encode(value).decode()}
        if isinstance(value, enum.Enum):
            return {"$enum": {"of": self._name(kind), "name": value.name}}
        if isinstance(value, PurePath) and kind is type(Path()):
            return {"$path": str(value)}
        if isinstance(value, BaseModel):
            return {"$model": self._model(value)}
        if dataclasses.is_dataclass(kind):
            return {"$dataclass": {"of": self._name(kind), "fields": self._fields(value)}}
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return {"$namedtuple": {"of": self._name(kind), "items": self._all(value)}}
        return self._else(value)

    def _all(self, values: Iterable[Any]) -> list[Any]:
        return [self.encode(item) for item in values]

    def _dict(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str for key in value) and not (len(value) == 1 and next(iter(value)).startswith("$")):
            return {key: self.encode(item) for key, item in value.items()}
        return {"$dict": self._ordered([[self.encode(key), self.encode(item)] for key, item in value.items()])}

    def _ordered(self, values: list[Any]) -> list[Any]:
        return sorted(values, key=canonical_bytes) if self._canonical else values

    def _fields(self, value: Any) -> dict[str, Any]:
        names = {item.name for item in dataclasses.fields(value)}
        held = getattr(value, "__dict__", names)
        if self._other is None and set(held) - names:  # cached properties and the like
            raise NotExact(f"a {_called(type(value))} that holds more than its fields")
        return {name: self.encode(getattr(value, name)) for name in sorted(names) if hasattr(value, name)}

    def _model(self, value: BaseModel) -> dict[str, Any]:
        kind = type(value)
        if self._other is None and (value.__pydantic_private__ or set(value.__dict__) - set(kind.model_fields)):
            raise NotExact(f"a {_called(kind)} that holds more than its fields")
        held = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        form = {"of": self._name(kind), "fields": {name: self.encode(item) for name, item in held.items()}}
        unset = sorted(set(kind.model_fields) - value.__pydantic_fields_set__)
        return {**form, "unset": unset} if unset else form

    def _name(self, kind: type) -> str:
        if self._other is None and _find(kind.__module__, kind.__qualname__) is not kind:
            raise NotExact(f"a {_called(kind)}, whose class is not found by its name")
        return f"{kind.__module__}:{kind.__qualname__}"

    def _else(self, value: Any) -> Any:
        if self._other is None:
            raise NotExact(f"a {_called(type(value))}")
        return self._other(value, self)


def canonical_bytes(form: Any) -> bytes:
    """JSON with the keys of objects in order, for comparing forms."""
    return dumps(form, sort_keys=True)


def decode(form: Any) -> Any:
    """The value of a form. Raises InvalidInput, see :func:`read`."""
    if type(form) is list:
        return [decode(item) for item in form]
    if type(form) is not dict:
        return form
    if len(form) == 1:
        ((tag, inner),) = form.items()
        if tag.startswith("$"):
            try:
                return _DECODERS[tag](inner)
            except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                raise InvalidInput(f"{tag} cannot be read: {error!r}") from None
    return {key: decode(item) for key, item in form.items()}


def _called(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__


def _find(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _class(name: str, fits: Callable[[type], bool]) -> Any:
    module, _, qualname = name.partition(":")
    found = _find(module, qualname)
    if not isinstance(found, type) or not fits(found):
        raise InvalidInput(f"{name} is not there, or is no class of that kind")
    return found


def _instant(value: datetime) -> str:
    zone = value.tzinfo
    if zone is None or type(zone) is timezone:
        return value.isoformat() + _FOLD * value.fold
    if isinstance(zone, ZoneInfo) and zone.key:
        return f"{value.isoformat()}[{zone.key}]"
    raise NotExact(f"a time in the zone {zone!r}")


def _read_instant(text: str) -> datetime:
    plain, _, zone = text.removesuffix(_FOLD).partition("[")
    at = datetime.fromisoformat(plain).replace(fold=text.endswith(_FOLD))
    offset = at.utcoffset()
    if offset is not None:  # libraries for Python 3.10 replace fromisoformat, and give offsets of their own kind
        at = at.replace(tzinfo=timezone(offset))
    return at.astimezone(ZoneInfo(zone[:-1])) if zone else at


def _naive(value: time) -> str:
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise NotExact("a time of day with a time zone")
    return value.isoformat() + _FOLD * value.fold


def _read_time(text: str) -> time:
    return time.fromisoformat(text.removesuffix(_FOLD)).replace(fold=text.endswith(_FOLD))


def _span(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


_SCALARS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    int: ("$int", str),
    float: ("$float", str),
    complex: ("$complex", lambda value: [str(value.real), str(value.imag)]),
    datetime: ("$datetime", _instant),
    date: ("$date", date.isoformat),
    time: ("$time", _naive),
    timedelta: ("$timedelta", _span),
    uuid.UUID: ("$uuid", str),
    Decimal: ("$decimal", str),
    range: ("$range", lambda value: [value.start, value.stop, value.step]),
}


def _read_dataclass(inner: Mapping[str, Any]) -> Any:
    kind = _class(inner["of"], dataclasses.is_dataclass)
    made = object.__new__(kind)
    fields = {name: decode(item) for name, item in inner["fields"].items()}
    if set(fields) - {item.name for item in dataclasses.fields(kind)}:
        raise InvalidInput(f"{inner['of']} has other fields now")
    missing = {item.name for item in dataclasses.fields(kind)} - set(fields)
    if missing:
        raise InvalidInput(f"{inner['of']} has other fields now")
    for name, item in fields.items():
        object.__setattr__(made, name, item)
    return made


def _read_model(inner: Mapping[str, Any]) -> BaseModel:
    kind: type[BaseModel] = _class(inner["of"], lambda found: issubclass(found, BaseModel))
    fields = {name: decode(item) for name, item in inner["fields"].items()}
    given = set(fields) - set(inner.get("unset", ()))
    known, extra = set(kind.model_fields), kind.model_config.get("extra") == "allow"
    if known - set(fields) or (set(fields) - known and not extra):
        raise InvalidInput(f"{inner['of']} has other fields now")
    made = kind.__new__(kind)
    object.__setattr__(made, "__dict__", {name: item for name, item in fields.items() if name in known})
    object.__setattr__(made, "__pydantic_fields_set__", given)
    rest = {name: item for name, item in fields.items() if name not in known}
    object.__setattr__(made, "__pydantic_extra__", rest if extra else None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def _read_enum(inner: Mapping[str, Any]) -> Any:
    return _class(inner["of"], lambda found: issubclass(found, enum.Enum))[inner["name"]]


def _read_namedtuple(inner: Mapping[str, Any]) -> Any:
    kind = _class(inner["of"], lambda found: issubclass(found, tuple) and hasattr(found, "_fields"))
    return kind(*decode(inner["items"]))


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "$datetime": _read_instant,
    "$date": date.fromisoformat,
    "$time": _read_time,
    "$timedelta": lambda parts: timedelta(*parts),
    "$uuid": uuid.UUID,
    "$decimal": Decimal,
    "$range": lambda parts: range(*parts),
    "$path": Path,
    "$tuple": lambda items: tuple(decode(items)),
    "$set": lambda items: set(decode(items)),
    "$frozenset": lambda items: frozenset(decode(items)),
    "$bytes": base64.b64decode,
    "$bytearray": lambda text: bytearray(base64.b64decode(text)),
    "$dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
    "$enum": _read_enum,
    "$dataclass": _read_dataclass,
    "$model": _read_model,
    "$namedtuple": _read_namedtuple,
}
