"""Which deployments touch which resources."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy.orm import Session

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Block, BlockReference, DeploymentResource, Relation, Resource
from orchestrator.server.services.configuring import block_types, block_usage, blocks
from orchestrator.server.services.mapping.touching import deployments_touching, touched_by
from tests.server_rows import ANN, add_deployment, add_run

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def add_block(session: Session, name: str) -> Block:
    facts = {
        "slug": "store", "name": "Store", "schema": {"properties": {}, "type": "object"},
        "interfaces": ["file-system"], "import_path": "x:Store",
    }  # fmt: skip
    block_types.register(session, facts, ANN, NOW)
    return blocks.create(session, "store", {}, name=name, actor=ANN, now=NOW)


def add_resource(session: Session, key: str, block: Block | None = None, **labels: str) -> str:
    seen = {"first_seen": NOW, "last_seen": NOW, "changed": NOW}
    session.add(Resource(id=key, kind="table", name=key, labels=labels, source_block_id=block and block.id, **seen))
    session.flush()
    return key


def part_of(session: Session, part: str, whole: str) -> None:
    session.add(Relation(source=part, target=whole, role="part-of", first_seen=NOW, last_seen=NOW))
    session.flush()


def touching(session: Session, **selector: Any) -> set[uuid.UUID]:
    return set(deployments_touching(session, {name.replace("_", "."): text for name, text in selector.items()}))


def test_by_blocks_that_it_refers_to_loads_or_that_these_hold() -> None:
    with db.transaction() as session:
        lake, key, other = (add_block(session, name) for name in ("lake", "key", "other"))
        session.add(BlockReference(block_id=lake.id, field="/key", target_id=key.id))
        refers = add_deployment(session, name="refers", storage_block_id=lake.id)
        loads = add_deployment(session, name="loads")
        idle = add_deployment(session, name="idle")
        run = add_run(session, loads)
        block_usage.note_loads(session, [lake.id], Actor("run", str(run.id), "r"), NOW)
        add_resource(session, "lake://sales", lake, env="prod")
        part_of(session, "lake://sales", "lake://")
        both = {refers.id, loads.id}
        assert touching(session, resource_id=f"orchestrator.block.{lake.id}") == both
        assert touching(session, resource_id=f"orchestrator.block.{key.id}") == both
        assert touching(session, resource_id=f"orchestrator.block.{other.id}") == set()
        assert touching(session, resource_id="lake://sales") == both
        assert touching(session, resource_id="lake://sal*", env=["prod", "test"]) == both
        assert touching(session, resource_id="lake://*", env="!prod") == set()
        assert touching(session, resource_id="lake://") == both, "what it is part of"
        assert touching(session, resource_id=f"orchestrator.deployment.{idle.id}") == {idle.id}
        assert touching(session, resource_id=f"orchestrator.flow.{idle.flow_id}") == both | {idle.id}
        assert touching(session, resource_id=f"orchestrator.work-queue.{idle.work_queue_id}") == both | {idle.id}
        assert touching(session, resource_name="etl/idle", resource_kind="deployment") == {idle.id}
        assert deployments_touching(session, {}) == []
        told = set(touched_by(session, refers.id))
        assert told == {
            f"orchestrator.deployment.{refers.id}", f"orchestrator.flow.{refers.flow_id}",
            f"orchestrator.work-queue.{refers.work_queue_id}", f"orchestrator.block.{lake.id}",
            f"orchestrator.block.{key.id}", "lake://sales", "lake://",
        }  # fmt: skip
        assert touched_by(session, uuid.uuid4()) == []


def test_what_it_declares_and_what_events_tell_of_it() -> None:
    with db.transaction() as session:
        house = add_block(session, "house")
        whole, narrow, told = (add_deployment(session, name=name) for name in ("whole", "narrow", "told"))
        whole.storage_block_id = narrow.storage_block_id = house.id
        for table in ("db://a", "db://b"):
            add_resource(session, table, house)
            part_of(session, table, "db://")
        session.add(DeploymentResource(deployment_id=narrow.id, role="reads", resource_id="db://a", position=0))
        own = f"orchestrator.deployment.{told.id}"
        session.add(Relation(source=own, target="db://b", role="writes", first_seen=NOW, last_seen=NOW))
        session.flush()
        assert touching(session, resource_id="db://a") == {whole.id, narrow.id}
        assert touching(session, resource_id="db://b") == {whole.id, told.id}
        assert touching(session, resource_id="db://") == {whole.id, narrow.id, told.id}
        assert touching(session, resource_id=f"orchestrator.block.{house.id}") == {whole.id, narrow.id}
        assert {"db://a", "db://"} == {key for key in touched_by(session, narrow.id) if key.startswith("db")}
        assert {"db://b", "db://"} == {key for key in touched_by(session, told.id) if key.startswith("db")}
