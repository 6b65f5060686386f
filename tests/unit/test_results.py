"""States that hold values and exceptions; what of a value is kept; exceptions as text."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import results
from orchestrator.errors import CancelledRun, CrashedRun, FailedRun, InvalidInput, RunError, TimedOut, UnfinishedRun
from orchestrator.results import Cancelled, Completed, Crashed, Failed, State
from orchestrator.states import TERMINAL, StateType

LOG = logging.getLogger("test-results")


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Row(BaseModel):
    n: int


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (Failed("f"), FailedRun),
        (Crashed("c"), CrashedRun),
        (Cancelled("x"), CancelledRun),
        (State(StateType.FAILED, "TimedOut", "late"), TimedOut),
    ],
)
def test_a_state_that_is_not_completed_raises_its_own_kind(state: State, error: type[Exception]) -> None:
    with pytest.raises(error, match=state.message):
        state.result()
    assert isinstance(state.result(raise_on_failure=False), error)


def test_none_is_a_value_and_a_state_without_one_gives_none() -> None:
    assert Completed(data=None).result() is None
    assert State(StateType.COMPLETED).result() is None
    assert Completed(data=3).holding(run_id="r").result() == 3


def test_what_a_state_holds_is_not_reported() -> None:
    written = Failed("f", error=ValueError("secret")).holding(value=object()).write()
    assert set(written) == {"type", "name", "message", "at", "details"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError(), "ValueError"),
        (InvalidInput("ours"), "ours"),
        (Rude(), "Rude: (its text cannot be made)"),
    ],
)
def test_exceptions_in_one_line(error: Exception, text: str) -> None:
    assert results.describe(error) == text


def test_a_very_long_traceback_is_cut_in_its_middle() -> None:
    text = results.details(ValueError("x" * 50_000 + "end"))["traceback"]
    assert len(text) < results.TRACEBACK_MAX + 100
    assert "characters left out" in text
    assert text.rstrip().endswith("end")


def keep(value: Any, most: int, persist: bool | None, folder: Path) -> dict[str, Any] | None:
    return results.keep(value, most, LOG, persist, results.Elsewhere(folder / "run.json"))


@pytest.mark.parametrize(
    ("value", "kept"), [(None, {"value": None}), ([1, "a"], {"value": [1, "a"]}), (Row(n=1), {"value": {"n": 1}})]
)
def test_small_values_with_a_json_form_are_kept(value: Any, kept: dict[str, Any], tmp_path: Path) -> None:
    assert keep(value, 100, None, tmp_path) == kept
    assert keep(value, 100, False, tmp_path) is None


def test_a_limit_counts_bytes_and_zero_keeps_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert keep("é" * 4, 10, None, tmp_path) == {"value": "é" * 4}
    assert keep("é" * 5, 10, None, tmp_path) is None
    assert "takes 12 bytes" in caplog.text
    caplog.clear()
    assert keep("x", 0, None, tmp_path) is None
    assert caplog.text == ""


def test_what_is_too_large_goes_to_a_file_when_it_shall(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert keep("x" * 20, 10, True, tmp_path / "results") is None
    assert json.loads((tmp_path / "results" / "run.json").read_text()) == "x" * 20
    (tmp_path / "file").touch()
    assert keep("x" * 20, 10, True, tmp_path / "file") is None
    assert "was not stored in" in caplog.text


def test_what_has_no_json_form_is_told_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert keep(object(), 100, True, tmp_path) is None
    assert "the result, a object, was not stored: it has no JSON form" in caplog.text


def stored(data: bytes) -> dict[str, Any]:
    return {"block": "id", "path": "results/run.json", "size": len(data)}


def refuses(data: bytes) -> dict[str, Any]:
    raise ConnectionResetError("the network is down")


@pytest.mark.parametrize(("most", "persist"), [(10, None), (10, True), (0, None)])
def test_what_is_too_large_goes_to_the_block_where_there_is_one(
    most: int, persist: bool | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    elsewhere = results.Elsewhere(tmp_path / "run.json", "s3/dev", stored)
    kept = results.keep("x" * 20, most, LOG, persist, elsewhere)
    assert kept == {"block": "id", "path": "results/run.json", "size": 22}
    assert "22 bytes, is kept in the block s3/dev as results/run.json" in caplog.text
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(("value", "most", "persist"), [("x" * 20, 10, False), ("x", 10, None), (None, 0, None)])
def test_nothing_else_goes_to_the_block(value: Any, most: int, persist: bool | None, tmp_path: Path) -> None:
    kept = results.keep(value, most, LOG, persist, results.Elsewhere(tmp_path / "run.json", "s3/dev", refuses))
    assert kept == ({"value": "x"} if value == "x" else None)


@pytest.mark.parametrize("persist", [None, True])
def test_a_block_that_takes_nothing_is_told_and_raises_nothing(
    persist: bool | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = results.Elsewhere(tmp_path / "run.json", "s3/dev", refuses)
    assert results.keep("x" * 20, 10, LOG, persist, elsewhere) is None
    assert "was not stored in the block s3/dev: ConnectionResetError: the network is down" in caplog.text
    assert (tmp_path / "run.json").exists() is bool(persist)


@pytest.mark.parametrize("kind", list(StateType))
def test_states_are_asked_what_they_are(kind: StateType) -> None:
    state = State(kind, "Any name")
    asked = {one: getattr(state, f"is_{one.value.lower()}")() for one in StateType}
    assert [one for one, answer in asked.items() if answer] == [kind]
    assert state.is_final() is (kind in TERMINAL)
    if not state.is_final():
        with pytest.raises(UnfinishedRun, match="Any name"):
            state.result(raise_on_failure=False)


@pytest.mark.parametrize("make", [Failed, Crashed, Cancelled])
def test_what_ended_badly_holds_an_exception_or_data(make: Any) -> None:
    error = ValueError("no")
    for state in (make("m", error=error), make("m", data=error)):
        assert state.result(raise_on_failure=False) is error
        with pytest.raises(ValueError, match="no"):
            state.result()
    state = make("m", name="Poor", data={"share": 0.4})
    assert (state.name, state.result(raise_on_failure=False)) == ("Poor", {"share": 0.4})
    with pytest.raises(RunError, match="m"):
        state.result()


def test_a_state_anew_belongs_to_no_run() -> None:
    state = Completed("m", name="Fine", data=[1]).holding(run_id="r")
    again = state.anew()
    assert (again.name, again.message, again.run_id, again.result()) == ("Fine", "m", "", [1])
    assert again.at >= state.at
    error = ValueError("no")
    assert Failed("f", error=error).anew().result(raise_on_failure=False) is error


def test_an_iterator_is_not_used_up_to_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    for value in (iter([1, 2]), [iter([1, 2])], {"a": (number for number in [1, 2])}):
        with caplog.at_level(logging.WARNING):
            assert results.keep(value, 4096, LOG, None, results.Elsewhere(Path("nowhere"))) is None
        assert "was not stored" in caplog.text
        caplog.clear()
        inner: Any = value["a"] if isinstance(value, dict) else value[0] if isinstance(value, list) else value
        assert list(inner) == [1, 2]
