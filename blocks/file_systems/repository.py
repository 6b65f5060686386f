"""Git repositories over HTTP, by dulwich: names of a repository, commits fetched whole, their trees.

dulwich is Git in Python: a slim container has no ``git`` binary, and a token given to that one shows in the list of
processes or needs a helper program. What is fetched is one commit with its files, without history.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from dulwich.client import HTTPUnauthorized, Urllib3HttpGitClient
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.object_store import ObjectStoreGraphWalker
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo

from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

#: Commits of a repository that are kept on this computer, and how long an unused one beyond them is, in seconds.
KEEP, IDLE_S = 8, 86_400.0
#: Links inside a repository that are followed one after the other.
_LINKS = 8
_BRANCHES, _TAGS = b"refs/heads/", b"refs/tags/"
#: Ends the name of a tag where its commit is told beside the tag's own hash.
_PEELED = b"^{}"


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    path: str
    sha: bytes


@dataclass(frozen=True)
class Heads:
    """What the names of a repository point to.

    Attributes:
        default: The default branch; empty: there is none.
        branches: Hash of the last commit of each branch.
        tags: Hash of the commit of each tag.
        annotated: Tags that are objects of their own, with an author and a text.
    """

    default: str
    branches: dict[str, str]
    tags: dict[str, str]
    annotated: set[str]


class TooMuch(Exception):
    """A server sends more than was to be taken."""


class _Pool(urllib3.PoolManager):
    """Connections of which those that are refused are closed: dulwich leaves such answers unread, and open."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        response = super().urlopen(method, url, redirect, **options)
        if response.status >= 400:
            response.close()
        return response


class Remote:
    """A repository of a server, and the account to read it with."""

    def __init__(self, url: str, username: str | None, password: str | None) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        pool = _Pool(timeout=urllib3.Timeout(connect=10, read=60), retries=urllib3.Retry(2, backoff_factor=0.2))
        weakref.finalize(self, pool.clear)
        self._client = Urllib3HttpGitClient(
            f"{parts.scheme}://{parts.netloc}/", pool_manager=pool, username=username, password=password, quiet=True,
            # What is fetched is complete without what is named as known: that is not here to be built upon.
            thin_packs=False,
        )  # fmt: skip

    def names(self) -> dict[str, str]:
        """All refs of the repository with the hash that each points to; ``name^{}`` is the commit of a tag."""
        with self._explained():
            found = self._client.get_refs(self._path)
        return {name.decode(errors="replace"): sha.decode() for name, sha in found.refs.items() if sha}

    def resolve(self, ref: str) -> str:
        """The commit that a branch, a tag or a whole hash names; ``""`` is the default branch."""
        if re.fullmatch(r"[0-9a-f]{40}", ref):
            return ref
        names = self.names()
        if not names:
            raise NotFound(f"{self.url} holds no commit yet")
        for name in (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", ref) if ref else ("HEAD",):
            if name in names:
                return names[name]
        if re.fullmatch(r"[0-9a-f]{7,39}", ref):
            raise NotFound(f"{self.url} has no branch or tag {ref}; a commit is named by all 40 digits of its hash")
        raise NotFound(f"{self.url} has no {f'branch or tag {ref}' if ref else 'default branch: name one'}")

    def fetch(self, commit: str, root: Path) -> Path:
        """The folder of a bare repository with one commit, fetched where it is not there; seen whole or not at all."""
        place = root / commit
        if not place.is_dir():
            root.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(dir=root, prefix=f".fetching-{commit[:12]}-"))
            try:
                self._fetch(commit, aside)
                with contextlib.suppress(OSError):  # another process was faster
                    aside.rename(place)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            _prune(root, commit)
        with contextlib.suppress(OSError):  # a hint of last use only
            os.utime(place)
        return place

    def _fetch(self, commit: str, folder: Path) -> None:
        wanted = commit.encode()
        with self._explained(), Repo.init_bare(str(folder)) as repo:
            try:
                self._client.fetch(self._path, repo, lambda refs, depth=None: [wanted], depth=1)
            except GitProtocolError:
                # A server that gives nothing but what its names point to: look for the commit in all of it.
                self._client.fetch(self._path, repo)
            if wanted not in repo.object_store:
                raise NotFound(f"{self.url} has no commit {commit}")

    def heads(self) -> Heads:
        """What branches and tags point to now."""
        with self._explained():
            found = self._client.get_refs(self._path, ref_prefix=[b"HEAD", _BRANCHES, _TAGS])
        refs = {name: sha.decode() for name, sha in found.refs.items() if sha}
        branches = {_text(name, _BRANCHES): sha for name, sha in refs.items() if name.startswith(_BRANCHES)}
        tags, annotated = {}, set()
        for name, sha in refs.items():
            if not name.startswith(_TAGS):
                continue
            tag = _text(name.removesuffix(_PEELED), _TAGS)
            if name.endswith(_PEELED):
                annotated.add(tag)
                tags[tag] = sha
            else:
                tags.setdefault(tag, sha)
        default = found.symrefs.get(b"HEAD", b"")
        return Heads(_text(default, _BRANCHES) if default.startswith(_BRANCHES) else "", branches, tags, annotated)

    def fetch_commits(self, repo: Repo, wants: set[str], known: set[str], depth: int, most: int) -> set[bytes] | None:
        """Fetch commits into an empty repository, without their files where the server can leave these out.

        Args:
            repo: Takes them.
            wants: Commits to begin with; those that no branch points to any more are left out.
            known: Commits that, with all before them, are not to be sent.
            depth: Commits of one line that are fetched at most.
            most: Bytes that are taken.

        Returns:
            The commits whose parents were left out for being too deep; None: no branch points to any of ``wants``.

        Raises:
            TooMuch: The server sends more bytes.
        """
        file, keep, forget = repo.object_store.add_pack()
        taken, asked = 0, False

        def take(data: bytes) -> int:
            nonlocal taken
            taken += len(data)
            if taken > most:
                raise TooMuch
            file.write(data)
            return len(data)

        def wanted(refs: Mapping[bytes, bytes], depth: int | None = None) -> list[bytes]:
            nonlocal asked
            hashes = sorted({sha for sha in refs.values() if sha.decode() in wants})
            asked = bool(hashes)
            return hashes

        # Protocol 2 alone knows of leaving files out; asking for it in an older one is a warning in the log.
        without_files = b"tree:0" if getattr(self._client, "protocol_version", None) == 2 else None
        walker = ObjectStoreGraphWalker({sha.encode() for sha in known}, lambda sha: [])
        try:
            with self._explained():
                result = self._client.fetch_pack(
                    self._path, wanted, walker, take, depth=depth, filter_spec=without_files, ref_prefix=[_BRANCHES]
                )
        except BaseException:
            forget()
            raise
        keep()
        return set(result.new_shallow or ()) if asked else None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except HTTPUnauthorized:
            raise AccessDenied(f"{self.url} refuses this token: check what it may read, and when it expires") from None
        except NotGitRepository:
            raise NotFound(f"there is no repository {self.url}, or this token may not see it") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self.url} does not answer: {getattr(error, 'reason', None) or error}") from None
        except (GitProtocolError, OSError) as error:
            text = str(error)
            cause = error.__cause__ or error.__context__
            if isinstance(cause, urllib3.exceptions.HTTPError):
                why = getattr(cause, "reason", None) or cause
                raise Unavailable(f"{self.url} does not answer: {why}") from None
            if "403" in text:
                raise AccessDenied(f"{self.url} refuses this token (403)") from None
            raise Unavailable(f"{self.url}: {text or type(error).__name__}") from None


class Files:
    """The files of one commit."""

    def __init__(self, folder: Path, commit: str) -> None:
        self._repo = Repo(str(folder))
        self._reading = threading.Lock()  # dulwich's packs are for one thread at a time
        weakref.finalize(self, self._repo.close)
        found = self._object(commit.encode())
        while isinstance(found, Tag):  # an annotated tag was asked for by its own hash
            found = self._object(found.object[1])
        if not isinstance(found, Commit):
            raise BlockError(f"{commit} is no commit")
        self._root = found.tree
        self.commit = found.id.decode()
        self.time = datetime.fromtimestamp(found.commit_time, timezone.utc)

    def below(self, folder: str) -> Iterator[Entry]:
        """All files below a folder, ordered by path; submodules are left out, links to files are files."""
        found = self._find(folder)
        if found is not None and isinstance(tree := self._object(found), Tree):
            yield from self._walk(tree, folder + "/" if folder else "")

    def file(self, path: str) -> bytes | None:
        """The hash of a file's content; None where there is none."""
        found = self._find(path)
        return found if found is not None and isinstance(self._object(found), Blob) else None

    def content(self, sha: bytes) -> bytes:
        """The content of a file, from its hash."""
        with self._reading:
            content: bytes = self._repo.object_store.get_raw(sha)[1]
        return content

    def _object(self, sha: bytes) -> Any:
        with self._reading:
            return self._repo[sha]

    def _walk(self, tree: Any, prefix: str) -> Iterator[Entry]:
        # Git orders what is in a folder as whole paths are ordered: a folder's name counts with its "/".
        for item in tree.items():
            path = prefix + item.path.decode(errors="surrogateescape")
            if stat.S_ISDIR(item.mode):
                yield from self._walk(self._object(item.sha), path + "/")
            elif stat.S_ISREG(item.mode):
                yield Entry(path, item.sha)
            elif stat.S_ISLNK(item.mode) and (target := self.file(path)) is not None:
                yield Entry(path, target)

    def _find(self, path: str, links: int = _LINKS) -> bytes | None:
        sha: bytes = self._root
        parts = [part for part in path.split("/") if part]
        for number, part in enumerate(parts):
            tree = self._object(sha)
            name = part.encode(errors="surrogateescape")
            if not isinstance(tree, Tree) or name not in tree:
                return None
            mode, sha = tree[name]
            if stat.S_ISLNK(mode):
                target = _led(parts[:number], self.content(sha).decode(errors="surrogateescape"))
                if target is None or not links:
                    return None
                return self._find("/".join([*target, *parts[number + 1 :]]), links - 1)
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                return None
        return sha


def _text(name: bytes, prefix: bytes) -> str:
    return name[len(prefix) :].decode(errors="replace")


def _led(folder: list[str], target: str) -> list[str] | None:
    """Where a link leads; None where that is outside the repository."""
    if target.startswith("/"):
        return None
    parts = [*folder]
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _prune(root: Path, keep_always: str) -> None:
    idle = []
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            idle.append((path.stat().st_mtime, path))
    idle.sort(reverse=True)
    for used, path in idle[KEEP:]:
        if path.name != keep_always and used < time.time() - IDLE_S:
            shutil.rmtree(path, ignore_errors=True)


__all__ = ["Entry", "Files", "Heads", "Remote", "TooMuch"]
