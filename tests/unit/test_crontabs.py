"""Crontabs with calls of pings: the shell that runs them is the judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestrator.timing import crontabs

CRONTAB = """\
# at night
MAILTO=ops@example.com
PATH = /usr/bin

5 4 * * * /usr/local/bin/backup --all
@daily\tcd /srv && env X=1 python3 report.py > /dev/null 2>&1
*/5 * * * * true; exit 3
0 0 1 * * mail -s "100\\% done" me%Hello%World
1 1 * * * long-job &
2 2 * * * echo "open
"""


def rewritten(text: str, system: bool = False, starts: bool = False) -> list[str]:
    lines = crontabs.read(text, system)
    return [*crontabs.rewrite(lines, lambda name: f"http://tower/ping/{name}", starts)]


def test_jobs_tell_their_end_and_everything_else_stays() -> None:
    curl = "curl -fsS -m 10 --retry 3 -o /dev/null http://tower/ping"
    assert rewritten(CRONTAB) == [
        "# at night",
        "MAILTO=ops@example.com",
        "PATH = /usr/bin",
        "",
        f"5 4 * * * ( /usr/local/bin/backup --all ); {curl}/backup/$?",
        f"@daily\t( cd /srv && env X=1 python3 report.py > /dev/null 2>&1 ); {curl}/report.py/$?",
        f"*/5 * * * * ( true; exit 3 ); {curl}/true/$?",
        f'0 0 1 * * ( mail -s "100\\% done" me ); {curl}/mail/$?%Hello%World',
        "# not watched: it goes to the background, so that its end is not seen",
        "1 1 * * * long-job &",
        "# not watched: its quotes do not match",
        '2 2 * * * echo "open',
    ]


def test_lines_of_the_system_name_a_user() -> None:
    [line] = rewritten("17 * * * * root run-parts /etc/cron.hourly", system=True)
    assert line.startswith("17 * * * * root ( run-parts /etc/cron.hourly ); curl")


def test_a_watched_job_is_not_watched_twice() -> None:
    once = rewritten("1 1 * * * backup")
    assert rewritten(once[0]) == ["# not watched: it calls a ping already", once[0]]


def test_names_are_told_apart() -> None:
    lines = rewritten("1 1 * * * a/job\n2 1 * * * b/job\n3 1 * * * FOO=1 timeout 30 nice -n 5 b/job x")
    assert [line.rpartition("/ping/")[2] for line in lines] == ["job/$?", "job-2/$?", "job-3/$?"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("true", 0), ("false", 1), ("exit 7", 7), ("true && (exit 4)", 4), ("sh -c 'exit 9' # because", 9),
        ("echo 'a # b' | grep -q '# b'", 0), ("test 1 = 2;", 1), ("echo a#b | grep -q b", 0), ("true || false # x", 0),
        ("kill -9 $$", 137),
    ],
)  # fmt: skip
def test_the_shell_passes_the_exit_code_on(command: str, code: int, tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nfor last; do :; done\necho "$last"\n')
    curl.chmod(0o755)
    [line] = rewritten(f"* * * * * {command}", starts=True)
    script = line.removeprefix("* * * * * ").replace("kill -9 $$", "sh -c 'kill -9 $$'")
    done = subprocess.run(["/bin/sh", "-c", f"PATH={tmp_path}:$PATH; {script}"], capture_output=True, text=True)
    start, end = done.stdout.split()
    assert start.endswith("/start")
    assert end.rpartition("/")[2] == str(code)
