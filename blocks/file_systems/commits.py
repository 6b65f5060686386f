"""The commits that a branch has got, fetched without the repository's other history."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dulwich.objects import Commit
from dulwich.repo import Repo

from .repository import Remote

#: Characters of a commit's first line that are kept.
_TITLE = 500


@dataclass(frozen=True)
class CommitFacts:
    """What is told of a commit: ``time`` is when it was made, by the clock of whoever made it; None: no valid one."""

    sha: str
    author: str
    title: str
    time: datetime | None
    parents: int


class Commits:
    """Commits that were fetched."""

    def __init__(self, repo: Repo, shallow: set[bytes]) -> None:
        self._store, self._shallow = repo.object_store, shallow

    def facts(self, sha: str) -> CommitFacts | None:
        """Facts of a commit; None: it was not fetched."""
        commit = self._commit(sha.encode())
        if commit is None:
            return None
        author = commit.author.partition(b"<")[0].strip() or commit.author  # without the address
        title = commit.message.strip().partition(b"\n")[0].rstrip()
        return CommitFacts(
            sha, _text(author, commit), _text(title, commit)[:_TITLE], _time(commit.commit_time), len(commit.parents)
        )

    def up_to(self, tip: str) -> Line:
        """All that were fetched of a commit and those before it."""
        order: list[str] = []
        edges: set[str] = set()
        is_cut = False
        seen = {tip.encode()}
        stack = [(tip.encode(), self._parents(tip.encode()))]
        while stack:
            sha, parents = stack[-1]
            if parents is None:
                edges.add(sha.decode())
                stack.pop()
                continue
            parent = next(parents, None)
            if parent is None:
                order.append(sha.decode())
                is_cut = is_cut or sha in self._shallow
                stack.pop()
            elif parent not in seen:
                seen.add(parent)
                stack.append((parent, self._parents(parent)))
        return Line(order, edges, is_cut)

    def _parents(self, sha: bytes) -> Iterator[bytes] | None:
        commit = self._commit(sha)
        if commit is None:
            return None
        return iter(() if sha in self._shallow else commit.parents)

    def _commit(self, sha: bytes) -> Commit | None:
        found: Any = self._store[sha] if sha in self._store else None  # noqa: SIM401 - it has no get()
        return found if isinstance(found, Commit) else None


@dataclass(frozen=True)
class Line:
    """Commits that were fetched, and where they meet what was known.

    Attributes:
        commits: Each after those before it.
        edges: Parents that were not sent, as they, or ones after them, are known.
        is_cut: There are more than were fetched.
    """

    commits: list[str]
    edges: set[str]
    is_cut: bool


@contextmanager
def fetched(
    remote: Remote, wants: Iterable[str], known: Iterable[str], depth: int, most: int
) -> Iterator[Commits | None]:
    """Commits, kept on disk for a while; arguments, None and errors are those of ``Remote.fetch_commits``."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-git-") as folder, Repo.init_bare(folder) as repo:
        shallow = remote.fetch_commits(repo, set(wants), set(known), depth, most)
        yield None if shallow is None else Commits(repo, shallow)


def _text(text: bytes, commit: Commit) -> str:
    try:
        decoded = text.decode((commit.encoding or b"utf-8").decode("ascii", "replace"), "replace")
    except LookupError:  # an encoding that nobody knows
        decoded = text.decode("utf-8", "replace")
    return decoded.replace("\0", "\ufffd")


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None


__all__ = ["CommitFacts", "Commits", "Line", "fetched"]
