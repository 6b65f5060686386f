"""What commands print: JSON documents, tables, times, questions."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import click
import pytest

from orchestrator.cli.output import confirm, emit, fail, to_plain
from orchestrator.cli.times import INSTANT, is_instant, local_text, read_instant
from orchestrator.documents.records import Reference, State
from orchestrator.states import StateType

NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
STATE = {"type": "FAILED", "name": "TimedOut", "message": "too long", "at": "2026-01-31T12:00:00.000000Z"}


def printed(capsys: pytest.CaptureFixture[str], data: Any, output: str = "table", **options: Any) -> str:
    emit(data, output, **options)
    return capsys.readouterr().out


def test_json_is_one_document_of_everything(capsys: pytest.CaptureFixture[str]) -> None:
    identifier = uuid.uuid4()
    data = [
        {"run": Reference(identifier, "ümlaut"), "state": State(StateType.RUNNING, at=NOW), "at": NOW, "none": None}
    ]
    (row,) = json.loads(printed(capsys, data, "json", columns={"at": "At"}))
    assert row["run"] == {"id": str(identifier), "name": "ümlaut"}
    assert row["state"]["type"] == "RUNNING"
    assert row["at"] == "2026-01-31T12:00:00Z"
    assert row["none"] is None


def test_an_empty_list_is_said_on_stderr_and_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], "table", empty="No run fits.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No run fits.\n")
    assert printed(capsys, [], "json") == "[]\n"


def test_a_table_shows_the_columns_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    rows = [
        {"id": "x" * 60, "flow": {"id": "1", "name": "nightly"}, "state": STATE, "tags": ["a", "b"], "hidden": "no"}
    ]
    columns = {"id": "ID", "flow.name": "Flow", "state": "State", "tags": "Tags", "missing.deep": "Nothing"}
    out = printed(capsys, rows, columns=columns)
    head, _, row = out.splitlines()
    assert head.split() == ["ID", "Flow", "State", "Tags", "Nothing"]
    assert "x" * 60 in row
    assert "TimedOut: too long" in row
    assert "a, b" in row
    assert row.split()[-1] == "-"
    assert "hidden" not in out
    assert "\x1b" not in out


def test_markup_in_data_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[red]not red[/red]" in printed(capsys, [{"name": "[red]not red[/red]"}])


def test_facts_are_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, {"name": "duck", "paused": False, "limit": None, "facts": {"a": 1}})
    assert [line.rstrip().split(maxsplit=1) for line in out.splitlines()] == [
        ["name", "duck"],
        ["paused", "no"],
        ["limit", "-"],
        ["facts", '{"a": 1}'],
    ]


def test_values_of_other_kinds_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "text") == "text\n"
    assert printed(capsys, 3, "json") == "3\n"
    assert to_plain((1, {2: {3}})) == [1, {"2": [3]}]


def test_fail_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit) as caught:
        fail("it\ndid not work", 3)
    assert caught.value.exit_code == 3
    assert capsys.readouterr().err == "Error: it did not work\n"


def test_a_question_nobody_can_answer_needs_yes() -> None:
    confirm("Delete it?", yes=True)
    with pytest.raises(click.UsageError, match="--yes"):
        confirm("Delete it?", yes=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("-2h", NOW - timedelta(hours=2)),
        ("+30m", NOW + timedelta(minutes=30)),
        ("in 5m", NOW + timedelta(minutes=5)),
        ("2d ago", NOW - timedelta(days=2)),
        ("2026-03-28T00:00:00Z", datetime(2026, 3, 28, tzinfo=timezone.utc)),
        ("2026-03-28T01:00:00+01:00", datetime(2026, 3, 28, tzinfo=timezone.utc)),
    ],
)
def test_times_as_people_write_them(text: str, expected: datetime) -> None:
    assert read_instant(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "-soon", "12:00"])
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2026-01-31T09"):
        INSTANT.convert(text, None, None)


def test_an_instant_is_shown_with_its_zone() -> None:
    assert is_instant("2026-01-31T12:00:00.000000Z")
    assert not is_instant("2026-01-31")
    local = NOW.astimezone()
    assert local_text("2026-01-31T12:00:00Z") == f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
