"""Small things that pages are made of: durations, markdown, tables, icons, looks."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from orchestrator.ids import uuid7
from orchestrator.server.services.running.run_briefs import RunBrief
from orchestrator.states import StateType
from orchestrator.web import filters, grids, looks, prose
from orchestrator.web.icons import icon

AT = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.35, "350 ms"),
        (4.24, "4.2 s"),
        (185, "3 m 05 s"),
        (7800, "2 h 10 m"),
        (273600, "3 d 4 h"),
        (-3, "0 ms"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert filters.span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3600, "hour"), (1800, "30 minutes"), (86400, "day"), (172800, "2 days"), (1.5, "1.5 seconds")],
)
def test_intervals_use_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert filters.seconds(seconds) == text


def test_a_moment_carries_its_instant_and_its_zone() -> None:
    local = AT.astimezone(timezone(timedelta(hours=8)))
    html = filters.moment(local)
    assert 'datetime="2026-03-29T01:30:00.000Z"' in html
    assert "2026-03-29 01:30:00 UTC" in html
    assert filters.moment(None) == '<span class="text-secondary">–</span>'


def test_what_still_runs_is_sent_the_same_each_time() -> None:
    assert filters.elapsed(AT) == filters.elapsed(AT)
    assert 'data-since="2026-03-29T01:30:00.000Z"' in filters.elapsed(AT)
    assert "1 m 30 s" in filters.elapsed(AT, AT + timedelta(seconds=90))


def test_marks_are_drawn_in_proportion() -> None:
    runs = [
        RunBrief(uuid7(), "r", "COMPLETED", "Completed", AT, AT, AT + timedelta(seconds=length)) for length in (10, 100)
    ]
    most = filters.longest(runs)
    assert most == 100
    assert [filters.height(run, most) for run in runs] == [42, 100]
    assert filters.height(RunBrief(uuid7(), "r", "RUNNING", "Running", AT, AT, None), most) == 60


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", " JavaScript:alert(1)", "//host/x", None]
)
def test_only_web_addresses_become_links(address: object) -> None:
    assert not filters.is_web(address)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](vbscript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_markdown_brings_no_markup_of_its_own(text: str) -> None:
    html = prose.markdown(text)
    assert "<script" not in html
    assert "<img" not in html
    assert "<a " not in html


def test_markdown_renders_tables_and_links() -> None:
    html = prose.markdown("| a |\n| --- |\n| 1 |\n\n[x](https://example.com)")
    assert "<td>1</td>" in html
    assert '<a href="https://example.com">x</a>' in html


def test_tables_of_every_shape() -> None:
    rows = grids.table([{"name": "BER", "late": 3}, {"name": "FRA", "extra": None}])
    assert rows.columns == ["name", "late", "extra"]
    assert rows.numeric == {"late"}
    assert rows.rows[1] == [("name", "FRA"), ("late", ""), ("extra", "")]
    assert grids.table({"a": [1, 2], "b": ["x"]}).rows == [[("a", "1"), ("b", "x")], [("a", "2"), ("b", "")]]
    assert grids.table([[1, 2]]).columns == ["1", "2"]
    assert grids.table("alone").rows == [[("value", "alone")]]
    assert grids.table([{"n": n} for n in range(250)]).more == 50


def test_every_state_has_a_look_with_an_icon() -> None:
    for kind in StateType:
        shown = looks.look(kind.value)
        assert shown.name
        assert "<path" in icon(shown.icon)
    assert looks.look("SCHEDULED", "Late").css == "late"
    assert looks.look("FAILED", "TimedOut") == looks.Look("failed", "circle-x", "TimedOut")
    assert set(looks.ORDER) == {kind.value for kind in StateType}
