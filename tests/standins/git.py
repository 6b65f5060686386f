"""A Git server over HTTP by dulwich: the smart protocol, with tokens as GitHub, GitLab and Bitbucket take them."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, Tag
from dulwich.objects import Tree as GitTree
from dulwich.repo import Repo
from dulwich.server import DEFAULT_HANDLERS, DictBackend, UploadPackHandler
from dulwich.web import make_wsgi_chain

AUTHOR = b"Ada <ada@example.org>"


class _Handler(UploadPackHandler):
    """Takes clients that cannot build upon what they name as known, as all other servers do."""

    @classmethod
    def required_capabilities(cls) -> tuple[bytes, ...]:
        return tuple(name for name in super().required_capabilities() if name != b"thin-pack")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def git_server(repositories: dict[str, Repo]) -> Iterator[str]:
    """Address of a server of repositories by path; those below ``/private`` ask for any user and token ``secret``."""
    chain = make_wsgi_chain(
        DictBackend(repositories),  # type: ignore[arg-type]
        handlers={**DEFAULT_HANDLERS, b"git-upload-pack": _Handler},
    )

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        login = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic ")
        user, _, token = base64.b64decode(login).decode().partition(":")
        if environ["PATH_INFO"].startswith("/private") and (not user or token != "secret"):
            start("401 Unauthorized", [("WWW-Authenticate", "Basic"), ("Content-Type", "text/plain")])
            return [b"no"]
        return chain(environ, start)

    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def new_repository(folder: Path) -> Repo:
    """An empty repository whose default branch is ``main``."""
    folder.mkdir(parents=True)
    return Repo.init_bare(str(folder), default_branch=b"main")


def commit(
    repo: Repo, files: Mapping[str, bytes], branch: str = "main", message: str = "change", modes: Mapping[str, int] = {}
) -> str:
    """Commit exactly these files on a branch; returns the hash. ``modes``: those that are no plain files."""
    blobs = []
    for path, content in files.items():
        blob = Blob.from_string(content)
        repo.object_store.add_object(blob)
        blobs.append((path.encode(), blob.id, modes.get(path, 0o100644)))
    made = Commit()
    made.tree = commit_tree(repo.object_store, blobs) if blobs else _empty(repo)
    name = f"refs/heads/{branch}".encode()
    made.parents = [repo.refs[name]] if name in repo.refs else []
    made.author = made.committer = AUTHOR
    made.author_time = made.commit_time = 1_700_000_000 + len(repo.refs.as_dict())
    made.author_timezone = made.commit_timezone = 0
    made.message = message.encode()
    repo.object_store.add_object(made)
    repo.refs[name] = made.id
    return str(made.id.decode())


def tag(repo: Repo, name: str, target: str, annotated: bool = False) -> None:
    """Tag a commit."""
    sha = target.encode()
    if annotated:
        made = Tag()
        made.tagger, made.message, made.name = AUTHOR, b"release", name.encode()
        made.object = (Commit, sha)
        made.tag_time, made.tag_timezone = 1_700_000_000, 0
        repo.object_store.add_object(made)
        sha = made.id
    repo.refs[f"refs/tags/{name}".encode()] = sha


def _empty(repo: Repo) -> bytes:
    tree = GitTree()
    repo.object_store.add_object(tree)
    return bytes(tree.id)
