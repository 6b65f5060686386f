"""What is Git's own: refs, one commit for as long as a block is used, tokens, links."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from dulwich.repo import Repo
from pydantic import SecretStr, ValidationError

from orchestrator.blocks import git
from orchestrator.blocks.git import Git
from orchestrator.blocks.github_credentials import GitHubCredentials
from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

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
    with git_server({"/acme/flows": repo, "/private/flows": repo}) as url:
        yield f"{url}/acme/flows"


def test_branches_tags_and_commits_are_read(repo: Repo, url: str) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"})
    branch = commit(repo, {"a": b"3"}, "feature/x")
    tag(repo, "v1", first)
    tag(repo, "v2", second, annotated=True)
    expected = {"": second, "main": second, "feature/x": branch, "v1": first, "v2": second, first: first}
    for ref, wanted in expected.items():
        files = Git(url=url, ref=ref)
        assert files.commit == wanted
        assert files.read("a") == {first: b"1", second: b"2", branch: b"3"}[wanted]


def test_one_commit_is_read_for_as_long_as_the_block_is_used(repo: Repo, url: str) -> None:
    first = commit(repo, {"a": b"1"})
    files = Git(url=url)
    assert files.read("a") == b"1"
    second = commit(repo, {"a": b"2", "b": b"2"})
    assert [info.path for info in files.list()] == ["a"]
    assert files.commit == first
    assert Git(url=url).commit == second


def test_a_commit_that_was_fetched_is_read_with_the_server_away(repo: Repo) -> None:
    first = commit(repo, {"a": b"1"})
    with git_server({"/acme/flows": repo}) as url:
        Git(url=f"{url}/acme/flows").read("a")
    assert Git(url=f"{url}/acme/flows", ref=first).read("a") == b"1"
    with pytest.raises(Unavailable, match="does not answer"):
        Git(url=f"{url}/acme/flows").read("a")


def test_what_is_not_there_is_not_found(repo: Repo, url: str) -> None:
    with pytest.raises(NotFound, match="holds no commit yet"):
        Git(url=url).read("a")
    commit(repo, {"a": b"1"})
    with pytest.raises(NotFound, match="no branch or tag nothing"):
        Git(url=url, ref="nothing").read("a")
    with pytest.raises(NotFound, match="all 40 digits"):
        Git(url=url, ref="abcdef1").read("a")
    with pytest.raises(NotFound, match="has no commit 0000"):
        Git(url=url, ref="0" * 40).read("a")
    with pytest.raises(NotFound, match="there is no repository"):
        Git(url=url + "-not").read("a")


def test_a_token_opens_what_is_private(repo: Repo, url: str) -> None:
    commit(repo, {"a": b"1"})
    private = url.replace("/acme/", "/private/")
    assert Git(url=private, token="secret").read("a") == b"1"
    held = GitHubCredentials(token="secret")
    assert Git(url=private, credentials=held).test().startswith("The default branch of")
    for token in (None, SecretStr("canary")):
        with pytest.raises(AccessDenied, match="refuses this token") as caught:
            Git(url=private, token=token).read("a")
        assert "canary" not in str(caught.value)
    with pytest.raises(ValidationError, match="give one of them"):
        Git(url=private, token="secret", credentials=held)


def test_links_inside_are_followed_and_those_that_leave_are_not(repo: Repo, url: str) -> None:
    files = {"a/b": b"1", "link": b"a/b", "folder": b"a", "up": b"../../etc/passwd", "loop": b"loop", "c/d": b"../a/b"}
    links = dict.fromkeys(("link", "folder", "up", "loop", "c/d"), 40960)
    commit(repo, files, modes=links)
    block = Git(url=url)
    assert [info.path for info in block.list()] == ["a/b", "c/d", "link"]
    assert block.read("link") == block.read("folder/b") == block.read("c/d") == b"1"
    for name in ("up", "loop"):
        with pytest.raises(NotFound):
            block.read(name)


@pytest.mark.parametrize("address", ["git@github.com:acme/flows", "https://token@github.com/acme/flows", "https://x"])
def test_addresses_that_are_not_cloned_by_https_are_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        Git(url=address)


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "Remote", None)
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[git\]"'):
        Git(url="https://github.com/acme/flows").read("a")
