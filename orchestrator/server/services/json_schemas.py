"""JSON schemas that come from outside, and values checked against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from ...errors import InvalidInput, ParameterError
from . import parameters as parameter_rules

_REFERENCES = ("$ref", "$dynamicRef")


def check_schema(schema: Mapping[str, Any], field: str) -> None:
    """Raise InvalidInput when ``schema`` is no JSON schema, or refers to something outside of itself."""
    problem = None
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        problem = f"Is no JSON schema: {error.message} (at {error.json_path})."
    outside = None if problem else next(_references_outside(schema), None)
    if outside is not None:
        problem = f"Refers to {outside}; only references into the schema itself, #/..., can be followed."
    if problem is not None:
        raise InvalidInput(f"{field}: {problem}", {field: [problem]})


def parameter_problems(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with values for some of a flow's parameters, by name; required ones may still be missing."""
    try:
        parameter_rules.check({key: value for key, value in schema.items() if key != "required"}, values)
    except ParameterError as error:
        return error.errors
    return {}


def problems(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What ``schema`` finds wrong with an object, by dotted field path. Values are not repeated: one may be secret."""
    found: dict[str, list[str]] = {}
    validator = Draft202012Validator(dict(schema), registry=parameter_rules.NO_FETCHING)
    try:
        for error in validator.iter_errors(dict(values)):
            for path, message in _places(error):
                found.setdefault(path, []).append(message)
    except Unresolvable as error:
        found["schema"] = [f"Refers to {error.ref}, which is not in it."]
    return found


def _places(error: ValidationError) -> list[tuple[str, str]]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, dict):
        wanted_names: Any = error.validator_value
        missing = [name for name in wanted_names if name not in error.instance]
        return [(f"{path}.{name}" if path else name, "Is required.") for name in missing]
    wanted = error.validator_value if isinstance(error.validator_value, (str, int, float, list)) else "what it must"
    if error.validator == "type":
        return [(path, f"Must be of type {wanted}.")]
    if error.validator in ("enum", "const"):
        return [(path, f"Must be one of {wanted}.")]
    return [(path, f"Does not fit: {error.validator} {wanted}.")]


def _references_outside(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
                yield value
            yield from _references_outside(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references_outside(item)
