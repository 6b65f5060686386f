"""A run in a container learns what is secret in the environment that its infrastructure made."""

from __future__ import annotations

import uuid
from typing import Any, cast

from orchestrator.clock import now
from orchestrator.documents.records import Infrastructure, Job, State
from orchestrator.settings import Settings
from orchestrator.states import StateType
from orchestrator.workers.agent.supervision import Supervision
from orchestrator.workers.remote import Remote

from ..cli.api import serving


class Hidden:
    """Takes what is to be masked."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def hide(self, values: list[Any]) -> None:
        self.values += values


def hidden(answers: dict[str, Any], infrastructure: Infrastructure) -> list[Any]:
    job = Job(uuid.uuid4(), 1, "r", "f", State(StateType.RUNNING), "a.py:f", "", infrastructure=infrastructure)
    taken = Hidden()
    with serving() as api:
        api.answers.update(answers)
        remote = Remote(Settings(api_url=api.url, api_key="run"), job.id, 1)
        remote._hide_secrets(job, cast(Supervision, taken))
    return taken.values


def test_secrets_of_the_block_and_of_templates_over_it_are_hidden() -> None:
    block = uuid.uuid4()
    answers = {
        f"POST blocks/{block}/load": {"id": str(block), "type": "box", "data": {"env": {"A": "a"}}, "secrets": ["env"]},
        "POST blocks/secret/bird/load": {"id": None, "type": "secret", "data": {"value": "b"}, "secrets": ["value"]},
    }
    overrides = {"env": {"TOKEN": "{{ blocks.secret.bird }}"}}
    assert hidden(answers, Infrastructure(block, overrides, now())) == [{"A": "a"}, "b"]


def test_without_a_block_nothing_is_asked_and_one_that_is_gone_stops_nothing() -> None:
    assert hidden({}, Infrastructure()) == []
    assert hidden({}, Infrastructure(uuid.uuid4(), {}, now())) == []
