"""Errands in their own process: kinds that only their module knows, and looks through blocks."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import block
from orchestrator.errors import BlockError, Unavailable
from orchestrator.interfaces import Discoverable, Observed, Related, Resource
from orchestrator.kinds import block_kinds
from orchestrator.running import discovering, errands
from orchestrator.running.discovering import Look

KIND = """
from orchestrator import Block

class TeamThing(Block):
    \"\"\"A thing of the team.\"\"\"
    size: int

    def test(self) -> str:
        return f"its size is {self.size}"
"""


class Store:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def load(self, ref: str) -> dict[str, Any]:
        return self.document


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    name = f"kinds_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(KIND)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield {
        "id": str(uuid.uuid4()), "type": "team-thing", "name": "a", "data": {"size": 3},
        "import_path": f"{name}:TeamThing",
    }  # fmt: skip
    sys.modules.pop(name, None)
    block_kinds.classes.pop("team-thing", None)


def test_a_kind_of_a_team_is_imported_from_where_it_was_registered(document: dict[str, Any]) -> None:
    with block.use_store(Store(document)):  # type: ignore[arg-type]
        assert errands.test_block.fn(document["id"]) == "its size is 3"


def test_a_kind_that_is_not_on_the_agent_is_named(document: dict[str, Any]) -> None:
    missing = {**document, "import_path": "nowhere.at.all:TeamThing"}
    with block.use_store(Store(missing)), pytest.raises(BlockError, match=r"nowhere\.at\.all"):  # type: ignore[arg-type]
        errands.load(document["id"])


class Server:
    """What a look talks to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.cursor: Any = {"at": 1}

    def get(self, path: str) -> Any:
        return {"cursor": self.cursor, "is_first": False}

    def post(self, path: str, body: Any) -> Any:
        self.sent.append((path.rpartition("/")[2], body))
        return {"appeared": 0, "accepted": 0, "refused": []}

    def put(self, path: str, body: Any) -> Any:
        self.sent.append(("end", body))
        return {"vanished": 0}


class System(Discoverable):
    def __init__(self, resources: int, events: int = 0, fails: bool = False) -> None:
        self.resources, self.events, self.fails = resources, events, fails

    def discover(self) -> Iterator[Resource]:
        for number in range(self.resources):
            related = (Related("db", "part-of"),)
            yield Resource(f"t{number}", "sql.table", str(number), {"rows": 1}, related, frozenset({"rows"}))
        if self.fails:
            raise Unavailable("the database is away")

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        assert cursor == {"at": 1}
        for number in range(self.events):
            emit(Observed("sql.table.grew", Resource("t", "sql.table", "t"), key=str(number)))
        return {"at": 2}


def run(server: Server, system: System) -> dict[str, Any]:
    return Look(server, "id").run(system)  # type: ignore[arg-type]


def test_a_look_sends_in_batches_and_its_cursor_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "BATCH", 2)
    server = Server()
    assert run(server, System(3, 3)) == {"resources": 3, "events": 3, "vanished": 0, "notice": ""}
    assert [what for what, _ in server.sent] == ["resources", "resources", "events", "events", "end"]
    assert server.sent[-1][1] == {"cursor": {"at": 2}, "found": 3, "is_complete": True, "notice": ""}
    first = server.sent[0][1]["resources"][0]
    assert (first["related"], first["volatile"]) == ([{"id": "db", "role": "part-of"}], ["rows"])


def test_a_failed_look_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    with pytest.raises(Unavailable, match="away"):
        run(server, System(3, fails=True))
    assert "end" not in [what for what, _ in server.sent]


def test_a_capped_look_says_so_and_lets_nothing_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "RESOURCES_MAX", 2)
    monkeypatch.setattr(discovering, "EVENTS_MAX", 3)
    server = Server()
    found = run(server, System(5, 5))
    assert (found["resources"], found["events"]) == (2, 3)
    assert "more than the 2 resources" in found["notice"]
    assert "2 of 5 events were left out" in found["notice"]
    assert server.sent[-1][1]["is_complete"] is False


def test_a_cursor_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "CURSOR_MAX", 3)
    with pytest.raises(BlockError, match="let the block see less"):
        run(Server(), System(0))
