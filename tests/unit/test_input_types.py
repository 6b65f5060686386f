"""Types that are asked for: their schemas, their values, and what messages of them are chosen by."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import threading
from typing import Annotated, Any, Literal

import pydantic
import pytest
from typing_extensions import TypedDict

from orchestrator.asking.input_types import input_type, key_prefix, plain
from orchestrator.asking.run_inputs import RunInput
from orchestrator.errors import InvalidInput


class Approval(RunInput):
    """Shall it be loaded?"""

    zeal: int
    approve: bool
    by: datetime.date = datetime.date(2026, 1, 31)


@dataclasses.dataclass
class Size:
    width: int
    height: int = 2


class Options(TypedDict):
    fast: bool


class Tree(pydantic.BaseModel):
    name: str
    below: list[Tree] = []


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("kind", "answer", "value"),
    [
        (Approval, {"zeal": 1, "approve": True}, Approval(zeal=1, approve=True)),
        (Size, {"width": 3}, Size(3)),
        (Options, {"fast": True}, {"fast": True}),
        (Tree, {"name": "a", "below": [{"name": "b"}]}, Tree(name="a", below=[Tree(name="b")])),
        (int, {"value": 5}, 5),
        (Literal["yes", "no"], {"value": "no"}, "no"),
        (list[int], {"value": [1, 2]}, [1, 2]),
        (str | None, {"value": None}, None),
        (Colour, {"value": "red"}, Colour.RED),
        (datetime.datetime, {"value": "2026-01-31T09:00:00Z"},
         datetime.datetime(2026, 1, 31, 9, tzinfo=datetime.timezone.utc)),
        (dict[str, int], {"value": {"a": 1}}, {"a": 1}),
    ],
)  # fmt: skip
def test_an_answer_becomes_a_value_and_back(kind: Any, answer: dict[str, Any], value: Any) -> None:
    made = input_type(kind)
    assert made.schema["type"] == "object"
    assert set(answer) <= set(made.schema["properties"])
    assert made.read(answer) == value
    assert made.read(made.answer(value)) == value


def test_fields_keep_their_order_and_say_what_they_are_for() -> None:
    made = input_type(Approval)
    assert {name: field["position"] for name, field in made.schema["properties"].items()} == {
        "zeal": 0, "approve": 1, "by": 2,
    }  # fmt: skip
    assert made.description == "Shall it be loaded?"
    assert input_type(Size).description == ""


@pytest.mark.parametrize(
    ("kind", "answer", "field"),
    [
        (Approval, {"zeal": 1}, "approve"),
        (Approval, {"zeal": 1, "approve": True, "more": 1}, "more"),
        (int, {"value": "many"}, "value"),
        (list[int], {"value": [1, "x"]}, "value.1"),
        (Literal["yes", "no"], {"value": "perhaps"}, "value"),
    ],
)
def test_what_does_not_fit_names_the_field(kind: Any, answer: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        input_type(kind).read(answer)
    assert list(refused.value.errors) == [field]


@pytest.mark.parametrize("kind", [Exception, type(threading.Lock())])
def test_what_has_no_schema_cannot_be_asked_for(kind: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be asked for"):
        input_type(kind)


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (int, "int-auto"), (str, "str-auto"), (list[int], "list-auto"), (dict, "dict-auto"), (type(None), "none-auto"),
        (Approval, "approval-auto"), (Literal["a", "b"], "str-auto"), (Annotated[int, "x"], "int-auto"),
    ],
)  # fmt: skip
def test_messages_are_chosen_by_their_type(kind: Any, prefix: str) -> None:
    assert key_prefix(kind) == prefix


@pytest.mark.parametrize("kind", [int | str, int | None, Literal[1, "a"], Any])
def test_what_could_be_several_types_needs_a_key_prefix(kind: Any) -> None:
    with pytest.raises(InvalidInput, match="key_prefix"):
        key_prefix(kind)


def test_plain_values_are_json() -> None:
    assert plain(Approval(zeal=1, approve=True)) == {"zeal": 1, "approve": True, "by": "2026-01-31"}
    assert plain({1, 2}) in ([1, 2], [2, 1])
    with pytest.raises(InvalidInput, match="has no JSON form"):
        plain(object())
