"""A Git repository that is looked through: its branches and tags as resources, what was pushed as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from orchestrator.clock import from_text, now, to_text
from orchestrator.errors import InvalidInput
from orchestrator.interfaces import Observed, Related, Resource

from .commits import CommitFacts, Commits, fetched
from .repository import Heads, Remote, TooMuch

#: Branches and tags of which a cursor keeps what they point to.
NAMES_MOST = 50_000
#: What one look tells: commits, and branches whose commits it fetches. Further branches are left for the next look.
COMMITS_MOST, BRANCHES_MOST = 1000, 50
#: Bytes that are taken of a server for one branch.
BYTES_MOST = 64 * 1024 * 1024
#: Branches whose last commit is looked at, and the bytes that are taken for that: servers that cannot leave the files
#: out send more, and then it is not told.
DETAILS_MOST, DETAILS_BYTES = 200, 1024 * 1024
#: Commits that are named to a server as known.
KNOWN_MOST = 200
#: Clocks of those who commit differ by less.
CLOCKS_DIFFER = timedelta(hours=1)
#: What the events tell already when it changes.
_TOLD = frozenset({"commit", "committed", "author", "title", "branches", "tags"})


@dataclass
class _Push:
    """What a branch has got.

    Attributes:
        before: What it pointed to; empty: it was not there.
        commits: Those that are told, oldest first.
        is_forced: What it held is no more part of it; None: that cannot be told.
        why_cut: Why not all commits are told; empty: all are.
    """

    branch: str
    before: str
    commit: str
    commits: list[CommitFacts] = field(default_factory=list)
    is_forced: bool | None = False
    why_cut: str = ""

    def note(self) -> dict[str, str]:
        """Part of the payload, where something is left out."""
        return {"note": f"not all of its commits are told: {self.why_cut}"} if self.why_cut else {}


@dataclass
class _Look:
    """One look: when the one before was, who takes the events, and what it may still tell."""

    since: datetime
    emit: Callable[[Observed], None]
    commits_left: int = field(default_factory=lambda: COMMITS_MOST)
    branches_left: int = field(default_factory=lambda: BRANCHES_MOST)


class RepositoryWatch:
    """Looks through one repository."""

    def __init__(self, remote: Remote) -> None:
        parts = urlsplit(remote.url)
        port = f":{parts.port}" if parts.port else ""
        path = parts.path.strip("/").removesuffix(".git")
        self._remote = remote
        self._id, self._name = f"git://{parts.hostname}{port}/{path}", path

    def resources(self) -> Iterator[Resource]:
        """The repository, its branches and its tags."""
        heads = self._remote.heads()
        counts = {"branches": len(heads.branches), "tags": len(heads.tags)}
        yield Resource(
            self._id, "git.repository", self._name, {"default_branch": heads.default or None, **counts}, (), _TOLD
        )
        details = self._details(heads)
        for branch, sha in _default_first(heads).items():
            labels = {"commit": sha, "default": branch == heads.default, **details.get(sha, {})}
            yield self._branch(branch, labels)
        for tag, sha in sorted(heads.tags.items()):
            yield self._tag(tag, {"commit": sha, "annotated": tag in heads.annotated})

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell what became of branches and tags since ``cursor``; the first look only takes note.

        Raises:
            InvalidInput: There are more branches and tags than a cursor can hold.
        """
        at, heads = now(), self._remote.heads()
        if (count := len(heads.branches) + len(heads.tags)) > NAMES_MOST:
            raise InvalidInput(
                f"{self._remote.url} has {count:,} branches and tags, more than the {NAMES_MOST:,} that one block can "
                "keep watch over: delete old ones, or turn the block's discovery off"
            )
        if not isinstance(cursor, dict) or cursor.get("repository") != self._id:
            return self._cursor(at, heads.branches, heads.tags)
        look = _Look(from_text(cursor["at"]), emit)
        told = self._branches(cursor["branches"], heads, look)
        self._tags(cursor["tags"], heads, look)
        return self._cursor(at, told, heads.tags)

    def _cursor(self, at: datetime, branches: dict[str, str], tags: dict[str, str]) -> dict[str, Any]:
        return {"repository": self._id, "at": to_text(at), "branches": branches, "tags": tags}

    def _branches(self, before: dict[str, str], heads: Heads, look: _Look) -> dict[str, str]:
        """Tell what became of branches; returns what of them is told now."""
        told = {name: sha for name, sha in before.items() if name in heads.branches}
        known = list(_default_first(heads, before).values())
        for name, sha in _default_first(heads).items():
            if name not in before or before[name] == sha:
                continue
            if push := self._pushed(name, before[name], sha, [before[name]], look):
                told[name] = sha
                known.insert(0, sha)
                self._tell_commits(push, look)
                self._tell_push(push, look)
        held = set(known)
        for name, sha in _default_first(heads).items():
            if name in before:
                continue
            if push := _Push(name, "", sha) if sha in held else self._pushed(name, "", sha, known[:KNOWN_MOST], look):
                told[name] = sha
                known.insert(0, sha)
                held.add(sha)
                payload = {"branch": name, "commit": sha, "commits": len(push.commits), **push.note()}
                self._tell("git.branch.created", self._branch(name), payload, f"{name}\n{sha}", look)
                self._tell_commits(push, look)
        for name in sorted(before.keys() - heads.branches.keys()):
            payload = {"branch": name, "commit": before[name]}
            self._tell("git.branch.deleted", self._branch(name), payload, f"{name}\n{before[name]}", look)
        return told

    def _pushed(self, branch: str, before: str, sha: str, known: list[str], look: _Look) -> _Push | None:
        """What a branch has got; None: that is for the next look."""
        if not look.commits_left or not look.branches_left:
            return None
        look.branches_left -= 1
        try:
            with fetched(self._remote, [sha], known, COMMITS_MOST + 1, BYTES_MOST) as commits:
                push = _read(commits, _Push(branch, before, sha), known, look.since) if commits else None
        except TooMuch:
            return _Push(
                branch,
                before,
                sha,
                is_forced=None if before else False,
                why_cut="the server sent too much to tell which",
            )
        if push is None or len(push.commits) > look.commits_left < COMMITS_MOST:
            return None
        look.commits_left -= min(len(push.commits), look.commits_left)
        return push

    def _tell_commits(self, push: _Push, look: _Look) -> None:
        related = (Related(self._id, "part-of"), Related(self._branch(push.branch).id, "part-of"))
        for facts in push.commits:
            subject = Resource(f"{self._id}#commits/{facts.sha}", "git.commit", facts.sha[:12], {}, related)
            payload = {
                "commit": facts.sha,
                "branch": push.branch,
                "author": facts.author,
                "title": facts.title,
                "committed": to_text(facts.time) if facts.time else None,
                "is_merge": facts.parents > 1,
            }
            # What the branch held before is part of the key: a commit that was taken back may be pushed once more.
            self._tell("git.commit.pushed", subject, payload, f"{push.branch}\n{push.before}\n{facts.sha}", look)

    def _tell_push(self, push: _Push, look: _Look) -> None:
        payload = {
            "branch": push.branch,
            "before": push.before,
            "commit": push.commit,
            "commits": len(push.commits),
            "is_forced": push.is_forced,
            **push.note(),
        }
        name = "git.branch.force-pushed" if push.is_forced else "git.branch.pushed"
        self._tell(name, self._branch(push.branch), payload, f"{push.branch}\n{push.before}\n{push.commit}", look)

    def _tags(self, before: dict[str, str], heads: Heads, look: _Look) -> None:
        for tag, sha in sorted(heads.tags.items()):
            if (old := before.get(tag)) == sha:
                continue
            payload = {"tag": tag, "commit": sha, "is_annotated": tag in heads.annotated}
            if old is None:
                self._tell("git.tag.created", self._tag(tag), payload, f"{tag}\n{sha}", look)
            else:
                payload["before"] = old
                self._tell("git.tag.moved", self._tag(tag), payload, f"{tag}\n{old}\n{sha}", look)
        for tag in sorted(before.keys() - heads.tags.keys()):
            payload = {"tag": tag, "commit": before[tag]}
            self._tell("git.tag.deleted", self._tag(tag), payload, f"{tag}\n{before[tag]}", look)

    def _tell(self, event: str, subject: Resource, payload: dict[str, Any], key: str, look: _Look) -> None:
        # A branch or tag may go and come back as it was: the look before makes that another happening.
        look.emit(Observed(event, subject, None, payload, f"{key}\n{to_text(look.since)}"))

    def _details(self, heads: Heads) -> dict[str, dict[str, Any]]:
        """Labels of branches' last commits, by hash; few or none where they are not cheap to get."""
        tips = set(list(_default_first(heads).values())[:DETAILS_MOST])
        if not tips:
            return {}
        try:
            with fetched(self._remote, tips, (), 1, DETAILS_BYTES) as commits:
                found = [facts for sha in tips if commits and (facts := commits.facts(sha))]
        except TooMuch:
            return {}
        return {
            facts.sha: {
                "committed": to_text(facts.time) if facts.time else None,
                "author": facts.author,
                "title": facts.title,
            }
            for facts in found
        }

    def _branch(self, name: str, labels: dict[str, Any] | None = None) -> Resource:
        return self._part("git.branch", f"heads/{name}", name, labels)

    def _tag(self, name: str, labels: dict[str, Any] | None = None) -> Resource:
        return self._part("git.tag", f"tags/{name}", name, labels)

    def _part(self, kind: str, place: str, name: str, labels: dict[str, Any] | None) -> Resource:
        whole = Related(self._id, "part-of")
        return Resource(f"{self._id}#{place}", kind, f"{self._name} {name}", labels or {}, (whole,), _TOLD)


def _read(commits: Commits, push: _Push, known: list[str], since: datetime) -> _Push:
    """Fill in what was fetched of a push."""
    line = commits.up_to(push.commit)
    found = [facts for sha in line.commits[-COMMITS_MOST:] if (facts := commits.facts(sha))]
    is_cut = line.is_cut or len(line.commits) > COMMITS_MOST
    if known and line.commits and not line.edges and not line.is_cut:
        # All of another history, or of one whose end the server has forgotten: most of it was not made just now.
        found = [facts for facts in found if facts.time and facts.time >= since - CLOCKS_DIFFER]
    if push.before and push.before not in line.edges:
        # Whether it leads to what was there before can be seen only where all of it was fetched.
        push.is_forced = None if line.is_cut else True
    push.commits = found
    push.why_cut = f"there are more than the {COMMITS_MOST:,} newest ones that one look tells" if is_cut else ""
    return push


def _default_first(heads: Heads, branches: dict[str, str] | None = None) -> dict[str, str]:
    found = heads.branches if branches is None else branches
    return dict(sorted(found.items(), key=lambda item: (item[0] != heads.default, item[0])))


__all__ = ["RepositoryWatch"]
