"""Finding the servers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.embedded import wheels
from orchestrator.embedded.wheels import Carrier
from orchestrator.errors import Unavailable


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Darwin", "x86_64", "darwin-x86_64"),
        ("Linux", "AMD64", "linux-x86_64"),
        ("Linux", "riscv64", "linux-riscv64"),
    ],
)
def test_platform_names(system: str, machine: str, name: str) -> None:
    assert wheels.platform_name(system, machine) == name


@pytest.mark.parametrize(("carrier", "says"), [(wheels.POSTGRES, "PostgreSQL"), (wheels.REDIS, "v=")])
def test_the_installed_servers_are_found_without_importing_their_packages(
    carrier: Carrier, says: str, tmp_path: Path
) -> None:
    before = set(sys.modules)
    path, version = wheels.program(carrier, tmp_path, None)
    assert path.is_file()
    assert says in version
    assert not {name for name in set(sys.modules) - before if name.startswith(carrier.module)}


def test_a_missing_package_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    missing = Carrier("no-such-package", "no_such_package", "server", "ORCHESTRATOR_REDIS_URL", "Redis")
    with pytest.raises(Unavailable, match=r"pip install no-such-package, or set ORCHESTRATOR_REDIS_URL"):
        wheels.program(missing, tmp_path, None)


def test_a_server_that_does_not_run_here_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_carrier"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "server").write_text("not a program")
    (package / "server").chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    carrier = Carrier("a-carrier", "a_carrier", "server", "ORCHESTRATOR_DATABASE_URL", "Postgres")
    with pytest.raises(Unavailable, match="does not run on this machine: set ORCHESTRATOR_DATABASE_URL"):
        wheels.program(carrier, tmp_path / "stage", None)
