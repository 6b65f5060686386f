"""What a run in a container gets in its environment."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.blocks.execution import remote_environment

from ...hosting import spec_of


def test_what_the_run_needs_wins_and_settings_of_the_agent_give_way() -> None:
    spec = spec_of("pass")
    spec = replace(spec, remote_env={**spec.remote_env, "ORCHESTRATOR_RESULT_STORAGE": "s3/agent"})
    own = {"ORCHESTRATOR_API_KEY": "stolen", "TZ": "UTC"}
    found = remote_environment(spec, own, "http://api.example.com")
    assert found["ORCHESTRATOR_API_KEY"] == "run_canary"
    assert found["ORCHESTRATOR_API_URL"] == "http://api.example.com"
    assert (found["TZ"], found["ORCHESTRATOR_RESULT_STORAGE"]) == ("UTC", "s3/agent")
    own["ORCHESTRATOR_RESULT_STORAGE"] = "gcs/block"
    assert remote_environment(spec, own, "")["ORCHESTRATOR_RESULT_STORAGE"] == "gcs/block"
