"""Snapshots: the code of a deployment, exactly as it was built, under the hash of its content.

A snapshot is a manifest (path, mode and sha256 of each file, ordered by path) and the files themselves. Its hash is
the sha256 of the manifest, so that the same project has the same hash whoever builds it, wherever, whenever. In
storage it lies at ``<path>/<hash>/files/...`` beside ``manifest.json``, which is written last: a snapshot without it
is not there. :func:`upload` puts one there, :func:`ensure` fetches it once per computer, :func:`working_copy` gives
each run a folder of its own.

Kept of a file's mode: whether its owner may execute it. Symbolic links that stay inside the project are followed,
others are refused. Empty folders are not kept.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import json
import os
import py_compile
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pathspec

from .. import settings
from ..errors import CodeNotLoadable, InvalidInput, NotFound
from ..interfaces import FileSystem, Progress, clean_path, sha256_of

try:
    import fcntl
except ImportError:  # Windows: the rename alone keeps the cache whole, two fetches at a time then both download
    fcntl = None  # type: ignore[assignment]

IGNORE_FILE = ".orchestratorignore"
MANIFEST = "manifest.json"
#: What is never code, or must not travel. A line ``!pattern`` in the ignore file takes one back in.
DEFAULT_IGNORE = (
    *(".git/", ".hg/", ".svn/", "__pycache__/", "*.py[cod]", "*.egg-info/", ".venv*/", "venv/", ".tox/", ".nox/"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".ipynb_checkpoints/", "node_modules/", ".idea/", ".vscode/"),
    *(".DS_Store", ".env", ".env.*", "deployment.yaml", "*-deployment.yaml", ".orchestrator/"),
)
MAX_FILES = 10_000
MAX_BYTES = 2 * 1024**3
#: A cached snapshot that no run used for so long may go, when there are more than so many.
CACHE_KEEP = 50
CACHE_IDLE_S = 86_400.0


@dataclass(frozen=True)
class Entry:
    """One file of a manifest: ``mode`` is 0o755 or 0o644, ``size`` is in bytes."""

    path: str
    mode: int
    size: int
    sha256: str


def manifest(folder: Path | str, ignore: Iterable[str] = ()) -> list[Entry]:
    """All files of a project that the ignore rules leave, ordered by path.

    Args:
        folder: The project's root.
        ignore: Patterns beside the defaults and the project's ``.orchestratorignore``, in git's notation.

    Raises:
        InvalidInput: A link leaves the project or ends nowhere, a name or kind of file cannot be kept, or there are
            too many files, too large ones, or none.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise InvalidInput(f"{folder} is no folder")
    files = sorted(_walk(root, root, "", _rules(root, ignore), ()), key=lambda item: item[0])
    _check_amount(root, files)
    return [_entry(name, path) for name, path in files]


def snapshot_hash(entries: Sequence[Entry]) -> str:
    """The snapshot's name: sha256 over one line ``mode sha256 size path`` for each file, ordered by path."""
    lines = (f"{entry.mode:o} {entry.sha256} {entry.size} {entry.path}\n" for entry in sorted(entries, key=_by_path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def exists(file_system: FileSystem, path: str, snapshot: str) -> bool:
    """Whether the whole snapshot lies in storage."""
    try:
        file_system.stat(_join(path, snapshot, MANIFEST))
    except NotFound:
        return False
    return True


def upload(
    folder: Path | str,
    file_system: FileSystem,
    path: str,
    progress: Progress | None = None,
    ignore: Iterable[str] = (),
) -> str:
    """Put a project into storage below ``path``; returns its hash. A snapshot that is there is not sent again.

    Raises:
        InvalidInput: As :func:`manifest`; or a file changed meanwhile (nothing visible is left in storage).
        Unavailable: The storage cannot be reached.
    """
    ignore = tuple(ignore)
    entries = manifest(folder, ignore)
    snapshot = snapshot_hash(entries)
    if exists(file_system, path, snapshot):
        return snapshot
    remote = _join(path, snapshot, "files")
    file_system.put_directory(Path(folder).resolve(), remote, [entry.path for entry in entries], progress)
    if manifest(folder, ignore) != entries:
        raise InvalidInput(f"files in {folder} changed while they were uploaded: build again")
    document = {"version": 1, "snapshot": snapshot, "files": [asdict(entry) for entry in entries]}
    file_system.write(_join(path, snapshot, MANIFEST), json.dumps(document, indent=1).encode())
    return snapshot


def ensure(
    file_system_factory: Callable[[], FileSystem],
    path: str,
    snapshot: str,
    cache_root: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder with a snapshot's code on this computer, fetched where it is not there yet.

    The folder is shared by all runs and must not be written to: :func:`working_copy` makes the one that may. Safe in
    any number of threads and processes; a folder is seen whole, verified against its hash, or not at all.

    Args:
        file_system_factory: Gives the storage; called only when something must be fetched.
        path: The deployment's folder in it.
        snapshot: The hash.
        cache_root: Where snapshots are kept; ``cache/code`` below ORCHESTRATOR_HOME when not given.

    Raises:
        CodeNotLoadable: The snapshot is not in storage, or is damaged there.
        Unavailable: The storage cannot be reached.
    """
    if not snapshot.isalnum():
        raise CodeNotLoadable(f"{snapshot!r} is no snapshot: build the deployment again")
    root = cache_root or settings.load().path("cache", "code")
    place = root / snapshot
    if not place.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{snapshot}.lock"):
            if not place.is_dir():
                _fetch(file_system_factory(), path, snapshot, place, progress)
                prune(root, keep_always=snapshot)
    with contextlib.suppress(OSError):  # a hint of last use only
        os.utime(place)
    return place


def working_copy(code: Path, run_folder: Path) -> Path:
    """A fresh, writable copy of cached code for one run, compiled files included: ``project`` in the run's folder."""
    target = Path(run_folder) / "project"
    if target.exists():
        shutil.rmtree(target)
    return Path(shutil.copytree(code, target))


def prune(root: Path, keep: int = CACHE_KEEP, idle_s: float = CACHE_IDLE_S, keep_always: str = "") -> list[str]:
    """Remove what is left of broken fetches, and the longest unused snapshots beyond ``keep``; returns their hashes."""
    oldest_kept = time.time() - idle_s
    idle = sorted((age, path) for age, path in _ages(root) if age < oldest_kept and path.name != keep_always)
    for _, path in idle:
        if path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    snapshots = [path for _, path in idle if not path.name.startswith(".")]
    held = sum(1 for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    gone = snapshots[: max(0, held - keep)]
    for path in gone:
        aside = path.with_name(f".old-{path.name}-{os.getpid()}")
        with contextlib.suppress(OSError):  # another process removed it, or uses it
            path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
    return [path.name for path in gone]


def _ages(root: Path) -> Iterator[tuple[float, Path]]:
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            yield path.stat().st_mtime, path


def _rules(root: Path, more: Iterable[str]) -> pathspec.GitIgnoreSpec:
    own: list[str] = []
    try:
        own = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{root / IGNORE_FILE} cannot be read: {error}") from None
    try:
        return pathspec.GitIgnoreSpec.from_lines([*DEFAULT_IGNORE, *own, *more])
    except ValueError as error:
        raise InvalidInput(f"{root / IGNORE_FILE}: {error}") from None


def _walk(
    root: Path, folder: Path, prefix: str, rules: pathspec.GitIgnoreSpec, above: tuple[Path, ...]
) -> Iterator[tuple[str, Path]]:
    real = folder.resolve()
    if real in above:
        raise InvalidInput(f"the link {prefix.rstrip('/')} leads back into itself: add it to {IGNORE_FILE}")
    with os.scandir(folder) as listing:
        items = [*listing]
    for item in items:
        name = prefix + item.name
        kind = _kind(root, item, name, rules)
        if kind == "folder":
            yield from _walk(root, Path(item.path), name + "/", rules, (*above, real))
        elif kind == "file":
            yield name, Path(item.path)


def _kind(root: Path, item: os.DirEntry[str], name: str, rules: pathspec.GitIgnoreSpec) -> str:
    """``folder``, ``file`` or ``ignored``."""
    if rules.match_file(name) or (item.is_dir() and rules.match_file(name + "/")):
        return "ignored"
    if item.is_symlink():
        target = Path(item.path).resolve()
        if not target.exists():
            raise InvalidInput(f"the link {name} leads nowhere: mend it, or add it to {IGNORE_FILE}")
        if not target.is_relative_to(root):
            raise InvalidInput(f"the link {name} leaves the project: copy what it names, or add it to {IGNORE_FILE}")
    if item.is_dir():
        return "folder"
    if not stat.S_ISREG(item.stat().st_mode):
        raise InvalidInput(f"{name} is neither a file nor a folder: add it to {IGNORE_FILE}")
    try:
        name.encode()
        clean_path(name)
    except (UnicodeEncodeError, InvalidInput):
        raise InvalidInput(f"the file name {name!r} cannot be kept: rename it, or add it to {IGNORE_FILE}") from None
    return "file"


def _check_amount(root: Path, files: list[tuple[str, Path]]) -> None:
    if not files:
        raise InvalidInput(f"{root} holds no file that is not ignored")
    if len(files) > MAX_FILES:
        folders: dict[str, int] = {}
        for name, _ in files:
            top = name.partition("/")[0]
            folders[top] = folders.get(top, 0) + 1
        most = max(folders, key=lambda key: folders[key])
        raise InvalidInput(
            f"{root} holds {len(files):,} files, more than the {MAX_FILES:,} of a snapshot; "
            f"{folders[most]:,} are in {most}: add what is no code to {IGNORE_FILE}"
        )
    sizes = {name: path.stat().st_size for name, path in files}
    if (total := sum(sizes.values())) > MAX_BYTES:
        most = max(sizes, key=lambda key: sizes[key])
        raise InvalidInput(
            f"{root} holds {total / 1024**2:,.0f} MiB, more than the {MAX_BYTES / 1024**2:,.0f} of a snapshot; "
            f"the largest is {most} with {sizes[most] / 1024**2:,.0f} MiB: add what is no code to {IGNORE_FILE}"
        )


def _entry(name: str, path: Path) -> Entry:
    try:
        facts = path.stat()
        return Entry(name, 0o755 if facts.st_mode & stat.S_IXUSR else 0o644, facts.st_size, sha256_of(path))
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from None


def _by_path(entry: Entry) -> str:
    return entry.path


def _join(*parts: str) -> str:
    return "/".join(part for part in (clean_path(part) for part in parts) if part)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One fetch of a snapshot at a time; the lock ends with the process that holds it."""
    with path.open("wb") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a network file system without locks: the rename still decides
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(file_system: FileSystem, path: str, snapshot: str, place: Path, progress: Progress | None) -> None:
    entries = _stored_manifest(file_system, path, snapshot)
    aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".fetching-{snapshot[:12]}-"))
    try:
        file_system.get_directory(_join(path, snapshot, "files"), aside, progress)
        _verify(aside, entries, f"{path}/{snapshot}")
        _compile(aside)
        aside.chmod(0o755)
        with contextlib.suppress(FileExistsError, OSError):  # where locks do not hold, another was faster
            aside.rename(place)
        if not place.is_dir():
            raise CodeNotLoadable(f"the code cache {place.parent} cannot be written to")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _stored_manifest(file_system: FileSystem, path: str, snapshot: str) -> list[Entry]:
    where = f"{path}/{snapshot}".lstrip("/")
    try:
        document: dict[str, Any] = json.loads(file_system.read(_join(path, snapshot, MANIFEST)))
        entries = [Entry(**item) for item in document["files"]]
    except NotFound:
        raise CodeNotLoadable(f"the snapshot {where} is not in storage: build the deployment again") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CodeNotLoadable(f"the manifest of {where} is damaged ({error}): build the deployment again") from None
    if snapshot_hash(entries) != snapshot:
        raise CodeNotLoadable(f"the manifest of {where} does not fit its hash: build the deployment again")
    return entries


def _verify(folder: Path, entries: list[Entry], where: str) -> None:
    """Hold what was fetched against the manifest, set modes, and drop what the manifest does not name."""
    wanted = {folder.joinpath(*clean_path(entry.path).split("/")): entry for entry in entries}
    for base, _, names in os.walk(folder):
        for name in names:
            if (path := Path(base, name)) not in wanted:
                path.unlink()
    for path, entry in wanted.items():
        if not path.is_file():
            raise CodeNotLoadable(f"the snapshot {where} lacks {entry.path} in storage: build the deployment again")
        if sha256_of(path) != entry.sha256:
            raise CodeNotLoadable(f"{entry.path} of the snapshot {where} is damaged: build the deployment again")
        path.chmod(entry.mode)


def _compile(folder: Path) -> None:
    """Compile all modules, so that the first import in each run's copy is fast.

    Unchecked: the pyc holds for whatever copy lies beside it, whose times differ. What does not compile says so when
    it is imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compileall.compile_dir(
            str(folder), quiet=2, legacy=False, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
