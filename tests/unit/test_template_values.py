"""What templates stand for, asked of an API; and what of it a run, its storage and its infrastructure are given."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.documents.records import Job
from orchestrator.errors import InvalidInput
from orchestrator.interfaces import LaunchSpec
from orchestrator.masking import here
from orchestrator.running import runner
from orchestrator.settings import load
from orchestrator.stored.template_values import ApiLookup, resolved
from orchestrator.workers.agent.infrastructure import Infrastructures

from .cli.api import Api, serving

KEY = {"id": "1", "type": "secret", "name": "key", "data": {"value": "canary-4711"}, "secrets": ["value"]}
S3 = {"id": "2", "type": "s3", "name": "dev", "data": {"bucket": "flows"}, "secrets": []}
HELD = {"$block": "3", "type": "aws-credentials", "name": "main", "data": {"key": "canary-held"}}
OUTER = {"id": "4", "type": "s3", "name": "outer", "data": {"credentials": HELD}, "secrets": ["credentials/data/key"]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with serving() as served:
        monkeypatch.setenv("ORCHESTRATOR_API_URL", served.url)
        monkeypatch.setenv("ORCHESTRATOR_API_KEY", "orc_test")
        served.answers["POST blocks/secret/key/load"] = lambda *_: KEY
        served.answers["POST blocks/s3/dev/load"] = lambda *_: S3
        served.answers["POST blocks/s3/outer/load"] = lambda *_: OUTER
        served.answers["GET variables/region"] = lambda *_: {"name": "region", "value": {"zones": ["a", "b"]}}
        yield served


def job(**more: Any) -> Job:
    state = {"type": "PENDING", "name": "Pending"}
    facts = {"id": str(uuid.uuid4()), "attempt": 1, "name": "r", "flow": "f", "token": "t", "state": state}
    return Job.read({**facts, "entrypoint": "work.py:f", **more})


def test_each_block_and_variable_is_asked_for_once(api: Api) -> None:
    value = ["{{ blocks.secret.key }}", "{{ blocks.secret.key.value }}", "{{ variables.region.zones[1] }}"]
    assert resolved(value + value, Client.from_settings, "p") == ["canary-4711", "canary-4711", "b"] * 2
    assert sorted(call for call, *_ in api.asked) == ["GET variables/region", "POST blocks/secret/key/load"]


def test_nothing_is_asked_where_there_is_no_template(api: Api) -> None:
    assert resolved({"sql": "{{ column }}", "n": 1}, Client.from_settings, "p") == {"sql": "{{ column }}", "n": 1}
    assert api.asked == []


def test_secrets_are_masked_from_then_on(api: Api) -> None:
    assert resolved("{{ blocks.secret.key }}", Client.from_settings, "p") == "canary-4711"
    assert resolved("{{ blocks.s3.outer.credentials.key }}", Client.from_settings, "p") == "canary-held"
    assert "canary" not in here.text("the keys are canary-4711 and canary-held")


def test_a_block_in_a_block_is_its_fields(api: Api) -> None:
    assert resolved("{{ blocks.s3.outer.credentials }}", Client.from_settings, "p") == {"key": "canary-held"}


def test_a_field_that_was_not_saved_has_its_classs_default(api: Api) -> None:
    assert resolved("<{{ blocks.s3.dev.prefix }}>", Client.from_settings, "p") == "<>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ blocks.secret.none }}", "p.a: there is no block secret/none (any more)"),
        ("{{ blocks.s3.dev }}", "p.a: the block s3/dev is no plain value: name one of its fields, bucket"),
        ("{{ blocks.s3.dev.gone }}", "p.a: the block s3/dev has no field gone; it has "),
        ("{{ variables.none }}", "p.a: there is no variable none"),
        ("{{ env.NOT_THERE }}", "p.a: the environment variable NOT_THERE is not set"),
    ],
)
def test_what_stands_for_nothing_is_named(api: Api, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=r"^p\.a: ") as caught:
        resolved({"a": text}, Client.from_settings, "p")
    assert message in str(caught.value)


def test_the_environment_may_be_another_than_the_processs(api: Api) -> None:
    assert ApiLookup(Client.from_settings(), environment={"A": "b"}).env("A") == "b"


def test_a_run_and_its_storage_are_given_values(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECTS", str(tmp_path))
    parameters = {"token": "{{ blocks.secret.key }}", "n": 1}
    given = job(parameters=parameters, storage={"block_id": None, "path": "{{ env.PROJECTS }}/one"})
    found = runner._without_templates(given, load())
    assert found.parameters == {"token": "canary-4711", "n": 1}
    assert found.storage is not None
    assert found.storage.path == f"{tmp_path}/one"


def test_a_template_that_stands_for_nothing_fails_the_run_by_name(api: Api) -> None:
    state, result = runner.run_job(
        job(parameters={"token": "{{ blocks.secret.none }}"}),
        sink=None,  # type: ignore[arg-type] - nothing is reported before the code runs
        confirm_running=lambda: None,
        announce_timeout=lambda _: None,
    )
    assert (state.type.value, result) == ("FAILED", None)
    assert "parameters.token: there is no block secret/none" in state.message


class Host:
    """Keeps what it was to start, and what it was to mask."""

    def __init__(self) -> None:
        self.hidden: list[Any] = []

    def hide(self, values: list[Any]) -> None:
        self.hidden += values

    def start(self, spec: LaunchSpec) -> Any:
        self.spec = spec


def test_an_infrastructure_is_given_values_anew_at_each_launch(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    block_id, host = str(uuid.uuid4()), Host()
    document = {"id": block_id, "type": "process", "name": "p", "data": {"env": {}}, "secrets": []}
    api.answers[f"POST blocks/{block_id}/load"] = lambda *_: document
    overrides = {"env": {"KEY": "{{ blocks.secret.key }}", "ZONE": "{{ env.ZONE }}-{{ variables.region.zones[0] }}"}}
    given = job(infrastructure={"block_id": block_id, "overrides": overrides, "updated": None})
    launcher = Infrastructures(Client.from_settings())
    for zone in ("north", "south"):
        monkeypatch.setenv("ZONE", zone)
        launcher.launch(given, LaunchSpec(), host, lambda: True)
        assert host.spec.env["KEY"] == "canary-4711"
        assert host.spec.env["ZONE"] == f"{zone}-a"
    assert "canary-4711" in host.hidden
