"""What a user gets wrong is answered by one clear line, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.client import Client
from orchestrator.errors import AccessDenied, ApiUnreachable, InvalidInput

from ..polling import free_port, one_line
from ..projects import write_numbers
from ..stack import Stack


def test_a_broken_yaml_names_the_line(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text("name: nightly\nflow: numbers\nentrypoint: [main.py\n")
    done = stack.cli("deployment", "apply", "deployment.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "deployment.yaml:" in one_line(done.stderr)


def test_an_unknown_block_is_named(stack: Stack, tmp_path: Path) -> None:
    project = write_numbers(tmp_path / "project")
    done = stack.cli(
        "deployment", "build", "./", "--storage-block", "s3/nowhere", "-n", "x", "-o", "d.yaml", cwd=project
    )
    assert done.returncode in (1, 2)
    assert "s3/nowhere" in one_line(done.stderr)
    assert not (project / "d.yaml").exists()


def test_an_entrypoint_that_does_not_import_is_refused_at_build(stack: Stack, tmp_path: Path) -> None:
    project = write_numbers(tmp_path / "project")
    (project / "lib" / "process.py").write_text("import no_such_module_anywhere\n")
    done = stack.cli("deployment", "build", "./main.py:numbers", "--name", "x", "-o", "d.yaml", cwd=project)
    assert done.returncode == 2
    assert "no_such_module_anywhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "d.yaml").exists()


def test_a_missing_parameter_makes_no_run(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "from orchestrator import flow\n\n\n@flow\ndef needs(number: int):\n    return number\n"
    )
    built = stack.cli("deployment", "build", "./", "-n", "one", "-o", "d.yaml", "--apply", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    for words in ([], ["--param", "number=many"], ["--param", "numbr=1"]):
        done = stack.cli("deployment", "run", "needs/one", *words)
        assert done.returncode == 2
        assert "numb" in one_line(done.stderr)
    with pytest.raises(InvalidInput, match="number"):
        stack.client.post("deployments/needs/one/runs", json={"parameters": {}})
    assert stack.json("flow-run", "ls") == [] or all(
        run["flow"]["name"] != "needs" for run in stack.client.pages("flow-runs")
    )


def test_a_wrong_key_is_told(stack: Stack) -> None:
    settings = stack.client
    with pytest.raises(AccessDenied):
        Client(settings.api_url, "orc_wrong").get("flows")
    done = stack.cli("profile", "ls")
    assert done.returncode == 0


def test_no_server_is_told() -> None:
    with pytest.raises(ApiUnreachable):
        Client(f"http://127.0.0.1:{free_port()}", "orc_x").get("flows")


def test_a_second_server_on_the_same_port_is_refused(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path, stack.port)
    done = other.cli("server", "start", "--port", str(stack.port))
    assert done.returncode == 1
    assert str(stack.port) in one_line(done.stderr)
    assert not (tmp_path / "server.json").exists()
