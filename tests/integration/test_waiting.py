"""Each waiting run has a reason."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from orchestrator.clock import now
from orchestrator.errors import NotFound
from orchestrator.server.db import session as db
from orchestrator.server.services import claims, runs, waiting
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


@pytest.mark.parametrize(
    ("code", "change", "told"),
    [
        ("any-moment", "SELECT 1", "in a moment"),
        ("not-due", "UPDATE flow_run SET due = due + interval '1 hour'", "It is due at "),
        ("deployment-paused", "UPDATE deployment SET paused = true", "Deployment prod is paused"),
        ("queue-paused", "UPDATE work_queue SET paused = true", "Work queue q is paused"),
        ("queue-full", "UPDATE work_queue SET concurrency_limit = 0", "0 of at most 0"),
        ("no-agent", "DELETE FROM agent", "orchestrator agent start -q q"),
        ("no-agent", "UPDATE agent SET stopped = now()", "No agent serves work queue q"),
        ("agents-offline", "UPDATE agent SET last_heartbeat = now() - interval '1 hour'", "are offline"),
        ("no-deployment", "DELETE FROM deployment", "was deleted"),
        ("not-queued", "UPDATE flow_run SET work_queue_id = NULL", "started by hand"),
    ],
)
def test_the_reason_of_a_waiting_run(code: str, change: str, told: str) -> None:
    with db.transaction() as session:
        run, _ = add_run(session, add_deployment(session), NOW), add_agent(session)
        session.execute(text(change))
        reason = waiting.why(session, run.id, NOW + timedelta(seconds=1))
    assert reason is not None
    assert reason.code == code
    assert told in reason.message


def test_agents_without_a_free_slot_are_busy() -> None:
    with db.transaction() as session:
        deployment, agent = add_deployment(session), add_agent(session)
        agent.slots = 1
        first, second = (add_run(session, deployment, NOW - timedelta(seconds=9 - n)) for n in range(2))
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        reason = waiting.why(session, second.id, NOW)
        assert reason is not None
        assert reason.code == "agents-busy"
        assert waiting.why(session, first.id, NOW) is None
        runs.cancel(session, second.id, ANN, NOW)
        assert waiting.why(session, second.id, NOW) is None
        with pytest.raises(NotFound, match="there is no flow run"):
            waiting.why(session, uuid.uuid4(), NOW)
