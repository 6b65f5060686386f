"""Docker containers on a real engine (podman): what is passed on, reasons, what is left behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from orchestrator.blocks.docker_container import DockerContainer
from orchestrator.blocks.docker_registry import DockerRegistry
from orchestrator.errors import AccessDenied, BlockError, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import Elsewhere
from tests.hosting import Host, finish, spec_of
from tests.polling import free_port, until
from tests.standins import podman
from tests.standins.podman import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if missing := podman.why_not():
        pytest.skip(missing)
    with podman.engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


def block(engine: Engine, **fields: Any) -> DockerContainer:
    values: dict[str, Any] = {
        "image": podman.IMAGE,
        "pull_policy": "never",
        "docker_host": engine.url,
        "network": "host",
        "python": sys.executable,
        "volumes": podman.volumes(),
        **fields,
    }
    return DockerContainer(**values)


def launch(made: DockerContainer, program: str, host: Host | None = None) -> Elsewhere:
    return cast(Elsewhere, made.launch(spec_of(program), host or Host()))


def inspect(engine: Engine, running: Elsewhere) -> dict[str, Any]:
    (found,) = json.loads(engine.podman("inspect", running.identifier))
    return cast("dict[str, Any]", found)


def exists(engine: Engine, running: Elsewhere) -> bool:
    return running.identifier in engine.podman("ps", "--all", "--format", "{{.Names}}").split()


def test_output_code_and_environment(engine: Engine) -> None:
    program = (
        "import os, sys; print(os.environ['ORCHESTRATOR_API_KEY'], os.environ['TZ'], os.environ['ORCHESTRATOR_HOME']);"
        "print('beside', file=sys.stderr); sys.exit(7)"
    )
    host = Host()
    running = launch(block(engine, env={"TZ": "UTC"}), program, host)
    said = list(running.logs())
    code, _, reason = finish(running)
    assert b"".join(data for name, data in said if name == "stdout") == b"run_canary UTC /tmp/orchestrator\n"
    assert b"".join(data for name, data in said if name == "stderr") == b"beside\n"
    assert code == 7
    assert "exited with code 7" in reason
    assert not exists(engine, running)
    assert any("was started" in line for line in host.told)


def test_fields_reach_the_engine(engine: Engine, tmp_path: Path) -> None:
    made = block(
        engine,
        volumes=[*podman.volumes(), f"{tmp_path}:/data"],
        memory_mb=64,
        cpus=0.5,
        user="0:1",
        labels={"team": "data"},
        command_prefix=["/usr/bin/env", "PREFIXED=yes"],
        auto_remove=False,
    )
    program = "import os; open('/data/out', 'w').write(f\"{os.getgid()} {os.environ['PREFIXED']}\")"
    running = launch(made, program)
    assert finish(running)[0] == 0
    assert (tmp_path / "out").read_text() == "1 yes"
    found = inspect(engine, running)
    assert found["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert found["HostConfig"]["NanoCpus"] == 500_000_000
    labels = found["Config"]["Labels"]
    assert (labels["team"], labels["orchestrator.flow-run.attempt"]) == ("data", "2")
    assert labels["orchestrator.flow-run.name"] == "Brave Test"
    engine.podman("rm", running.identifier)


def test_memory_over_its_limit_is_named_in_the_reason(engine: Engine) -> None:
    code, _, reason = finish(launch(block(engine, memory_mb=24), "x = bytearray(200 << 20)"))
    assert code == 137
    assert "memory" in reason
    assert "24 MB" in reason


@pytest.mark.parametrize(("words", "says"), [(("kill",), "SIGKILL"), (("rm", "--force", "--time=0"), "removed")])
def test_what_befalls_a_container_is_the_reason(engine: Engine, words: tuple[str, ...], says: str) -> None:
    running = launch(block(engine), "import time; time.sleep(60)")
    engine.podman(*words, running.identifier)
    code, _, reason = finish(running)
    assert code != 0
    assert says in reason
    assert not exists(engine, running)


def test_terminate_asks_and_kill_ends(engine: Engine) -> None:
    program = "import signal, time; signal.signal(15, lambda *a: exit(5)); print('ready', flush=True); time.sleep(60)"
    running = launch(block(engine), program)
    until(lambda: "ready" in engine.podman("logs", running.identifier), "the program to begin")
    running.terminate()
    assert finish(running)[0] == 5
    running = launch(block(engine), "import time; time.sleep(60)")
    running.kill()
    assert finish(running)[0] == 137
    running.kill()  # of what has gone, nothing is left to kill


def test_an_image_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(NotFound, match="pull_policy is never"):
        launch(block(engine, image="localhost/other:1"), "pass")
    with pytest.raises(NotFound, match="has no image"):
        block(engine, image="localhost/other:1").test()
    assert "has the image" in block(engine).test()
    host = Host()
    nowhere = f"127.0.0.1:{free_port()}/flows:1"
    with pytest.raises(OrchestratorError) as raised:
        launch(block(engine, image=nowhere, pull_policy="if-not-present"), "pass", host)
    assert "\n" not in str(raised.value)
    assert host.told == [f"fetching the image {nowhere}"]
    assert "the first run fetches it" in block(engine, image=nowhere, pull_policy="always").test()


def test_a_registrys_account_goes_with_the_pull_and_into_no_message(engine: Engine) -> None:
    registry = f"127.0.0.1:{free_port()}"
    account = DockerRegistry(registry=registry, username="robot", password="canary-password")  # type: ignore[arg-type]
    assert account.auth_config()["password"] == "canary-password"
    host = Host()
    with pytest.raises(OrchestratorError) as raised:
        launch(block(engine, image=f"{registry}/flows:1", pull_policy="always", registry=account), "pass", host)
    assert "canary" not in str(raised.value) + str(host.told)
    with pytest.raises((AccessDenied, Unavailable)) as refused:
        account.client(docker_host=engine.url)
    assert "canary" not in str(refused.value)


def test_the_engines_containers_are_discovered(engine: Engine) -> None:
    running = launch(block(engine), "import time; time.sleep(60)")
    found = list(block(engine).discover())
    assert found[0].kind == "docker.engine"
    (mine,) = [item for item in found if item.name == running.identifier]
    assert (mine.kind, mine.labels["state"]) == ("docker.container", "running")
    assert {item.role for item in mine.related} == {"part-of", "executes"}
    running.kill()
    finish(running)
    assert running.identifier not in {item.name for item in block(engine).discover()}


def test_an_engine_that_is_not_there_is_named_in_a_line() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    made = DockerContainer(image="flows:1", docker_host=address)  # type: ignore[call-arg]
    with pytest.raises(Unavailable, match=address) as raised:
        made.test()
    assert "\n" not in str(raised.value)


def test_an_api_on_the_agents_own_computer_cannot_be_reached_from_a_container() -> None:
    made = DockerContainer(image="flows:1", docker_host="tcp://127.0.0.1:1")  # type: ignore[call-arg]
    with pytest.raises(BlockError, match="set api_url"):
        made.launch(spec_of("pass", api_url="http://localhost:4200"), Host())


def test_a_run_that_is_not_wanted_any_more_leaves_nothing(engine: Engine) -> None:
    host = Host()
    host.is_wanted = False
    with pytest.raises(BlockError, match="asked to stop"):
        launch(block(engine), "pass", host)
    assert engine.podman("ps", "--all", "--quiet").split() == []


@pytest.mark.parametrize("volume", ["/data", "a:b", ":/x", "/a:/b:rx"])
def test_what_is_no_volume_is_refused(volume: str) -> None:
    with pytest.raises(ValidationError, match="is no volume"):
        DockerContainer(image="flows:1", volumes=[volume])  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("image", "split"),
    [
        ("flows", ("flows", ":", "latest")),
        ("host:5000/flows", ("host:5000/flows", ":", "latest")),
        ("host:5000/flows:2", ("host:5000/flows", ":", "2")),
        ("flows@sha256:abc", ("flows", "@", "sha256:abc")),
    ],
)
def test_an_image_is_taken_apart(image: str, split: tuple[str, str, str]) -> None:
    assert DockerContainer(image=image)._split_image() == split  # type: ignore[call-arg]
