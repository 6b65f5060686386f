"""The files of a Git repository as a file system."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator

from orchestrator import settings
from orchestrator.block import Block
from orchestrator.errors import BlockError, InvalidInput, NotFound
from orchestrator.interfaces import Credentials, Discoverable, FileInfo, Observed, Resource, clean_path

from .file_systems import ReadOnly

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    from .file_systems.repository import Files, Remote
    from .file_systems.repository_watch import RepositoryWatch
except ImportError:
    Files = Remote = RepositoryWatch = None  # type: ignore[assignment,misc]

#: Whom each service expects beside a token: a word in the server's name, the name to log in with.
_USERS = (("gitlab", "oauth2"), ("bitbucket", "x-token-auth"), ("", "x-access-token"))


class Git(ReadOnly, Block, Discoverable):
    """Files of a Git repository at a branch, a tag or a commit, to be read; GitHub, GitLab, Bitbucket and others.

    A document that was loaded reads one commit for as long as it is used: the one that the branch named at first.

    All branches and tags of the repository are watched, whichever of them the block reads.
    """

    _name: ClassVar[str] = "Git repository"
    _slug: ClassVar[str] = "git"
    _logo: ClassVar[str] = "tabler:brand-git"
    _docs_url: ClassVar[str] = "https://git-scm.com/docs/git-fetch"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.git import Git

        Git(url="https://github.com/acme/flows", ref="main", token="...").save("flows")
        Git.load("flows").read("README.md")
        """
    _what: ClassVar[str] = "a Git repository"

    url: str = Field(
        description="Address of the repository, as it is cloned by HTTPS; with no secret in it.",
        pattern=r"^https?://[^/\s]+/\S+$",
        json_schema_extra={"x-placeholder": "https://github.com/acme/flows"},
    )
    ref: str = Field("", description="Branch, tag, or whole hash of a commit; empty: the default branch.")
    folder: str = Field("", description="Folder of the repository that all paths are relative to.")
    token: SecretStr | None = Field(None, description="Of a private repository; one that may read suffices.")
    credentials: Credentials | None = Field(
        None, description="In place of a token: credentials that hold one, such as GitHub's, shared with other blocks."
    )
    username: str | None = Field(
        None, description="Goes with the token; empty: what GitHub, GitLab and Bitbucket expect beside one."
    )

    _files: Any = PrivateAttr(None)

    @field_validator("url")
    @classmethod
    def _no_secret(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError("it holds a name or token, which everyone could read: use token")
        return url

    @field_validator("folder")
    @classmethod
    def _clean(cls, folder: str) -> str:
        try:
            return clean_path(folder.strip("/"))
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_token(self) -> Git:
        if self.token and self.credentials:
            raise ValueError("token and credentials both open the repository: give one of them")
        if self.credentials and not isinstance(getattr(self.credentials, "token", None), SecretStr):
            raise ValueError(f"{type(self.credentials).__name__} holds no token: give credentials that do, or a token")
        return self

    @property
    def commit(self) -> str:
        """The hash of the commit whose files are read."""
        return str(self._opened().commit)

    def download(self, path: str, file: BinaryIO) -> None:
        """Write a file's content into an open binary file. Files kept by Git LFS are the pointers to them."""
        files = self._opened()
        file.write(files.content(self._sha(files, path)))

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path; each bears the time of the commit. Submodules are left out."""
        start = len(self.folder) + 1 if self.folder else 0
        place = "/".join(part for part in (self.folder, clean_path(path)) if part)
        files = self._opened()
        for entry in files.below(place):
            yield FileInfo(entry.path[start:], len(files.content(entry.sha)), files.time)

    def stat(self, path: str) -> FileInfo:
        """Size of one file, and the time of the commit."""
        files = self._opened()
        return FileInfo(clean_path(path), len(files.content(self._sha(files, path))), files.time)

    def test(self) -> str:
        """Ask the server what the ref names now."""
        commit = self._remote().resolve(self.ref)
        return f"{self.ref or 'The default branch'} of {self.url} is at commit {commit[:12]}."

    def discover(self) -> Iterator[Resource]:
        """The repository, its branches and its tags."""
        return RepositoryWatch(self._remote()).resources()

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell commits that were pushed, and branches and tags that came, were moved, and went.

        ``git.commit.pushed`` is told of each commit that a branch has newly got, oldest first, and at most 1,000 a
        look: where that is not all, ``note`` of ``git.branch.pushed`` says so. A branch that was rewritten is
        ``git.branch.force-pushed``.
        """
        return RepositoryWatch(self._remote()).observe(cursor, emit)

    def _sha(self, files: Any, path: str) -> bytes:
        if not (clean := clean_path(path)):
            raise InvalidInput("the path of a file is empty")
        found = files.file(f"{self.folder}/{clean}" if self.folder else clean)
        if found is None:
            raise NotFound(f"there is no file {clean} in {self.url} at {self.ref or 'its default branch'}")
        return bytes(found)

    def _opened(self) -> Any:
        if self._files is None:
            remote = self._remote()
            name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
            commit = remote.resolve(self.ref)
            self._files = Files(remote.fetch(commit, settings.load().path("cache", "git", name)), commit)
        return self._files

    def _remote(self) -> Any:
        if Remote is None:
            raise BlockError('the Git block needs dulwich: pip install "orchestrator[git]"')
        held = self.token or getattr(self.credentials, "token", None)
        if held is None:
            return Remote(self.url, None, None)
        host = urlsplit(self.url).hostname or ""
        user = self.username or next(user for word, user in _USERS if word in host)
        return Remote(self.url, user, held.get_secret_value())
