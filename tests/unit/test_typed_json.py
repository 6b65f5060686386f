"""JSON that gives back exactly what it was made of."""

from __future__ import annotations

import enum
import math
import threading
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import serializers
from orchestrator.errors import InvalidInput
from orchestrator.values import typed_json
from orchestrator.values.typed_json import NotExact

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Order:
    number: int
    items: tuple[str, ...] = ()


class Table(pydantic.BaseModel):
    name: str
    rows: set[int] = set()


class Sealed(pydantic.BaseModel):
    _secret: int = pydantic.PrivateAttr(default=3)
    password: pydantic.SecretStr = pydantic.SecretStr("x")


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS, st.binary(max_size=8), st.uuids(),
    st.dates(), st.times(), st.datetimes(), st.datetimes(timezones=st.just(timezone.utc)), st.timedeltas(),
    st.decimals(allow_nan=False), st.sampled_from(Colour), st.complex_numbers(allow_nan=False),
)  # fmt: skip
KEYS = st.one_of(TEXTS, st.integers(), st.dates(), st.tuples(st.integers(), TEXTS))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(st.sampled_from(["$tuple", "$", "$x"]), inner, max_size=1),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Order, st.integers(), st.lists(TEXTS, max_size=3).map(tuple)),
        st.builds(Table, name=TEXTS),
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Equal through and through, types included."""
    return (type(left) is type(right) and left == right and repr(left) == repr(right)) or _unordered(left, right)


def _unordered(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, (set, frozenset)):
        return bool(left == right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return isinstance(left, (Order, Table)) and left == right


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert same(typed_json.read(typed_json.write(value)), value)


@given(VALUES)
def test_plain_values_are_their_own_form(value: Any) -> None:
    if typed_json.is_plain(value):
        assert typed_json.write(value) == serializers.dumps(value)
        assert same(serializers.loads(serializers.dumps(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"), -math.inf, 2**64, -(2**63) - 1, range(1, 9, 2), bytearray(b"\x00"), Path("a/b"),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))), time(3, tzinfo=timezone.utc),
        Table(name="t", rows={3, 1}), uuid.UUID(int=5), date(2026, 1, 1), Decimal("1.50"),
    ],
)  # fmt: skip
def test_single_values(value: Any) -> None:
    found = typed_json.read(typed_json.write(value))
    assert (found, type(found)) == (value, type(value))
    if isinstance(value, datetime):
        assert found.utcoffset() == value.utcoffset()


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(typed_json.read(typed_json.write(float("nan"))))


def test_a_model_knows_what_was_set() -> None:
    found = typed_json.read(typed_json.write(Table(name="t")))
    assert found.model_fields_set == {"name"}


class Local:
    pass


@pytest.mark.parametrize(
    "value",
    [object(), Local(), threading.Lock(), OrderedDict(), [1, {2: threading}], "\ud800", Sealed(), lambda: 1],
)
def test_what_has_no_form_says_so(value: Any) -> None:
    with pytest.raises(NotExact):
        typed_json.write(value)


def test_classes_that_cannot_be_found_have_no_form() -> None:
    @dataclass
    class Inner:
        number: int

    with pytest.raises(NotExact, match="not found by its name"):
        typed_json.write(Inner(1))


def test_what_holds_itself_has_no_form() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    with pytest.raises(NotExact):
        typed_json.write(endless)


@pytest.mark.parametrize(
    "form",
    [
        {"$dataclass": {"of": "os:system", "fields": {}}},
        {"$dataclass": {"of": "subprocess:Popen", "fields": {}}},
        {"$dataclass": {"of": f"{__name__}:Order", "fields": {"number": 1}}},
        {"$dataclass": {"of": f"{__name__}:Order", "fields": {"number": 1, "items": [], "more": 1}}},
        {"$enum": {"of": f"{__name__}:Colour", "name": "BLUE"}},
        {"$model": {"of": f"{__name__}:Order", "fields": {}}},
        {"$namedtuple": {"of": "nowhere:Point", "items": []}},
        {"$what": 1},
        {"$uuid": "x"},
    ],
)
def test_forms_that_fit_nothing_are_refused(form: Any) -> None:
    with pytest.raises(InvalidInput):
        typed_json.decode(form)
