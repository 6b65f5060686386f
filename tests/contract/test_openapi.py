"""The OpenAPI document: valid, and of one mind with the records that clients read."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from orchestrator.documents import records


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        json.dumps(app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict())
    )
    return found


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("record", "schema"),
    [
        (records.State, "State"),
        (records.Actor, "Actor"),
        (records.Reference, "Reference"),
        (records.FlowRun, "FlowRun"),
        (records.WaitingReason, "WaitingReason"),
        (records.TaskRun, "TaskRun"),
        (records.Storage, "JobStorage"),
        (records.Infrastructure, "JobInfrastructure"),
        (records.Results, "JobResults"),
        (records.Job, "Job"),
        (records.Registration, "Registration"),
    ],
)
def test_records_and_schemas_have_the_same_fields(
    document: dict[str, Any], record: type[records.Record], schema: str
) -> None:
    described = document["components"]["schemas"][schema]
    fields = {item.name for item in dataclasses.fields(record)}  # type: ignore[arg-type]
    assert set(described["properties"]) == fields
    assert set(described["required"]) == fields


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            name = f"{method} {path}"
            assert operation["summary"].endswith("."), name
            assert operation["tags"], name
            assert "default" in operation["responses"], name
            if path.startswith("/api/"):
                assert operation["security"] == [{"key": []}], name
                assert operation["x-roles"], name
            if method in ("put", "patch"):
                assert operation["requestBody"], name


def test_names_are_plural_nouns_with_hyphens(document: dict[str, Any]) -> None:
    for path in document["paths"]:
        assert re.fullmatch(r"/(api/v1|health|ping)(/[a-z-]+|/\{\w+\})+", path), path


def test_every_list_pages(document: dict[str, Any]) -> None:
    lists = [path for path in document["paths"] if re.fullmatch(r"/api/v1/[a-z-]+", path)]
    for path in lists:
        operation = document["paths"][path].get("get")
        if operation is not None and path not in ("/api/v1/map", "/api/v1/desk"):  # pictures, whole
            assert {"limit", "cursor"} <= {item.get("name") for item in operation["parameters"]}, path


def test_no_answer_can_hold_what_is_not_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    reference = "#/components/schemas/"
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation.get("responses", {}).values() if isinstance(operation, dict) else ():
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                if "$ref" in schema:
                    assert schemas[schema["$ref"].removeprefix(reference)]["additionalProperties"] is False
