"""What agents do with a block when a person or the clock asks for it, or for a flow run; each is a flow of its own.

They run like any flow, in a process of their own on an agent: a kind of block may be a team's own code, and that never
runs in the server. Blocks are loaded with the run's token, which opens the errand's block and those that it holds.
"""

from __future__ import annotations

import ast
import importlib
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from .. import context, outgoing
from ..block import Block, current_store
from ..client import Client
from ..clock import now, to_text
from ..documents.records import Job, State
from ..errors import BlockError, CodeNotLoadable, InvalidInput, NotFound, OrchestratorError
from ..flows import flow
from ..interfaces import Discoverable, FileSystem, clean_path
from ..kinds import block_kinds as kinds
from ..observing.logs import get_run_logger
from ..projects import builds
from ..states import END_HOOKS
from . import runner, task_worker
from .discovering import Look

NAME = "orchestrator.errand"

#: Folders and files that :func:`browse_storage` lists.
BROWSE_MOST = 1000
#: What :func:`inspect_storage` fetches at most, and how many files with flows it imports.
FETCH_FILES, FETCH_BYTES, IMPORT_FILES = 2000, 256 * 1024 * 1024, 50
#: Seconds that importing one file may take, and all of them.
IMPORT_ONE, IMPORT_ALL = 60.0, 300.0


@flow(name=NAME, timeout_seconds=120)
def test_block(block_id: str) -> str:
    """Try whether a block works; the sentence that its kind says of it."""
    return load(block_id).test()


@flow(name=NAME, timeout_seconds=3600)
def discover_block(block_id: str) -> dict[str, Any]:
    """Look through a block; what it finds is told on the way: ``{resources, events, vanished, notice}``."""
    block = load(block_id)
    if not isinstance(block, Discoverable):
        raise BlockError(f"the block is a {type(block).__name__}, which cannot be looked through")
    found = Look(Client.from_settings(), block_id).run(block)
    get_run_logger().info("%(resources)d resources, %(events)d events, %(vanished)d vanished", found)
    return found


@flow(name=NAME, timeout_seconds=120)
def browse_storage(block_id: str, path: str = "") -> dict[str, Any]:
    """Folders and files directly below a path: ``{path, folders, files: [{name, size, modified}], cut}``."""
    place = clean_path(path)
    found = storage(block_id).browse(place, BROWSE_MOST)
    files = [
        {
            "name": info.path.rpartition("/")[2],
            "size": info.size,
            "modified": to_text(info.modified) if info.modified else None,
        }
        for info in found.files
    ]
    return {"path": place, "folders": found.folders, "files": files, "cut": found.is_cut}


@flow(name=NAME, timeout_seconds=900)
def inspect_storage(block_id: str, path: str = "", entrypoint: str = "") -> dict[str, Any]:
    """The flows of a project in a storage.

    Args:
        block_id: The storage.
        path: The project's folder; or one of its files, ``folder/flow.py``: then only that file is looked at.
        entrypoint: ``file.py:function`` or ``package.module:function``; empty: all functions with ``@flow``.

    Returns:
        ``{path, flows: [{entrypoint, flow, description, version, parameter_schema}], errors: [{file, message}],
        cut}``; ``path`` is the folder to be given to a deployment.

    Raises:
        NotFound: There is no file there.
        InvalidInput: There is more than an inspection fetches.
    """
    place = clean_path(path)
    folder, _, file = place.rpartition("/") if place.endswith(".py") else (place, "", "")
    copy = Path.cwd() / "project"
    _fetch(storage(block_id), folder, copy)
    if file and not (copy / file).is_file():
        raise NotFound(f"there is no file {place}")
    return {"path": folder, **_inspected(copy, folder or "the storage's root", file, entrypoint)}


@flow(name=NAME, timeout_seconds=120)
def act(block_id: str, action_id: str) -> dict[str, Any]:
    """Do an action by a block whose kind the server does not have; what came of it."""
    action = Client.from_settings().get(f"actions/{action_id}")
    return outgoing.send(action["kind"], load(block_id), action["rendered"])


@flow(name=NAME)
def work(flow_run_id: str, attempt: int) -> int:
    """Do calls of tasks for a flow run; how many were done."""
    return task_worker.work(flow_run_id)


@flow(name=NAME)
def call_hooks(hooks_of: dict[str, Any]) -> str:
    """Call the hooks for the end of a run whose agent could not; which they were.

    Args:
        hooks_of: ``job``, which that run was, and ``state``, the end that it came to.

    Raises:
        OrchestratorError: The run's code cannot be had.
    """
    own = context.flow_run()
    assert own is not None
    sink = own.sink
    assert sink is not None, "an agent watches it"
    job, state = Job.read(hooks_of["job"]), State.read(hooks_of["state"])
    name, here = END_HOOKS[state.type], Path.cwd()

    def tell(level: int, message: str) -> None:
        line = {"flow_run_id": str(job.id), "task_run_id": None, "attempt": job.attempt, "level": level}
        sink.put({"kind": "log", **line, "logger": "orchestrator.agent", "message": message, "at": to_text(now())})

    tell(logging.INFO, f"its agent could not call {name}: another process does, on {socket.gethostname()}")
    try:
        runner.call_hooks(job, sink, state, lambda: os.chdir(here), supervised=False)
    except OrchestratorError as error:
        tell(logging.ERROR, f"the hooks could not be called: {error}")
        raise
    return name


def load(block_id: str) -> Block:
    """The errand's block; kinds that neither this package nor an entry point brings are imported, here if anywhere."""
    document = current_store().load(block_id)
    for part in _documents(document):
        _import(part)
    return Block.from_document(document)


def storage(block_id: str) -> FileSystem:
    """The errand's block, which is a file system. Raises BlockError."""
    found = load(block_id)
    if not isinstance(found, FileSystem):
        raise BlockError(f"the block is a {type(found).__name__}, which is no file system")
    return found


def _documents(value: Any) -> Iterator[Mapping[str, Any]]:
    """A loaded document and those of the blocks inside it."""
    if isinstance(value, Mapping):
        if "type" in value and "import_path" in value and "data" in value:
            yield value
            value = value["data"]
        for item in value.values():
            yield from _documents(item)
    elif isinstance(value, list):
        for item in value:
            yield from _documents(item)


def _import(document: Mapping[str, Any]) -> None:
    try:
        kinds.find(str(document["type"]), document.get("import_path"))
    except BlockError as unknown:
        module = str(document.get("import_path") or "").partition(":")[0]
        try:
            importlib.import_module(module)
        except Exception:  # it may be installed where the block was saved only, and raise what it likes
            raise unknown from None


def _fetch(source: FileSystem, folder: str, copy: Path) -> None:
    files = [*islice(source.list(folder), FETCH_FILES + 1)]
    size = sum(info.size for info in files)
    if not files:
        raise NotFound(f"there is no file in {folder or 'the storage'}")
    if len(files) > FETCH_FILES or size > FETCH_BYTES:
        raise InvalidInput(
            f"{folder or 'the root of the storage'} holds more than the {FETCH_FILES:,} files or "
            f"{FETCH_BYTES // 1024**2} MiB that are looked through for flows: choose a folder further down"
        )
    copy.mkdir()
    source.get_directory(folder, copy)


def _inspected(copy: Path, shown: str, file: str, entrypoint: str) -> dict[str, Any]:
    flows: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    wanted = {entrypoint.rpartition(":")[0]: [entrypoint]} if entrypoint else _by_file(copy, file, errors)
    deadline = time.monotonic() + IMPORT_ALL
    is_cut = len(wanted) > IMPORT_FILES
    # What is imported here is no business of the token that opens the storage.
    env = {name: value for name, value in os.environ.items() if name != "ORCHESTRATOR_API_KEY"}
    for name, entrypoints in islice(wanted.items(), IMPORT_FILES):
        if (left := deadline - time.monotonic()) <= 0:
            is_cut = True
            break
        try:
            facts = builds.look(copy, shown, entrypoints, min(IMPORT_ONE, left), env)
        except CodeNotLoadable as error:
            facts = [{"error": str(error)}]
        flows += [item for item in facts if "error" not in item]
        # A file that does not import fails for each of its flows, in the same way.
        errors += [{"file": name, "message": item["error"]} for item in facts if "error" in item][:1]
    get_run_logger().info("%d flows in %d files of %s", len(flows), len(wanted), shown)
    return {"flows": flows, "errors": errors, "cut": is_cut}


def _by_file(copy: Path, file: str, errors: list[dict[str, str]]) -> dict[str, list[str]]:
    """Entrypoints of the functions with ``@flow``, by file; what cannot be read is told in ``errors``."""
    names = [file] if file else sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*.py"))
    found: dict[str, list[str]] = {}
    for name in names:
        entrypoints = [*builds.flows_in(copy, [name])]
        if entrypoints:
            found[name] = entrypoints
        elif problem := _unreadable(copy / name):
            errors.append({"file": name, "message": problem})
    return found


def _unreadable(path: Path) -> str:
    try:
        ast.parse(path.read_bytes(), path.name)
    except SyntaxError as error:
        return f"{path.name}, line {error.lineno}: {error.msg}"
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read: {error}"
    return ""
