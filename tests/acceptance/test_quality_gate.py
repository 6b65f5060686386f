"""A failed check of data holds its database: runs that use it wait and say why, the next success lets them go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..polling import until
from ..stack import Stack
from ..standins import programs
from ..stories import deploy, new_name, save, start

CHECKS = """(check: str, database: str) -> list:
    from orchestrator import Block, emit_event

    failed = [check["name"] for check in Block.load(check).trigger(fail=False).result()["failed"]]
    emit_event("quality.failed" if failed else "quality.passed", database, payload={"checks": failed})
    return failed
"""
USES = """(block: str) -> int:
    from orchestrator.blocks.sql_database import SQLDatabase

    return len(SQLDatabase.load(block).fetch("SELECT * FROM raw.orders"))
"""


@dataclass
class Checked:
    """A database, and a job that finds something wrong in it."""

    #: How to get into the database.
    account: dict[str, str]
    #: The block of the job.
    check: str
    #: What the job calls the check that fails.
    fails: str
    mend: Callable[[], object]


def by_soda(stack: Stack, name: str, folder: Path) -> Checked:
    """Soda looks into the database."""
    venv = programs.soda()
    database = programs.orders_file(venv, folder / "shop.duckdb")
    account = account_of(stack, name, database)
    save(
        stack, f"soda/{name}", credentials=account, schema_name="raw", executable=str(venv),
        checks="checks for orders:\n  - missing_count(price) = 0\n",
    )  # fmt: skip
    update = f"import duckdb\nduckdb.connect({str(database)!r}).execute('UPDATE raw.orders SET price = 1')"
    return Checked(account, f"soda/{name}", "missing_count(price) = 0", lambda: programs.python(venv, update))


def by_great_expectations(stack: Stack, name: str, folder: Path) -> Checked:
    """A checkpoint of Great Expectations looks at the file that goes into the database."""
    venv = programs.great_expectations()
    database = programs.orders_file(Path(sys.prefix), folder / "shop.duckdb")
    account = account_of(stack, name, database)
    project = folder / "project"
    project.mkdir()
    programs.checkpoint_project(venv, project)
    ref = f"great-expectations/{name}"
    save(stack, ref, project=str(project), checkpoint="bad", interpreter=str(venv))
    mended = "id,price\n1,2\n2,3\n"
    because = "expect_column_values_to_not_be_null price"
    return Checked(account, ref, because, lambda: (project / "data.csv").write_text(mended))


def account_of(stack: Stack, name: str, database: Path) -> dict[str, str]:
    """The block that says how to get into the database."""
    return save(stack, f"database-credentials/{name}", dialect="duckdb", database=str(database))


@pytest.mark.parametrize("checked_by", [by_soda, by_great_expectations])
def test_a_failed_check_holds_a_database_until_the_next_success(
    stack: Stack, tmp_path: Path, checked_by: Callable[[Stack, str, Path], Checked]
) -> None:
    name = new_name("quality")
    story = checked_by(stack, name, tmp_path)
    save(stack, f"sql-database/{name}", credentials=story.account)
    deploy(stack, tmp_path / "checks", f"{name}-checks", CHECKS)
    deploy(stack, tmp_path / "uses", f"{name}-uses", USES)
    with stack.agent(f"{name}-checks", f"{name}-uses", "default"):
        first = stack.wait_for_run(start(stack, f"{name}-uses", block=name), 120)
        assert first["state"]["type"] == "COMPLETED", first["state"]["message"]
        looked = stack.cli("block", "discover", f"sql-database/{name}")
        assert looked.returncode == 0, looked.stderr
        [found] = [*stack.client.pages("resources", {"source": f"sql-database/{name}", "kind": "sql.database"})]
        stack.client.post("triggers", gate(name, found["id"]))

        check = {"check": story.check, "database": found["id"]}
        assert stack.wait_for_run(start(stack, f"{name}-checks", **check), 120)["state"]["type"] == "COMPLETED"
        [hold] = until(lambda: holds_on(stack, found["id"]), "the hold", 90)
        assert {item["name"] for item in hold["deployments"]} >= {f"job/{name}-uses"}
        waits = start(stack, f"{name}-uses", block=name)

        def reason() -> dict[str, str]:
            told: dict[str, str] = stack.client.get(f"flow-runs/{waits}")["waiting_reason"] or {}
            return told if told.get("code") == "held" else {}

        why = until(reason, "the reason", 60)["message"]
        assert found["id"] in why
        assert story.fails in why

        story.mend()
        assert stack.wait_for_run(start(stack, f"{name}-checks", **check), 120)["state"]["type"] == "COMPLETED"
        assert stack.wait_for_run(waits, 120)["state"]["type"] == "COMPLETED"
    assert holds_on(stack, found["id"]) == []


def gate(name: str, database: str) -> dict[str, object]:
    """The rule."""
    resource = "{{ event.resource['resource.id'] }}"
    hold = {
        "do": "place-hold", "resource": resource, "reason": "failed: {{ event.payload.checks | join(', ') }}",
        "until_event": "quality.passed", "until_resource": resource,
    }  # fmt: skip
    return {"name": name, "when": {"expect": "quality.failed", "match": {"resource.id": database}}, "then": [hold]}


def holds_on(stack: Stack, resource: str) -> list[dict[str, object]]:
    """Holds on it that are in force."""
    return [*stack.client.pages("holds", {"in_force": True, "on": resource})]
