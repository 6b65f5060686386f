"""Building a deployment: which flow of a project it is, and that it imports from exactly what is uploaded.

User code is never imported here: :mod:`orchestrator.projects.inspection` does so in a fresh process, in a copy of the
project without what the ignore rules leave out.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import CodeNotLoadable, InvalidInput
from ..names import BY_SOURCE
from . import snapshots
from .deployments import Document, parameter_problems

#: How long importing a project may take, in seconds.
IMPORT_TIMEOUT = 300.0
_STDERR_LINES = 3


@dataclass(frozen=True)
class FlowFacts:
    """What a deployment keeps of a flow."""

    entrypoint: str
    flow: str
    description: str
    parameter_schema: dict[str, Any]
    version: str = ""
    #: None: the flow does not say.
    crash_retries: int | None = None


def split_target(target: str) -> tuple[Path, str]:
    """Divide ``PATH[:entrypoint]`` into the project's folder and what is said of the entrypoint ("" for nothing).

    A path to a file stands for its folder: ``src/flow.py:main`` is ``src:flow.py:main``.

    Raises:
        InvalidInput: There is no such folder or file.
    """
    drive, rest = (target[:2], target[2:]) if target[1:3] in (":\\", ":/") else ("", target)
    path_text, _, entrypoint = rest.partition(":")
    path = Path((drive + path_text) or ".")
    if path.is_dir():
        return path.resolve(), entrypoint
    if not path.is_file():
        raise InvalidInput(f"there is no folder or file {path}")
    return path.resolve().parent, f"{path.name}:{entrypoint}" if entrypoint else path.name


def find_flow(folder: Path, entrypoint: str = "", ignore: Iterable[str] = ()) -> FlowFacts:
    """The flow that is meant, imported from a clean copy of the project.

    Args:
        folder: The project's root.
        entrypoint: ``file.py:function`` or ``package.module:function``; or only a file, or only a function, where one
            flow fits; or nothing, where the project has one flow.
        ignore: Patterns beside those of the project.

    Raises:
        InvalidInput: No flow fits, or several do; the message lists them.
        CodeNotLoadable: It does not import; the message has the entrypoint, the folder and the search path.
    """
    entries = snapshots.manifest(folder, ignore)
    paths = [entry.path for entry in entries]
    wanted = [entrypoint] if ":" in entrypoint else _candidates(folder, paths, entrypoint)
    if len(wanted) > 1:
        raise InvalidInput(
            f"{folder} holds several flows: name one, as in PATH:{wanted[0]}; it has {', '.join(wanted)}"
        )
    if not wanted:
        raise InvalidInput(_no_flow(folder, paths, entrypoint))
    with tempfile.TemporaryDirectory(prefix="orchestrator-build-") as scratch:
        copy = Path(scratch, "project")
        for path in paths:
            place = copy / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / path, place)
        facts = look(copy, str(folder), wanted)[0]
    if "error" in facts:
        raise CodeNotLoadable(str(facts["error"]))
    return FlowFacts(**facts)


def look(
    copy: Path,
    shown: str,
    entrypoints: Sequence[str],
    timeout: float | None = None,
    env: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The facts of flows of a project, which is imported in a fresh process.

    Args:
        copy: Its folder; what importing it writes stays there.
        shown: What people call that folder.
        entrypoints: ``file.py:function`` or ``package.module:function``, all in one process.
        timeout: Seconds that importing may take; :data:`IMPORT_TIMEOUT` when not given.
        env: Environment of the process; this one's when not given.

    Returns:
        For each entrypoint the fields of :class:`FlowFacts`, or ``entrypoint`` and ``error``.

    Raises:
        CodeNotLoadable: The process did not come back with an answer.
    """
    answer, said, names = copy.parent / "answer.json", copy.parent / "stderr", ", ".join(entrypoints)
    timeout = IMPORT_TIMEOUT if timeout is None else timeout
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-m", "orchestrator.projects.inspection", str(answer), str(copy), *entrypoints]
    # A file, not a pipe: what a module leaves running in the background would keep a pipe open.
    with said.open("wb") as stderr:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**(os.environ if env is None else env), **_python_path()},
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CodeNotLoadable(f"{names} in {shown} was not imported within {timeout:g} s") from None
    try:
        found: list[dict[str, Any]] = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        lines = said.read_text(errors="replace").strip().splitlines()[-_STDERR_LINES:]
        last = f": {' / '.join(line.strip() for line in lines)}" if lines else ""
        raise CodeNotLoadable(
            f"importing {names} in {shown} ended the process (exit code {done.returncode}){last}"
        ) from None
    for item in found:
        if "error" in item:
            item["error"] = str(item["error"]).replace(str(copy), shown)
    return found


def compose(facts: FlowFacts, name: str, given: Mapping[str, Any], old: Document | None = None) -> Document:
    """The document of a build: what the flow tells, over it what is given, and else what the file said before.

    Raises:
        InvalidInput: A parameter, one of a schedule too, does not fit the flow's signature (any more).
    """
    base = old or Document(facts.flow, name, facts.entrypoint, description=facts.description, version=facts.version)
    changes: dict[str, Any] = dict(given)
    if old and old.infrastructure and "infrastructure" in changes:
        block = changes["infrastructure"]["block"] or old.infrastructure.get("block")
        overrides = {**(old.infrastructure.get("overrides") or {}), **changes["infrastructure"]["overrides"]}
        changes["infrastructure"] = {"block": block, "overrides": overrides}
    if old and old.version.startswith(BY_SOURCE):
        changes.setdefault("version", facts.version)
    if old and "parameters" in changes:
        changes["parameters"] = {**old.parameters, **changes["parameters"]}
    if facts.crash_retries is not None:
        changes.setdefault("crash_retries", facts.crash_retries)
    changes.update(entrypoint=facts.entrypoint, parameter_schema=facts.parameter_schema)
    document = replace(base, **changes, source="")
    places = [("parameters", document.parameters)]
    places += [
        (f"schedules[{index}].parameters", item.get("parameters") or {})
        for index, item in enumerate(document.schedules or ())
    ]
    problems = {
        f"{where}.{key}": message
        for where, values in places
        for key, message in parameter_problems(values, facts.parameter_schema).items()
    }
    if problems:
        raise InvalidInput("; ".join(f"{place} {message}" for place, message in problems.items()))
    return document


def flows_in(folder: Path, paths: Iterable[str]) -> Iterator[str]:
    """Entrypoints of all functions that carry a flow decorator at the top of a module; nothing is imported."""
    for path in paths:
        if path.endswith(".py"):
            try:
                tree = ast.parse((folder / path).read_bytes(), path)
            except (SyntaxError, ValueError):
                continue  # not importable, so no flow; naming it as the entrypoint tells why
            for name in _flows_of(tree):
                yield f"{path}:{name}"


def _candidates(folder: Path, paths: list[str], entrypoint: str) -> list[str]:
    found = [*flows_in(folder, paths)]
    if entrypoint.endswith(".py"):
        return [item for item in found if item.rpartition(":")[0] == entrypoint]
    return [item for item in found if not entrypoint or item.rpartition(":")[2] == entrypoint]


def _no_flow(folder: Path, paths: list[str], entrypoint: str) -> str:
    if not entrypoint:
        return f"{folder} holds no function with @flow; name the entrypoint, as in PATH:file.py:function"
    if entrypoint.endswith(".py") and entrypoint not in paths:
        near = difflib.get_close_matches(entrypoint, paths, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"there is no file {entrypoint} in {folder}, or it is ignored{hint}"
    return f"no function with @flow in {folder} fits {entrypoint!r}; write PATH:file.py:function"


def _flows_of(tree: ast.Module) -> Iterator[str]:
    names, modules = {"flow"}, {"orchestrator"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "orchestrator":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "flow"}
        elif isinstance(node, ast.Import):
            modules |= {alias.asname for alias in node.names if alias.name == "orchestrator" and alias.asname}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            _is_flow(decorator, names, modules) for decorator in node.decorator_list
        ):
            yield node.name


def _is_flow(decorator: ast.expr, names: set[str], modules: set[str]) -> bool:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute):
        return node.attr == "flow" and isinstance(node.value, ast.Name) and node.value.id in modules
    return isinstance(node, ast.Name) and node.id in names


def _python_path() -> dict[str, str]:
    """Let the child find this very package, also where it is used from a checkout that is not installed."""
    here = Path(__file__).resolve().parent.parent
    if here.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": os.pathsep.join(part for part in (str(here), os.environ.get("PYTHONPATH", "")) if part)}
