"""Git repositories that are looked through: branches, tags, and what was pushed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dulwich.repo import Repo

from orchestrator import serializers
from orchestrator.blocks.file_systems import repository_watch
from orchestrator.blocks.git import Git
from orchestrator.clock import now, to_text
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import Observed, Related, Resource

from ...standins.git import commit, git_server, new_repository, tag


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """A connection that was left open is found in the test that left it."""
    yield
    gc.collect()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repository(tmp_path / "repository")


@pytest.fixture
def url(repo: Repo) -> Iterator[str]:
    with git_server({"/acme/flows": repo, "/acme/flows.git": repo, "/private/flows": repo}) as url:
        yield f"{url}/acme/flows"


class Watcher:
    """Looks again and again, each time as a block that was just loaded."""

    def __init__(self, url: str, **fields: Any) -> None:
        self.url, self.fields, self.cursor = url, fields, None

    def look(self) -> list[Observed]:
        """What one look tells; its cursor is for the next."""
        found: list[Observed] = []
        cursor = Git(url=self.url, **self.fields).observe(self.cursor, found.append)
        self.cursor = serializers.loads(serializers.dumps(cursor))
        return found

    def told(self) -> list[tuple[Any, ...]]:
        """The same in short."""
        return [short(event) for event in self.look()]


def short(event: Observed) -> tuple[Any, ...]:
    subject = event.payload.get("branch") or event.payload.get("tag")
    return event.event.removeprefix("git."), subject, event.payload.get("title", event.payload["commit"])


def by_id(url: str) -> dict[str, Resource]:
    return {resource.id.partition("#")[2]: resource for resource in Git(url=url).discover()}


def point(repo: Repo, branch: str, sha: str) -> None:
    repo.refs[f"refs/heads/{branch}".encode()] = sha.encode()


def drop(repo: Repo, name: str) -> None:
    del repo.refs[name.encode()]


def grown(url: str, repo: Repo, commits: int = 3) -> Watcher:
    """Somebody who knows a repository of some commits."""
    for number in range(commits):
        commit(repo, {"a": b"%d" % number}, message=f"old {number}")
    watcher = Watcher(url)
    assert watcher.look() == []
    return watcher


def test_the_repository_its_branches_and_tags_are_resources(repo: Repo, url: str) -> None:
    first = commit(repo, {"a": b"1"}, message="Begin\n\nat last")
    second = commit(repo, {"a": b"2"}, message="Go on")
    other = commit(repo, {"a": b"3"}, "a/b")
    tag(repo, "v1", first)
    tag(repo, "v2", second, annotated=True)
    found = by_id(url)
    assert [*found] == ["", "heads/main", "heads/a/b", "tags/v1", "tags/v2"]
    whole, main = found[""], found["heads/main"]
    host = url.split("/")[2]
    assert (whole.id, whole.kind, whole.name) == (f"git://{host}/acme/flows", "git.repository", "acme/flows")
    assert whole.labels == {"default_branch": "main", "branches": 2, "tags": 2}
    assert (main.kind, main.name, main.related) == ("git.branch", "acme/flows main", (Related(whole.id, "part-of"),))
    assert {**main.labels, "committed": ""} == {
        "commit": second, "default": True, "committed": "", "author": "Ada", "title": "Go on"
    }  # fmt: skip
    assert str(main.labels["committed"]).startswith("2023-11-14T")
    assert (found["heads/a/b"].labels["commit"], found["heads/a/b"].labels["default"]) == (other, False)
    assert found["tags/v1"].labels == {"commit": first, "annotated": False}
    assert found["tags/v2"].labels == {"commit": second, "annotated": True}
    assert [*by_id(url + ".git")] == [*found]
    assert next(Git(url=url + ".git").discover()).id == whole.id


def test_an_empty_repository_is_there_and_its_first_push_is_told(repo: Repo, url: str) -> None:
    assert [*by_id(url)] == [""]
    watcher = Watcher(url)
    assert watcher.look() == []
    sha = commit(repo, {"a": b"1"}, message="one")
    commit(repo, {"a": b"2"}, message="two")
    tip = repo.refs[b"refs/heads/main"].decode()
    assert sha != tip
    expected = [("branch.created", "main", tip), ("commit.pushed", "main", "one"), ("commit.pushed", "main", "two")]
    assert watcher.told() == expected


def test_commits_are_told_once_oldest_first(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    assert watcher.look() == []
    for number in range(3):
        commit(repo, {"a": b"new %d" % number}, message=f"new {number}\n\ntext")
    events = watcher.look()
    assert [short(event)[2] for event in events[:3]] == ["new 0", "new 1", "new 2"]
    pushed, push = events[2], events[3]
    assert pushed.payload == {
        "commit": push.payload["commit"], "branch": "main", "author": "Ada", "title": "new 2",
        "committed": pushed.payload["committed"], "is_merge": False,
    }  # fmt: skip
    whole = pushed.resource.id.partition("#")[0]
    assert (pushed.resource.kind, pushed.resource.id) == ("git.commit", f"{whole}#commits/{push.payload['commit']}")
    assert pushed.resource.related == (Related(whole, "part-of"), Related(f"{whole}#heads/main", "part-of"))
    assert (push.event, push.payload["commits"], push.payload["is_forced"]) == ("git.branch.pushed", 3, False)
    assert "note" not in push.payload
    assert watcher.look() == []


def test_a_look_that_failed_is_told_again_under_the_same_keys(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    commit(repo, {"a": b"new"})
    before = watcher.cursor
    first = [(event.event, event.key) for event in watcher.look()]
    watcher.cursor = before
    commit(repo, {"a": b"newer"})
    again = [(event.event, event.key) for event in watcher.look()]
    assert again[0] == first[0]
    assert len({*first, *again}) == len(first) + 2


def test_branches_come_with_their_own_commits_and_go(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    tip = repo.refs[b"refs/heads/main"].decode()
    point(repo, "same", tip)
    point(repo, "feature", tip)
    feature = commit(repo, {"b": b"1"}, "feature", "mine")
    expected = [("branch.created", "feature", feature), ("commit.pushed", "feature", "mine")]
    assert watcher.told() == [*expected, ("branch.created", "same", tip)]
    drop(repo, "refs/heads/same")
    assert watcher.told() == [("branch.deleted", "same", tip)]
    # Fast-forward of main: it has got the commit, though the repository held it.
    point(repo, "main", feature)
    drop(repo, "refs/heads/feature")
    expected = [("commit.pushed", "main", "mine"), ("branch.pushed", "main", feature)]
    assert watcher.told() == [*expected, ("branch.deleted", "feature", feature)]


def test_the_same_branch_that_comes_back_is_told_again(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    keys = []
    for _ in range(2):
        point(repo, "x", repo.refs[b"refs/heads/main"].decode())
        keys += [(event.event, event.key) for event in watcher.look()]
        drop(repo, "refs/heads/x")
        keys += [(event.event, event.key) for event in watcher.look()]
    assert len(keys) == len({*keys}) == 4


def test_a_merge_is_no_force_push(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    main = repo.refs[b"refs/heads/main"]
    point(repo, "side", main.decode())
    commit(repo, {"b": b"1"}, "side", "aside")
    made = repo[commit(repo, {"a": b"ahead"}, message="ahead").encode()]
    made.parents = [main, repo.refs[b"refs/heads/side"]]
    made.message = b"merge"
    repo.object_store.add_object(made)
    point(repo, "main", made.id.decode())
    events = [event for event in watcher.look() if event.payload["branch"] == "main"]
    assert [short(event)[2] for event in events[:-1]] == ["aside", "merge"]
    assert [event.payload["is_merge"] for event in events[:-1]] == [False, True]
    assert events[-1].event == "git.branch.pushed"


def test_a_force_push_is_told_as_such(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    tip = repo.refs[b"refs/heads/main"]
    parent = repo[tip].parents[0].decode()
    point(repo, "main", parent)
    other = commit(repo, {"a": b"other"}, message="in its place")
    events = watcher.look()
    assert [short(event) for event in events] == [
        ("commit.pushed", "main", "in its place"), ("branch.force-pushed", "main", other)
    ]  # fmt: skip
    assert (events[-1].payload["before"], events[-1].payload["is_forced"]) == (tip.decode(), True)
    point(repo, "main", parent)
    assert watcher.told() == [("branch.force-pushed", "main", parent)]


def test_of_a_history_that_shares_nothing_old_commits_are_not_told(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    commit(repo, {"x": b"1"}, "pages", "years ago")
    fresh = repo[commit(repo, {"x": b"2"}, "pages", "today").encode()]
    fresh.commit_time = int(now().timestamp())
    repo.object_store.add_object(fresh)
    point(repo, "pages", fresh.id.decode())
    expected = [("branch.created", "pages", fresh.id.decode()), ("commit.pushed", "pages", "today")]
    assert watcher.told() == expected


def test_where_the_server_forgot_what_was_there_only_what_is_new_is_told(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    assert watcher.cursor is not None
    watcher.cursor["branches"]["main"] = "1" * 40
    tip = repo.refs[b"refs/heads/main"].decode()
    assert watcher.told() == [("branch.force-pushed", "main", tip)]


def test_more_commits_than_one_look_tells_are_cut_with_a_note(
    repo: Repo, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_watch, "COMMITS_MOST", 5)
    watcher = grown(url, repo)
    for number in range(12):
        commit(repo, {"a": b"new %d" % number}, message=f"new {number}")
    events = watcher.look()
    assert [short(event)[2] for event in events[:-1]] == [f"new {number}" for number in range(7, 12)]
    assert events[-1].event == "git.branch.pushed"
    assert (events[-1].payload["commits"], events[-1].payload["is_forced"]) == (5, None)
    assert "more than the 5 newest" in events[-1].payload["note"]
    assert watcher.look() == []


def test_branches_beyond_what_one_look_tells_are_told_by_the_next(
    repo: Repo, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = grown(url, repo)
    names = ["a", "b", "c", "d"]
    for name in names[:3]:
        point(repo, name, repo.refs[b"refs/heads/main"].decode())
    watcher.look()
    monkeypatch.setattr(repository_watch, "COMMITS_MOST", 5)
    monkeypatch.setattr(repository_watch, "BRANCHES_MOST", 3)
    point(repo, "d", repo.refs[b"refs/heads/main"].decode())
    for name in names:
        for number in range(2):
            commit(repo, {name: b"%d" % number}, name, f"{name}{number}")
    told = [watcher.told() for _ in range(3)]
    titles = [[title for kind, _, title in look if kind == "commit.pushed"] for look in told]
    assert titles == [["a0", "a1", "b0", "b1"], ["c0", "c1", "d0", "d1"], []]


def test_a_server_that_sends_too_much_is_stopped(repo: Repo, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = grown(url, repo)
    monkeypatch.setattr(repository_watch, "BYTES_MOST", 2000)
    monkeypatch.setattr(repository_watch, "DETAILS_BYTES", 2000)
    tip = commit(repo, {"a": bytes(range(256)) * 3, "b": b"".join(b"%d" % n for n in range(9999))})
    events = watcher.look()
    assert [short(event) for event in events] == [("branch.pushed", "main", tip)]
    assert "sent too much" in events[0].payload["note"]
    assert by_id(url)["heads/main"].labels == {"commit": tip, "default": True}
    assert watcher.look() == []


def test_tags_come_are_moved_and_go(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    tip = repo.refs[b"refs/heads/main"].decode()
    first = repo[tip.encode()].parents[0].decode()
    tag(repo, "v1", first)
    tag(repo, "v2", tip, annotated=True)
    events = watcher.look()
    assert [short(event) for event in events] == [("tag.created", "v1", first), ("tag.created", "v2", tip)]
    assert [event.payload["is_annotated"] for event in events] == [False, True]
    assert events[0].resource.kind == "git.tag"
    tag(repo, "v1", tip)
    drop(repo, "refs/tags/v2")
    assert watcher.told() == [("tag.moved", "v1", tip), ("tag.deleted", "v2", tip)]
    assert watcher.look() == []


def test_a_branch_that_vanishes_during_the_look_is_told_as_gone_by_the_next(
    repo: Repo, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = grown(url, repo)
    tip = repo.refs[b"refs/heads/main"].decode()
    point(repo, "x", tip)
    point(repo, "y", tip)
    watcher.look()
    commit(repo, {"x": b"1"}, "x")
    commit(repo, {"n": b"1"}, "new")
    fetched = repository_watch.fetched

    def too_late(*arguments: Any) -> Any:
        for name in (b"refs/heads/x", b"refs/heads/new"):
            repo.refs.remove_if_equals(name, None)
        return fetched(*arguments)

    monkeypatch.setattr(repository_watch, "fetched", too_late)
    assert watcher.look() == []
    assert watcher.told() == [("branch.deleted", "x", tip)]


def test_a_token_opens_what_is_private(repo: Repo, url: str) -> None:
    commit(repo, {"a": b"1"})
    private = url.replace("/acme/", "/private/")
    watcher = Watcher(private, token="secret")
    watcher.look()
    commit(repo, {"a": b"2"}, message="hidden")
    assert watcher.told()[0][2] == "hidden"
    assert [resource.kind for resource in Git(url=private, token="secret").discover()][1] == "git.branch"
    assert "secret" not in str(watcher.cursor)
    for fields in ({}, {"token": "canary"}):
        block = Git(url=private, **fields)
        with pytest.raises(AccessDenied, match="refuses this token") as caught:
            block.observe(watcher.cursor, lambda event: None)
        with pytest.raises(AccessDenied, match="refuses this token"):
            list(block.discover())
        assert "canary" not in str(caught.value)


def test_a_server_that_is_away_or_another_repository_tells_nothing(repo: Repo, tmp_path: Path) -> None:
    commit(repo, {"a": b"1"})
    other = new_repository(tmp_path / "other")
    commit(other, {"z": b"1"}, "trunk")
    with git_server({"/acme/flows": repo, "/acme/other": other}) as address:
        watcher = Watcher(f"{address}/acme/flows")
        watcher.look()
        with pytest.raises(NotFound, match="there is no repository"):
            Git(url=f"{address}/acme/nothing").observe(watcher.cursor, lambda event: None)
        watcher.url = f"{address}/acme/other"
        assert watcher.look() == []
    with pytest.raises(Unavailable, match="does not answer"):
        watcher.look()


def test_more_names_than_a_cursor_holds_are_refused(repo: Repo, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_watch, "NAMES_MOST", 1)
    sha = commit(repo, {"a": b"1"})
    tag(repo, "v1", sha)
    with pytest.raises(InvalidInput, match="has 2 branches and tags, more than the 1"):
        Git(url=url).observe(None, lambda event: None)


def test_names_and_texts_of_any_bytes_are_told(repo: Repo, url: str) -> None:
    watcher = grown(url, repo)
    sha = commit(repo, {"a": b"1"}, "näme", "x")
    odd = repo[sha.encode()]
    odd.author, odd.encoding, odd.message = b"J\xfcrgen <j@example.org>", b"no-such", b"\n  gr\xfc\xdfe\0 \r\nmore"
    odd.commit_time = int(now().timestamp())
    repo.object_store.add_object(odd)
    point(repo, "näme", odd.id.decode())
    pushed = watcher.look()[-1].payload
    assert (pushed["branch"], pushed["author"]) == ("näme", "J\ufffdrgen")
    assert pushed["title"] == "gr\ufffd\ufffde\ufffd"
    assert pushed["committed"] <= to_text(now())
