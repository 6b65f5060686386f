"""Which triggers an event is held against at all."""

from __future__ import annotations

from typing import Any

from orchestrator import triggers
from orchestrator.triggers import Index, Seen
from orchestrator.triggers.index import _Drawer


def index_of(*conditions: dict[str, Any]) -> Index[int]:
    return Index.of((number, triggers.read_condition(when).condition) for number, when in enumerate(conditions))


def candidates(index: Index[int], name: str, resource: str = "r", *related: str) -> list[int]:
    others = [{"resource.id": item, "resource.role": "x"} for item in related]
    return sorted(index.candidates(Seen("1", name, 0, {"resource.id": resource}, others)))


def test_by_name_and_beginning() -> None:
    index = index_of({"expect": "a.b"}, {"expect": "a.*"}, {"expect": ["x", "a*c"]}, {"expect": ["*z", "x"]})
    assert candidates(index, "a.b") == [0, 1, 2, 3]
    assert candidates(index, "x") == [2, 3]
    assert candidates(index, "y") == [3]


def test_by_ids_of_the_resource_or_of_a_related_one() -> None:
    index = index_of(
        {"expect": "a", "match": {"resource.id": ["r", "s"]}},
        {"expect": "a", "match_related": {"resource.id": "t"}},
        {"expect": "a", "match": {"resource.id": "r*"}},
        {"match": {"resource.id": "r"}},
    )
    assert candidates(index, "a") == [0, 2, 3]
    assert candidates(index, "a", "s") == [0, 2]
    assert candidates(index, "a", "q", "t", "t") == [1, 2]
    assert candidates(index, "b") == [3]


def test_all_parts_of_a_condition_are_filed() -> None:
    index = index_of(
        {
            "any": [
                {"expect": "a"},
                {"all": [{"expect": "b"}, {"absent": True, "after": "c", "expect": "d", "within": 5}]},
            ]
        },
        {"absent": True, "after": "c", "match": {"env": "x"}, "within": 5},
        {"schedule": {"interval": 60}},
        {"expect": ["!a"], "match": {"env": "x"}},
    )
    assert [candidates(index, name) for name in "abcde"] == [[0, 1, 3]] * 4 + [[1, 3]]


def test_ten_thousand_others_are_not_looked_at(monkeypatch: Any) -> None:
    """By counting what is looked at: triggers of other names, and of the same name for other resources."""
    others = [{"expect": f"other.{number}"} for number in range(4000)]
    others += [{"expect": f"family{number}.*"} for number in range(2000)]
    others += [{"expect": "flow-run.failed", "match": {"resource.id": f"d{number}"}} for number in range(2000)]
    others += [{"expect": "flow-run.failed", "match_related": {"resource.id": f"d{number}"}} for number in range(2000)]
    few, many = index_of({"expect": "flow-run.failed"}), index_of({"expect": "flow-run.failed"}, *others)
    looked: list[object] = []
    real = _Drawer.of

    def counted(drawer: _Drawer[int], event: Seen) -> Any:
        looked.append(drawer)
        return real(drawer, event)

    monkeypatch.setattr(_Drawer, "of", counted)
    assert candidates(few, "flow-run.failed", "r", "q") == candidates(many, "flow-run.failed", "r", "q") == [0]
    assert len(looked) == 2
    assert len(many._lengths) <= 5
