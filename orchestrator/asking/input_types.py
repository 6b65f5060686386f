"""Types of input: how a type is asked for by JSON schema, and how an answer becomes a value of it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import pydantic
from pydantic_core import to_jsonable_python

from .. import serializers
from ..errors import InvalidInput

T = TypeVar("T")

#: The one field of an answer whose type is no object by itself.
VALUE = "value"
_NONE = type(None)
#: What may be anything, or one of several types.
_OPEN = (Any, object, types.UnionType)


@dataclass(frozen=True)
class InputType(Generic[T]):
    """A type whose values are asked for.

    Attributes:
        schema: JSON schema of an answer, an object.
        wraps: Whether an answer holds the value as its one field, :data:`VALUE`.
        description: What the type says of itself, to be shown above its form.
    """

    adapter: pydantic.TypeAdapter[T]
    schema: dict[str, Any]
    wraps: bool
    description: str

    def read(self, answer: Any) -> T:
        """The value of an answer. Raises InvalidInput; ``errors`` names the fields."""
        found = answer.get(VALUE) if self.wraps and isinstance(answer, dict) else answer
        try:
            return self.adapter.validate_json(serializers.dumps(found))
        except pydantic.ValidationError as error:
            raise _invalid(error, VALUE if self.wraps else "") from None

    def answer(self, value: Any) -> dict[str, Any]:
        """The answer that stands for a value. Raises InvalidInput where it is none of the type."""
        try:
            fitting = self.adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise _invalid(error, "") from None
        plain = self.adapter.dump_python(fitting, mode="json")
        return {VALUE: plain} if self.wraps else plain


def input_type(kind: Any) -> InputType[Any]:
    """What it takes to ask for a type. Raises InvalidInput where it has no JSON schema."""
    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
        schema = adapter.json_schema()
    except Exception as error:  # pydantic's own errors, and those of hooks that types bring along
        first = str(error).strip().splitlines()[0]
        raise InvalidInput(f"{name_of(kind)} cannot be asked for, since it has no JSON schema: {first}") from None
    if is_object(kind):
        return InputType(adapter, _in_order(_flat(schema)), False, _description(kind))
    inner = {"title": "Answer", **{key: value for key, value in schema.items() if key != "$defs"}}
    whole: dict[str, Any] = {"type": "object", "properties": {VALUE: inner}, "required": [VALUE]}
    if "$defs" in schema:
        whole["$defs"] = schema["$defs"]
    return InputType(adapter, _in_order({**whole, "additionalProperties": False}), True, "")


def is_object(kind: Any) -> bool:
    """Whether a type has fields of its own: a pydantic model, a dataclass or a typed dict."""
    if not inspect.isclass(kind):
        return False
    is_typed_dict = issubclass(kind, dict) and hasattr(kind, "__required_keys__")  # of typing or typing_extensions
    return issubclass(kind, pydantic.BaseModel) or dataclasses.is_dataclass(kind) or is_typed_dict


def key_prefix(kind: Any) -> str:
    """By which messages of a type are chosen where nobody says otherwise. Raises InvalidInput for what could be several
    types."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return key_prefix(typing.get_args(kind)[0])
    if origin is Literal:
        found = {key_prefix(type(value)) for value in typing.get_args(kind)}
        if len(found) == 1:
            return found.pop()
    if inspect.isclass(origin or kind) and (origin or kind) not in _OPEN:
        name = "none" if kind is _NONE else (origin or kind).__name__.lower()
        return re.sub(r"\W", "-", name) + "-auto"
    raise InvalidInput(f"{name_of(kind)} may be of several types: say which messages are meant by key_prefix='...'")


def plain(value: Any) -> Any:
    """A value as JSON. Raises InvalidInput where it has no such form."""
    try:
        return serializers.loads(serializers.dumps(value, default=to_jsonable_python))
    except Exception as error:  # serializers of the user's own types fail in their own ways
        raise InvalidInput(f"a {type(value).__name__} cannot be sent: it has no JSON form ({error})") from None


def name_of(kind: Any) -> str:
    """What people call a type."""
    return kind.__name__ if inspect.isclass(kind) else str(kind)


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that is a reference (a type that holds itself), with its own fields at the top."""
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    return {**schema["$defs"][reference.removeprefix("#/$defs/")], "$defs": schema["$defs"]}


def _in_order(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with places for its fields: where it is kept, their order is not."""
    for node in (schema, *schema.get("$defs", {}).values()):
        for position, field in enumerate(node.get("properties", {}).values()):
            field["position"] = position
    return schema


def _description(kind: type) -> str:
    told = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    made_up = dataclasses.is_dataclass(kind) and told.startswith(f"{kind.__name__}(")
    return "" if made_up else told


def _invalid(error: pydantic.ValidationError, root: str) -> InvalidInput:
    errors: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join([*([root] if root else []), *(str(part) for part in problem["loc"])])
        errors.setdefault(place, []).append(problem["msg"])
    field, texts = next(iter(errors.items()))
    return InvalidInput(f"{field}: {texts[0]}" if field else texts[0], errors)
