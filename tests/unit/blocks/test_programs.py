"""Programs as jobs: what they print, how they end, and what they are told of accounts."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.programs import Program, ProgramRun, find_program, scratch_folder
from orchestrator.blocks.programs.accounts import DBT_PASSWORD, PASSWORD, dbt_output, soda_source
from orchestrator.blocks.programs.checks import judged
from orchestrator.blocks.soda import Soda
from orchestrator.errors import BlockError, InvalidInput, JobFailed

CANARY = "canary-of-the-account"


def account(dialect: str) -> DatabaseCredentials:
    return DatabaseCredentials(dialect=dialect, host="db", database="shop", username="etl", password=CANARY)


def python(statements: str, **facts: Any) -> Program:
    return Program("python", [sys.executable, "-c", statements], **facts)


def test_what_is_printed_is_logged_and_masked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "orchestrator.blocks.python")
    statements = "import os, sys; print('as', os.environ['P'], flush=True); print('bad', file=sys.stderr); sys.exit(3)"
    program = python(statements, env={"P": CANARY}, secrets=[CANARY])
    assert ProgramRun(program, lambda code, lines: (code, lines)).result() == (3, "as ********\nbad")
    assert caplog.messages == ["as ********", "bad"]


def test_a_run_can_be_waited_for_and_stopped() -> None:
    run = ProgramRun(python("import time; time.sleep(60)"), lambda code, _: code)
    with pytest.raises(TimeoutError, match="not done after"):
        run.wait(0.01)
    os.kill(int(run.identifier), 0)
    run.stop()
    assert run.result() < 0


def test_a_run_that_takes_too_long_is_ended() -> None:
    run = ProgramRun(python("import time; time.sleep(60)", timeout=0.2), lambda code, _: code)
    with pytest.raises(JobFailed, match=r"took longer than 0\.2 s"):
        run.result()


def test_the_scratch_folder_goes_with_the_run() -> None:
    scratch = scratch_folder()
    assert scratch.stat().st_mode & 0o077 == 0
    run = ProgramRun(python("", scratch=scratch), lambda *_: scratch.exists())
    assert run.result() is True
    assert not scratch.exists()


def test_a_program_is_found_by_name_path_or_environment(tmp_path: Path) -> None:
    made = tmp_path / "bin" / "checker"
    made.parent.mkdir()
    made.write_text("#!/bin/sh\n")
    with pytest.raises(BlockError, match=r"no program .*pip install the-checker"):
        find_program(str(made), "checker", "the-checker")
    made.chmod(0o755)
    assert find_program(str(tmp_path), "checker", "") == find_program(str(made), "checker", "") == str(made)
    assert find_program("sh", "sh", "").endswith("/sh")
    with pytest.raises(BlockError, match="cannot be started"):
        ProgramRun(Program("x", ["/dev/null"]), lambda *_: None)


@pytest.mark.parametrize(
    ("dialect", "kind"), [("postgresql", "postgres"), ("mysql", "mysql"), ("redshift+psycopg2", "redshift")]
)
def test_accounts_reach_programs_without_their_passwords(dialect: str, kind: str) -> None:
    for made, variable in (
        (dbt_output(account(dialect), "s", 2), DBT_PASSWORD),
        (soda_source(account(dialect), "s"), PASSWORD),
    ):
        assert made["type"] == kind
        assert made["schema"] == "s"
        assert variable in made["password"]
        assert CANARY not in str(made)


def test_other_databases_need_a_file_of_their_own() -> None:
    file = DatabaseCredentials(dialect="sqlite", database="/srv/x")
    with pytest.raises(InvalidInput, match="profiles_dir"):
        dbt_output(file, "s", 1)
    with pytest.raises(InvalidInput, match="configuration_file"):
        soda_source(file, None)


def test_failed_checks_fail_unless_asked_not_to() -> None:
    checks = [{"name": f"c{number}", "table": "t", "outcome": "failed"} for number in range(5)]
    checks.append({"name": "fine", "table": "t", "outcome": "passed"})
    with pytest.raises(JobFailed, match=r"Soda: 5 of 6 checks failed: c0 \(t\); c1 \(t\); c2 \(t\) and 2 more"):
        judged("Soda", checks, fail=True)
    found = judged("Soda", checks, fail=False)
    assert (len(found["failed"]), found["passed"], found["warned"]) == (5, [{"name": "fine", "table": "t"}], [])


def test_what_is_no_scan_is_refused() -> None:
    for values, said in [
        ({}, "either checks or checks_file"),
        ({"checks": "a: [1"}, "line 1 is no YAML"),
        ({"checks": "just text"}, "checks for TABLE"),
        ({"checks": "checks for x: []"}, "either credentials or configuration_file"),
    ]:
        with pytest.raises(ValueError, match=said):
            Soda(**values)
