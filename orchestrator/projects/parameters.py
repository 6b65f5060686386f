"""Parameters that a document gives, held against the signature of its flow."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from typing import Any

import jsonschema

from ..documents import templates


def parameter_problems(values: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with given parameters, by name. One that is not given is not missed: a run may add it; and what
    templates stand for is only known when a run starts.
    """
    properties = schema.get("properties", {})
    if not schema:
        return {}
    found = {}
    for name, value in values.items():
        if name not in properties:
            if schema.get("additionalProperties") in (None, False):
                near = difflib.get_close_matches(name, properties, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(properties) or 'none'}"
                found[name] = f"is no parameter of the flow; {hint}"
            continue
        if templates.holds_template(value):
            continue
        part = {**properties[name], **{key: schema[key] for key in ("$defs", "definitions") if key in schema}}
        with contextlib.suppress(jsonschema.SchemaError):
            error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(part).iter_errors(value))
            if error is not None:
                found[name] = f"does not fit the flow's signature: {error.message}"
    return found
