"""What every job promises, held against each kind with the real program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.block import Block
from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.dbt_project import DbtProject
from orchestrator.blocks.great_expectations import GreatExpectations
from orchestrator.blocks.soda import Soda
from orchestrator.errors import BlockError, InvalidInput, JobFailed
from orchestrator.interfaces import Job

from ..standins import programs


@dataclass
class Case:
    """One kind: a job, and what makes it work and fail."""

    job: Job
    works: dict[str, Any]
    fails: dict[str, Any]
    #: What the message of the failure names.
    cause: str
    #: The same job, with a program that is not there.
    without: Job
    failing: Job | None = None


def dbt_case(folder: Path) -> Case:
    venv = programs.dbt()
    account = DatabaseCredentials(dialect="duckdb", database=str(programs.orders_file(venv, folder / "shop.duckdb")))
    project = programs.dbt_project(folder / "project")
    job = DbtProject(project=str(project), credentials=account, target_schema="main", executable=str(venv))
    without = job.model_copy(update={"executable": str(folder / "nowhere")})
    return Case(job, {}, {"vars": {"strict": True}}, "not_null_prices_price", without)


def soda_case(folder: Path) -> Case:
    venv = programs.soda()
    account = DatabaseCredentials(dialect="duckdb", database=str(programs.orders_file(venv, folder / "shop.duckdb")))
    checks = "checks for orders:\n  - row_count > ${least}\n"
    job = Soda(checks=checks, credentials=account, schema_name="raw", executable=str(venv))
    without = job.model_copy(update={"executable": str(folder / "nowhere")})
    return Case(job, {"variables": {"least": 1}}, {"variables": {"least": 5}}, "row_count > 5", without)


def great_expectations_case(folder: Path) -> Case:
    venv = programs.great_expectations()
    project = programs.checkpoint_project(venv, folder)
    job = GreatExpectations(project=str(project), checkpoint="good", interpreter=str(venv))
    without = job.model_copy(update={"interpreter": str(folder / "nowhere")})
    bad = job.model_copy(update={"checkpoint": "bad"})
    return Case(job, {}, {}, "expect_column_values_to_not_be_null price", without, bad)


CASES: list[Callable[[Path], Case]] = [dbt_case, soda_case, great_expectations_case]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__.removesuffix("_case"))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    made: Case = request.param(tmp_path_factory.mktemp("job"))
    return made


def test_a_job_is_triggered_waited_for_and_asked(case: Case) -> None:
    run = case.job.trigger(**case.works)
    assert run.identifier
    with pytest.raises(TimeoutError):
        run.wait(0.0)
    run.wait(120)
    run.wait(0.0)
    assert run.result() is not None
    assert run.result() is run.result()


def test_a_job_that_fails_says_why_in_one_line(case: Case) -> None:
    run = (case.failing or case.job).trigger(**case.fails)
    run.wait(120)
    for _ in range(2):
        with pytest.raises(JobFailed) as caught:
            run.result()
    assert case.cause in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_a_job_does_not_take_is_refused(case: Case) -> None:
    with pytest.raises(InvalidInput, match="nonsense"):
        case.job.trigger(nonsense=1)


def test_a_program_that_is_not_there_is_named(case: Case) -> None:
    with pytest.raises(BlockError, match="nowhere"):
        case.without.trigger(**case.works)


def test_the_test_tries_it_for_real(case: Case) -> None:
    assert isinstance(case.job, Block)
    assert len(case.job.test().splitlines()) == 1
