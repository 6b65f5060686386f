"""Checking a run's parameters against the JSON schema that its deployment keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from ... import serializers
from ...documents.templates import without_templates
from ...errors import ParameterError

#: No schema may have us fetch another one.
NO_FETCHING: Registry[Any] = Registry()
#: How many compiled schemas a process keeps.
_KEPT = 512


def check(schema: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Check parameters by name, presence and type; an empty schema takes anything. What templates stand for, only the
    run's own process learns, and checks.

    Raises:
        ParameterError: ``errors`` maps each parameter that does not fit to what is wrong with it.
    """
    if not schema:
        return
    errors: dict[str, list[str]] = {}
    known = list(schema.get("properties", {}))
    if not _takes_more(schema):
        for name in [name for name in parameters if name not in known]:
            errors[name] = [f"is no parameter of the flow, which has {', '.join(known) or 'none'}"]
    for name in [name for name in schema.get("required", ()) if name not in parameters]:
        errors[name] = ["is missing and has no default"]
    for error in _violations(schema, without_templates(parameters)):
        if error.absolute_path:
            errors.setdefault(str(error.absolute_path[0]), []).append(_explain(error))
    if errors:
        first = next(iter(errors))
        raise ParameterError(f"parameter {first}: {errors[first][0]}", dict(errors))


def _takes_more(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties", False) not in (False, None)


def _violations(schema: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterable[ValidationError]:
    try:
        return list(_validator(serializers.text(schema)).iter_errors(dict(parameters)))
    except SchemaError as error:
        raise ParameterError(f"the deployment's parameter_schema is no JSON schema: {error.message}") from None
    except Unresolvable as error:
        raise ParameterError(f"the deployment's parameter_schema refers to {error.ref}, which is not in it") from None


@lru_cache(_KEPT)
def _validator(schema: str) -> Draft202012Validator:
    decoded = serializers.loads(schema)
    Draft202012Validator.check_schema(decoded)
    return Draft202012Validator(decoded, registry=NO_FETCHING)


def _explain(error: ValidationError) -> str:
    inside = ".".join(str(part) for part in list(error.absolute_path)[1:])
    best = min(error.context, key=lambda item: len(item.message)) if error.context else error
    return f"{inside}: {best.message}" if inside else best.message
