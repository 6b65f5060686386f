"""A real container engine with Docker's API: Debian's podman, serving on loopback, with storage of its own.

The image holds nothing but folders; programs come from this computer, by volumes that cannot be written to. So a test
needs neither a registry nor a build, and the container has the very Python, packages and code that the test runs with.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.polling import free_port, until

IMAGE = "localhost/orchestrator-test:1"

_CONTAINERS = """
[containers]
# The computer's own limits may be lower than what the engine gives by default.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = """
[storage]
driver = "vfs"
runroot = "{folder}/run"
graphroot = "{folder}/graph"
"""
_FOLDERS = ("dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var/tmp")
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    url: str
    environment: dict[str, str]

    def podman(self, *words: str) -> str:
        """Run one command of it; what it printed."""
        done = subprocess.run(["podman", *words], env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr}"
        return done.stdout


def why_not() -> str:
    """What is missing for an engine; empty: nothing."""
    if not sys.platform.startswith("linux"):
        return "containers need Linux"
    if os.geteuid() != 0:
        return "podman is used as root"
    missing = [name for name in ("podman", "runc", "conmon") if _which(name) is None]
    return f"not installed: {', '.join(missing)} (.ci/run installs them)" if missing else ""


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine with :data:`IMAGE`; all of it is gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(_CONTAINERS)
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
    environment = {
        **os.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "TMPDIR": str(folder),
    }
    found = Engine(f"tcp://127.0.0.1:{free_port()}", environment)
    (folder / "image.tar").write_bytes(image())
    found.podman("import", str(folder / "image.tar"), IMAGE)
    log = folder / "engine.log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", found.url],
            env=environment,
            cwd=folder,  # where it notes that a container ran out of memory
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: _answers(found.url) or service.poll() is not None, "the engine", log=log)
        assert service.poll() is None, log.read_text()
        yield found
    finally:
        service.terminate()
        try:
            service.wait(5)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()
        subprocess.run(["podman", "rm", "--all", "--force", "--time=0"], env=environment, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def image() -> bytes:
    """A root folder, as a tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in _FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(entry)
        for name in ("bin", "sbin", "lib", "lib64"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(entry)
        entry = tarfile.TarInfo("etc/passwd")
        entry.size, entry.mode = len(_PASSWD), 0o644
        tar.addfile(entry, io.BytesIO(_PASSWD))
    return packed.getvalue()


def volumes() -> list[str]:
    """What a container needs of this computer to run this Python, its packages and the code under test."""
    wanted = {Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), Path(os.__file__).parent}
    wanted |= {Path(entry) for entry in sys.path if entry and Path(entry).is_dir()}
    wanted |= {path.resolve() for path in wanted}
    outer = [path for path in wanted if not any(path != other and path.is_relative_to(other) for other in wanted)]
    return [f"{path}:{path}:ro" for path in sorted(outer)]


def environment() -> dict[str, str]:
    """Variables that this Python needs in a container."""
    path = os.pathsep.join(entry for entry in sys.path if entry and "site-packages" not in entry)
    return {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/libexec/podman:/usr/lib/podman:/usr/bin")


def _answers(url: str) -> bool:
    done = subprocess.run(["podman", "--url", url, "version"], capture_output=True, timeout=20)
    return done.returncode == 0
