"""What a message may be, and where it lies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from orchestrator.errors import SettingsError
from orchestrator.workers.broker import make_app, run_queue


def test_messages_are_json_and_hints() -> None:
    conf = make_app("redis://127.0.0.1:6379/0").conf
    assert conf.accept_content == ["json"]
    assert conf.task_ignore_result
    assert not conf.task_acks_late
    assert conf.worker_disable_prefetch
    assert not conf.worker_enable_remote_control
    assert not conf.result_backend
    assert conf.broker_transport_options["socket_timeout"] <= 5


def test_no_other_broker() -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_REDIS_URL"):
        make_app("amqp://127.0.0.1")


def test_nothing_is_delayed_in_redis() -> None:
    """Pain 26."""
    root = Path(__file__).parents[3]
    for folder in ("workers", "orchestrator/server"):
        for file in (root / folder).rglob("*.py"):
            assert not re.search(r"\b(eta|countdown)=", file.read_text()), file


def test_a_message_leaves_one_list_and_no_other_key(redis_url: str) -> None:
    """Pain 43: no bindings, no results."""
    name = run_queue("test-broker-keys")
    with redis.Redis.from_url(redis_url) as client:
        before = set(client.keys("*"))
        make_app(redis_url, [name]).send_task("orchestrator.run", ["x"], queue=name, ignore_result=True)
        assert set(client.keys("*")) - before == {name.encode()}
        client.delete(name)
