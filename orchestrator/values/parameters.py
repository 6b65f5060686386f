"""Parameters of flows: their JSON schema from type hints, binding of calls, validation and coercion."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .. import serializers
from ..errors import ParameterError
from .jsonable import jsonable

#: Largest JSON form of one parameter that is reported as it is, in bytes.
REPORTED_MAX = 64 * 1024

_CONFIG = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_default=False)
_STAR = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


class _Shape:
    """A function's signature and the pydantic model of it (field ``p0``, ``p1`` ... by alias: any name is allowed)."""

    def __init__(self, fn: Callable[..., Any], bound: bool) -> None:
        signature = inspect.signature(fn)
        if bound:
            signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        self.signature = signature
        self.fields = {name: f"p{number}" for number, name in enumerate(signature.parameters)}
        self._fn = fn

    @cached_property
    def model(self) -> type[pydantic.BaseModel]:
        """Made when it is needed: it costs more than a small flow."""
        hints = _hints(self._fn, self.signature)
        definitions: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            default = parameter.default
            if parameter.kind in _STAR:
                default = () if parameter.kind is inspect.Parameter.VAR_POSITIONAL else {}
            definitions[self.fields[name]] = (hints[name], _field(name, default))
        return pydantic.create_model("Parameters", __config__=_CONFIG, **definitions)


def json_schema(fn: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a function's parameters: their order, types, defaults, and descriptions from its docstring.

    A type or default that JSON schema cannot express leaves the parameter open.
    """
    shape = _shape(fn)
    described = _described(inspect.getdoc(fn) or "")
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, parameter in shape.signature.parameters.items():
        entry = _property(shape.model.model_fields[shape.fields[name]], definitions)
        entry = {"title": name.replace("_", " ").strip().capitalize(), **entry, "position": len(properties)}
        if parameter.default is not parameter.empty:
            default = reported({name: parameter.default})[name]
            entry["default"] = default
        if name in described:
            entry.setdefault("description", described[name])
        properties[name] = entry
    schema: dict[str, Any] = {"type": "object", "title": "Parameters", "properties": properties}
    required = [name for name, parameter in shape.signature.parameters.items() if _required(parameter)]
    if required:
        schema["required"] = required
    if definitions:
        schema["$defs"] = definitions
    return {**schema, "additionalProperties": False}


def bind(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a call gives to each parameter by name, defaults included.

    Raises:
        ParameterError: The call does not fit the signature; the fields are named.
    """
    signature = _shape(fn).signature
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        missing = _missing(signature, args, kwargs)
        raise _failure(fn, missing or {_unknown(str(error)): [str(error)]}) from None
    bound.apply_defaults()
    return dict(bound.arguments)


def names(fn: Callable[..., Any]) -> frozenset[str] | None:
    """The names of all parameters; None where it takes any (``**options``)."""
    found = inspect.signature(fn).parameters.values()
    return None if any(one.kind is one.VAR_KEYWORD for one in found) else frozenset(one.name for one in found)


def validate(fn: Callable[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters by name against the type hints, and coerce them; defaults are filled in.

    Raises:
        ParameterError: With the messages of each field that does not fit.
    """
    shape = _shape(fn)
    if not shape.fields and not parameters:
        return {}
    try:
        model = shape.model.model_validate(dict(parameters))
    except pydantic.ValidationError as error:
        errors: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False, include_context=False):
            name, *where = [str(part) for part in problem["loc"]] or ["parameters"]
            message = {"missing": "is missing", "extra_forbidden": "is no parameter of this flow"}.get(
                problem["type"], problem["msg"]
            )
            errors.setdefault(name, []).append(f"{'.'.join(where)}: {message}" if where else message)
        raise _failure(fn, errors) from None
    return {name: getattr(model, field) for name, field in shape.fields.items()}


def arguments(fn: Callable[..., Any], parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What to call the function with, so that it gets these values by name."""
    bound = inspect.BoundArguments(_shape(fn).signature, dict(parameters))
    return bound.args, bound.kwargs


def reported(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON; what has no JSON form, or a very long one, as a piece of its ``repr``."""
    return {name: value if type(value) in _PLAIN else _reported(value) for name, value in parameters.items()}


_PLAIN = frozenset({type(None), bool, float})


def _reported(value: Any) -> Any:
    try:
        data = serializers.dumps(value, default=jsonable)
    except Exception:  # any serializer of the user's own may fail in its own way
        return _short(value)
    return serializers.loads(data) if len(data) <= REPORTED_MAX else _short(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr fails: {error!r}>"
    return text if len(text) <= 500 else f"{text[:500]}... ({len(text)} characters)"


def _shape(fn: Callable[..., Any]) -> _Shape:
    function = getattr(fn, "__func__", fn)
    return _shape_of(function, function is not fn)


@lru_cache(maxsize=4096)
def _shape_of(fn: Callable[..., Any], bound: bool) -> _Shape:
    return _Shape(fn, bound)


def _field(name: str, default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return pydantic.Field(alias=name)
    if isinstance(default, FieldInfo):
        return FieldInfo.merge_field_infos(default, alias=name)
    return pydantic.Field(default_factory=lambda: default, alias=name)


def _hints(fn: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Type hints by parameter; one that cannot be resolved (a local name, say) leaves its parameter open."""
    try:
        found = typing.get_type_hints(fn, include_extras=True)
    except Exception:  # annotations are arbitrary code
        found = _hints_one_by_one(fn)
    hints = {}
    for name, parameter in signature.parameters.items():
        hint: Any = found.get(name, Any)
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            hint = tuple[hint, ...]
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            hint = dict[str, hint]
        hints[name] = hint
    return hints


def _hints_one_by_one(fn: Callable[..., Any]) -> dict[str, Any]:
    names = {**getattr(fn, "__globals__", {}), **inspect.getclosurevars(fn).nonlocals} if inspect.isfunction(fn) else {}
    found: dict[str, Any] = {}
    for name, hint in getattr(fn, "__annotations__", {}).items():
        try:
            found[name] = eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 the user's own annotation
        except Exception:
            found[name] = Any
    return found


def _property(field: FieldInfo, definitions: dict[str, Any]) -> dict[str, Any]:
    kind: Any = field.annotation
    for extra in field.metadata:
        kind = typing.Annotated[kind, extra]
    try:
        schema = pydantic.TypeAdapter(kind, config=None if _own_config(kind) else _CONFIG).json_schema()
    except Exception:  # pydantic's own errors, and those of hooks that types bring along
        return {}
    definitions.update(schema.pop("$defs", {}))
    return {**schema, **({"description": field.description} if field.description else {})}


def _own_config(kind: Any) -> bool:
    """Whether a type brings its own pydantic configuration, and refuses another."""
    return inspect.isclass(kind) and (
        issubclass(kind, pydantic.BaseModel) or hasattr(kind, "__dataclass_fields__") or typing.is_typeddict(kind)
    )


def _required(parameter: inspect.Parameter) -> bool:
    if parameter.kind in _STAR:
        return False
    if isinstance(parameter.default, FieldInfo):
        return parameter.default.default is PydanticUndefined and parameter.default.default_factory is None
    return parameter.default is parameter.empty


def _missing(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, list[str]]:
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return {}
    return {name: ["is missing"] for name, one in signature.parameters.items() if _required(one) and name not in given}


def _unknown(message: str) -> str:
    found = re.search(r"'(\w+)'", message)
    return found[1] if found else "parameters"


def _failure(fn: Callable[..., Any], errors: dict[str, list[str]]) -> ParameterError:
    listed = "; ".join(f"{name} {', '.join(messages)}" for name, messages in errors.items())
    return ParameterError(f"parameters do not fit {getattr(fn, '__name__', fn)}: {listed}", errors)


_ENTRY = re.compile(r"^\s*(?::param\s+(?:[\w\[\], .]+\s+)?)?(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")


def _described(docstring: str) -> dict[str, str]:
    """Descriptions of parameters in a docstring: Google's ``Args:`` section or ``:param name:`` lines."""
    found: dict[str, str] = {}
    section, indent, deeper, name = False, 0, 0, ""
    for line in docstring.splitlines():
        depth = len(line) - len(line.lstrip())
        if line.strip() in {"Args:", "Arguments:", "Parameters:"}:
            section, indent, name = True, depth, ""
            continue
        if section and line.strip() and depth <= indent:
            section = False
        entry = _ENTRY.match(line) if section or line.strip().startswith(":param ") else None
        if entry and not (name and section and depth > deeper):
            name, deeper = entry[1].lstrip("*"), depth
            found[name] = entry[2].strip()
        elif section and name and line.strip():
            found[name] += " " + line.strip()
    return found
