"""A failed check of data holds its database: runs that use it wait and say why, the next success lets them go."""

from __future__ import annotations

from pathlib import Path

from ..polling import until
from ..stack import Stack
from ..standins import programs
from ..stories import deploy, new_name, save, start

CHECKS = """(block: str, database: str) -> list:
    from orchestrator import emit_event
    from orchestrator.blocks.soda import Soda

    failed = [check["name"] for check in Soda.load(block).trigger(fail=False).result()["failed"]]
    emit_event("quality.failed" if failed else "quality.passed", database, payload={"checks": failed})
    return failed
"""
USES = """(block: str) -> int:
    from orchestrator.blocks.sql_database import SQLDatabase

    return len(SQLDatabase.load(block).fetch("SELECT * FROM raw.orders"))
"""


def test_a_failed_check_holds_a_database_until_the_next_success(stack: Stack, tmp_path: Path) -> None:
    venv, name = programs.soda(), new_name("quality")
    database = programs.orders_file(venv, tmp_path / "shop.duckdb")
    account = save(stack, f"database-credentials/{name}", dialect="duckdb", database=str(database))
    save(stack, f"sql-database/{name}", credentials=account)
    save(
        stack, f"soda/{name}", credentials=account, schema_name="raw", executable=str(venv),
        checks="checks for orders:\n  - missing_count(price) = 0\n",
    )  # fmt: skip
    deploy(stack, tmp_path / "checks", f"{name}-checks", CHECKS)
    deploy(stack, tmp_path / "uses", f"{name}-uses", USES)
    with stack.agent(f"{name}-checks", f"{name}-uses", "default"):
        first = stack.wait_for_run(start(stack, f"{name}-uses", block=name), 120)
        assert first["state"]["type"] == "COMPLETED", first["state"]["message"]
        looked = stack.cli("block", "discover", f"sql-database/{name}")
        assert looked.returncode == 0, looked.stderr
        [found] = [*stack.client.pages("resources", {"source": f"sql-database/{name}", "kind": "sql.database"})]
        stack.client.post("triggers", gate(name, found["id"]))

        check = {"block": name, "database": found["id"]}
        assert stack.wait_for_run(start(stack, f"{name}-checks", **check), 120)["state"]["type"] == "COMPLETED"
        [hold] = until(lambda: holds_on(stack, found["id"]), "the hold", 90)
        assert {item["name"] for item in hold["deployments"]} >= {f"job/{name}-uses"}
        waits = start(stack, f"{name}-uses", block=name)

        def reason() -> dict[str, str]:
            told: dict[str, str] = stack.client.get(f"flow-runs/{waits}")["waiting_reason"] or {}
            return told if told.get("code") == "held" else {}

        why = until(reason, "the reason", 60)["message"]
        assert found["id"] in why
        assert "missing_count(price) = 0" in why

        programs.python(
            venv, f"import duckdb\nduckdb.connect({str(database)!r}).execute('UPDATE raw.orders SET price = 1')"
        )
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
