"""Interpreters of runs: another than the agent's, and environments with what a project requires.

An environment is made once for each set of requirements, under a lock, below ``cache/environments`` of
ORCHESTRATOR_HOME; a mark, written last, says that it is whole. It is made by the run's own process, so that installing
is seen in the run's log, and ends with the run when that is cancelled.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from orchestrator.errors import BlockError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The mark of a whole environment; its time is that of the last use.
WHOLE = "orchestrator-environment.json"
#: Environments that no run used for so many seconds are removed when another is made.
IDLE_S = 30 * 86_400.0
#: Lines of a requirements file that name another file, or a folder of the project.
_INCLUDES = re.compile(r"^(?:-r|--requirement|-c|--constraint)[ =]*(\S+)")
_LOCAL = re.compile(r"^(?:-e\b|--editable\b|\.|/|file:|\S+\s*@\s*(?:\.|/|file:))")


def find_interpreter(named: str) -> Path:
    """The interpreter that a block names: its path, its virtual environment's, or a command.

    Raises:
        BlockError: There is none.
    """
    path = Path(named).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    elif os.sep not in named:
        path = Path(shutil.which(named) or named)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise BlockError(
            f"there is no interpreter {named} on this computer: correct python of the infrastructure block"
        )
    return path.absolute()


def wanted_by(project: Path) -> tuple[str, list[str]] | None:
    """What a project requires: the file that says so, and arguments for the installer; None: it says nothing.

    Raises:
        BlockError: ``pyproject.toml`` cannot be read.
    """
    if (project / "requirements.txt").is_file():
        return "requirements.txt", ["-r", "requirements.txt"]
    if not (project / "pyproject.toml").is_file():
        return None
    try:
        document = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
        needed = [str(item) for item in document.get("project", {}).get("dependencies", [])]
    except (ValueError, AttributeError, TypeError) as error:
        raise BlockError(f"pyproject.toml of the project cannot be read: {error}") from None
    return ("pyproject.toml", needed) if needed else None


def ensure(project: Path, python: Path, cache: Path) -> Path | None:
    """The interpreter of an environment with what a project requires; None when it requires nothing.

    Args:
        project: Folder with its files.
        python: The interpreter to make it with.
        cache: Where environments are kept.

    Raises:
        BlockError: It cannot be made; the installer's own words are on stderr.
    """
    wanted = wanted_by(project)
    if wanted is None:
        return None
    source, arguments = wanted
    place = cache / _key(project, python, source, arguments)
    mark = place / WHOLE
    if not mark.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f".{place.name}.lock"):
            if not mark.exists():
                _make(place, project, python, source, arguments)
        prune(cache, place.name)
    os.utime(mark)
    return place / "bin" / "python"


def prune(cache: Path, keep: str, idle_s: float = IDLE_S) -> list[str]:
    """Remove environments that were not used for long; returns their names."""
    removed = []
    for mark in cache.glob(f"*/{WHOLE}"):
        place = mark.parent
        if place.name != keep and mark.stat().st_mtime < time.time() - idle_s:
            with _locked(cache / f".{place.name}.lock"):
                mark.unlink(missing_ok=True)
                shutil.rmtree(place, ignore_errors=True)
            removed.append(place.name)
    return removed


def become(python: Path, control: int, lifeline: int | None, frame: bytes) -> NoReturn:
    """Go on as a process of ``python``: same id, same group, same pipes. The job's frame is handed over in a file."""
    handed = tempfile.TemporaryFile()  # noqa: SIM115 - open until the other program has read it
    handed.write(frame)
    handed.seek(0)
    kept = [control, handed.fileno(), *([] if lifeline is None else [lifeline])]
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    if (python.parent.parent / "pyvenv.cfg").is_file():
        os.environ["VIRTUAL_ENV"] = str(python.parent.parent)
    os.environ["PATH"] = os.pathsep.join(filter(None, [str(python.parent), os.environ.get("PATH")]))
    version = "{}.{}".format(*sys.version_info[:2])
    numbers = [str(control), str(-1 if lifeline is None else lifeline), str(handed.fileno())]
    program = str(Path(__file__).with_name("bootstrap.py"))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(python, [str(python), program, version, *numbers, *package_folders()])  # noqa: S606 - what the block names


def package_folders() -> list[str]:
    """The folders that this interpreter finds packages in, beside the standard library's."""
    standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    standard |= {os.path.join(path, "lib-dynload") for path in standard}
    found = (os.path.abspath(entry) for entry in sys.path if entry and os.path.isdir(entry))
    return [path for path in dict.fromkeys(found) if os.path.realpath(path) not in standard]


def _key(project: Path, python: Path, source: str, arguments: list[str]) -> str:
    facts = [str(python), _version(python), sys.version, *package_folders(), source, *arguments]
    digest = hashlib.sha256("\0".join(facts).encode())
    local = any(_LOCAL.match(item) for item in arguments)
    for path in _files(project, source):
        content = path.read_bytes()
        digest.update(b"\0" + content)
        local = local or any(_LOCAL.match(line.strip()) for line in content.decode("utf-8", "replace").splitlines())
    if local:
        # Part of the environment comes from the project itself; its snapshot's name stands for its content.
        digest.update(f"\0{project}".encode())
    return digest.hexdigest()[:32]


def _files(project: Path, source: str) -> list[Path]:
    """A requirements file and those that it includes."""
    found: list[Path] = []
    left = [project / source] if source == "requirements.txt" else []
    while left:
        path = left.pop()
        if path in found or not path.is_file():
            continue
        found.append(path)
        for line in path.read_text("utf-8", "replace").splitlines():
            if match := _INCLUDES.match(line.strip()):
                left.append(path.parent / match[1])
    return found


def _version(python: Path) -> str:
    if python == Path(sys.executable):
        return sys.version
    words = [str(python), "-I", "-c", "import sys; print(sys.version)"]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise BlockError(f"the interpreter {python} does not run: {error}") from None


def _make(place: Path, project: Path, python: Path, source: str, arguments: list[str]) -> None:
    """Make an environment in its own place: its programs name that place, so it cannot be made aside and moved."""
    print(f"installing what {source} requires into {place}", flush=True)
    began = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    try:
        if (uv := shutil.which("uv")) is not None:
            _call([uv, "venv", "--quiet", "--python", str(python), str(place)], project, "made")
            install = [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python")]
        else:
            _call([str(python), "-m", "venv", str(place)], project, "made")
            install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
            install.append("--disable-pip-version-check")
        _call([*install, *arguments], project, "filled")
        _lend_packages(place, python)
        facts = {"python": str(python), "source": source, "arguments": arguments}
        (place / WHOLE).write_text(json.dumps(facts))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    print(f"installed in {time.monotonic() - began:.1f} s", flush=True)


def _lend_packages(place: Path, python: Path) -> None:
    """Let the environment find the agent's packages, after its own: programs that a flow starts need them too."""
    if _version(python).split()[0].split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
        return
    for folder in place.glob("lib/python*/site-packages"):
        (folder / "zz_orchestrator.pth").write_text("\n".join(package_folders()) + "\n")


def _call(words: list[str], folder: Path, what: str) -> None:
    # What the agent's own interpreter was told is not meant for this one.
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise BlockError(f"the environment cannot be {what}: {words[0]}: {error.strerror}") from None
    if done.returncode != 0:
        tool = " ".join(words[1:3]) if words[1] == "-m" else words[0]
        raise BlockError(f"the environment cannot be {what}: {tool} exited with {done.returncode}; its words are above")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
