"""Parameters: schema, binding, validation and what is reported of them."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pydantic
import pytest

from orchestrator.errors import ParameterError
from orchestrator.values import parameters


class Colour(enum.Enum):
    RED = "red"


class Window(pydantic.BaseModel):
    start: datetime.date
    days: int = 7


@dataclass
class Point:
    x: float
    y: float


def example(
    table: str,
    limit: int = 10,
    window: Window | None = None,
    colour: Colour = Colour.RED,
    mode: Literal["full", "delta"] = "full",
    share: Annotated[float, pydantic.Field(ge=0, le=1, description="between 0 and 1")] = 0.5,
    *,
    where: Path = Path("."),
) -> None:
    """Load a table.

    Args:
        table: Name of the table,
            with its schema.
        limit (int): Most rows.

    Returns:
        Nothing: at all.
    """


class Loader:
    def load(self, table: str, day: datetime.date) -> str:
        return f"{table} {day}"


def test_the_schema_keeps_order_types_defaults_and_descriptions() -> None:
    schema = parameters.json_schema(example)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == ["table", "limit", "window", "colour", "mode", "share", "where"]
    assert schema["required"] == ["table"]
    found = schema["properties"]
    assert found["table"]["type"] == "string"
    assert found["table"]["description"] == "Name of the table, with its schema."
    assert found["limit"] == {
        "title": "Limit", "type": "integer", "default": 10, "description": "Most rows.", "position": 1
    }  # fmt: skip
    assert found["mode"]["enum"] == ["full", "delta"]
    assert found["colour"]["default"] == "red"
    assert found["share"]["maximum"] == 1
    assert found["share"]["description"] == "between 0 and 1"
    assert "Window" in schema["$defs"]
    jsonschema.validate({"table": "a", "window": {"start": "2026-01-01"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"limit": "many"}, schema)


def test_types_without_a_schema_leave_their_parameter_open() -> None:
    def odd(lock: type(object()), other: UnknownName = NotImplemented, *rest: int, **more: str) -> None:  # type: ignore # noqa: F821
        pass

    schema = parameters.json_schema(odd)
    assert set(schema["properties"]) == {"lock", "other", "rest", "more"}
    assert schema["required"] == ["lock"]
    jsonschema.validate({"lock": 1, "other": [2]}, schema)


def test_binding_fills_defaults_and_names_what_is_missing() -> None:
    assert parameters.bind(example, ("a",), {"limit": 3})["limit"] == 3
    assert parameters.bind(example, ("a",), {})["mode"] == "full"
    with pytest.raises(ParameterError, match="table is missing") as caught:
        parameters.bind(example, (), {"limit": 3})
    assert caught.value.errors == {"table": ["is missing"]}
    with pytest.raises(ParameterError, match="colr"):
        parameters.bind(example, ("a",), {"colr": 3})


def test_validation_coerces_and_names_every_field_that_is_wrong() -> None:
    found = parameters.validate(example, {"table": "a", "limit": "5", "window": {"start": "2026-01-01"}, "where": "x"})
    assert found["limit"] == 5
    assert found["window"] == Window(start=datetime.date(2026, 1, 1))
    assert found["where"] == Path("x")
    assert found["mode"] == "full"
    wrong = {"limit": "many", "share": 2, "window": {"days": 1}, "else": 1}
    with pytest.raises(ParameterError) as caught:
        parameters.validate(example, wrong)
    assert set(caught.value.errors) == {"table", "limit", "share", "window", "else"}
    assert caught.value.errors["table"] == ["is missing"]
    assert caught.value.errors["window"] == ["start: is missing"]
    assert "\n" not in str(caught.value)


def test_names_that_pydantic_keeps_for_itself_are_fine() -> None:
    def awkward(schema: int, model_config: int, json: int, _private: int, copy: int = 1) -> None:
        pass

    given = {"schema": "1", "model_config": "2", "json": "3", "_private": "4"}
    assert parameters.validate(awkward, given) == {
        "schema": 1, "model_config": 2, "json": 3, "_private": 4, "copy": 1
    }  # fmt: skip


def test_methods_leave_self_out() -> None:
    loader = Loader()
    assert list(parameters.json_schema(loader.load)["properties"]) == ["table", "day"]
    assert parameters.validate(loader.load, {"table": "a", "day": "2026-01-02"})["day"] == datetime.date(2026, 1, 2)


def test_arguments_of_all_kinds_come_back_as_they_went() -> None:
    def every(a: int, /, b: int, *rest: int, c: int = 0, **more: int) -> Any:
        return a, b, rest, c, more

    values = parameters.bind(every, (1, 2, 3, 4), {"c": 5, "d": 6})
    args, kwargs = parameters.arguments(every, parameters.validate(every, values))
    assert every(*args, **kwargs) == (1, 2, (3, 4), 5, {"d": 6})


def test_what_is_reported_is_always_json() -> None:
    class Sour:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    found = parameters.reported(
        {"p": Point(1, 2), "w": Window(start=datetime.date(2026, 1, 1)), "o": object, "s": Sour(), "l": ["x" * 100_000]}
    )
    assert found["p"] == {"x": 1, "y": 2}
    assert found["w"] == {"start": "2026-01-01", "days": 7}
    assert found["o"] == "<class 'object'>"
    assert "repr fails" in found["s"]
    assert len(found["l"]) < 600


@dataclass
class Segment:
    begin: Point
    ends: list[Point]


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(pydantic.BaseModel):
    window: Window
    colour: Colour = Colour.RED


AWARE = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("hint", "given", "got"),
    [
        (int | str, "5", "5"),
        (int | str, 5, 5),
        (int | None, None, None),
        (int | list[int], ["1", 2], [1, 2]),
        (Annotated[int, pydantic.Field(gt=0)], "7", 7),
        (Annotated[str, pydantic.StringConstraints(strip_whitespace=True, to_upper=True)], " a ", "A"),
        (Annotated[list[Annotated[int, pydantic.Field(le=3)]], pydantic.Field(min_length=1)], ["3"], [3]),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (Literal["full", 3], 3, 3),
        (Point, {"x": "1", "y": 2}, Point(1.0, 2.0)),
        (Segment, {"begin": {"x": 1, "y": 2}, "ends": [{"x": 3, "y": 4}]}, Segment(Point(1, 2), [Point(3, 4)])),
        (Window, {"start": "2026-01-02"}, Window(start=datetime.date(2026, 1, 2))),
        (Mixed | None, {"window": {"start": "2026-01-02", "days": "3"}},
         Mixed(window=Window(start=datetime.date(2026, 1, 2), days=3))),
        (datetime.datetime, "2026-01-02T03:04:00Z", AWARE),
        (datetime.datetime, AWARE, AWARE),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (datetime.timedelta, "PT1H", datetime.timedelta(hours=1)),
        (datetime.timedelta, 90, datetime.timedelta(seconds=90)),
        (dict[str, set[int]], {"a": ["1", 1]}, {"a": {1}}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Decimal, "1.10", Decimal("1.10")),
        (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
        (bytes, b"x", b"x"),
        (Any, "as it is", "as it is"),
    ],
)  # fmt: skip
def test_values_of_all_kinds_are_coerced(hint: Any, given: Any, got: Any) -> None:
    def plain(value):  # type: ignore[no-untyped-def]
        return value

    def rest(*values, **named):  # type: ignore[no-untyped-def]
        return values, named

    plain.__annotations__ = {"value": hint}
    rest.__annotations__ = {"values": hint, "named": hint}
    found = parameters.validate(plain, {"value": given})["value"]
    assert (found, type(found)) == (got, type(got))
    found = parameters.validate(rest, parameters.bind(rest, (given, given), {"other": given}))
    assert found == {"values": (got, got), "named": {"other": got}}


@pytest.mark.parametrize(
    ("hint", "given", "told"),
    [
        (int | list[int], "x", "value"), (Annotated[int, pydantic.Field(gt=0)], 0, "greater than 0"),
        (Colour, "blue", "'red'"), (Point, {"x": 1}, "y: is missing"), (Literal["full"], "half", "'full'"),
        (Segment, {"begin": {"x": 1, "y": "a"}, "ends": []}, "begin.y"), (datetime.datetime, "tomorrow", "datetime"),
        (Window, {"start": "2026-13-01"}, "start"), (dict[str, int], {"a": "b"}, "a: "), (list[int], 5, "list"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_named(hint: Any, given: Any, told: str) -> None:
    def plain(value):  # type: ignore[no-untyped-def]
        return value

    plain.__annotations__ = {"value": hint}
    with pytest.raises(ParameterError, match="value") as refused:
        parameters.validate(plain, {"value": given})
    assert told in str(refused.value)


def test_an_iterator_is_not_used_up_to_be_reported() -> None:
    numbers = iter([1, 2])
    assert "list_iterator" in parameters.reported({"numbers": numbers, "inside": [numbers]})["numbers"]
    assert list(numbers) == [1, 2]
