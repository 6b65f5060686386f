"""The storages that suites run over: one server of each for a module, a fresh root in it for each test."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from dulwich.repo import Repo
from pydantic import SecretStr

from orchestrator.blocks.azure_blob import AzureBlob
from orchestrator.blocks.azure_credentials import AzureCredentials
from orchestrator.blocks.gcs import GCS
from orchestrator.blocks.git import Git
from orchestrator.blocks.http import HTTP
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.remote_file_system import RemoteFileSystem
from orchestrator.blocks.s3 import S3
from orchestrator.blocks.sftp import SFTP
from orchestrator.blocks.smb import SMB
from orchestrator.blocks.ssh_credentials import SSHCredentials
from orchestrator.interfaces import FileSystem

from ..standins import azure, gcs, s3, sftp, smb, web
from ..standins import git as git_standin

#: Kinds that read and write, each with a fresh root.
WRITABLE = ("local", "s3", "gcs", "azure", "sftp", "smb", "remote-local", "remote-memory")
READ_ONLY = ("http", "git")

#: A file system that holds some files.
Holding = Callable[[Mapping[str, bytes]], FileSystem]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3.s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def gcs_url() -> Iterator[str]:
    with gcs.gcs_server() as url:
        yield url


@pytest.fixture(scope="module")
def azure_url() -> Iterator[str]:
    with azure.azure_server() as url:
        yield url


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sftp.SFTPServer]:
    with sftp.sftp_server(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture(scope="module")
def smb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[smb.SMBServer]:
    if not smb.SMBD:
        pytest.skip("smbd is missing: install Debian's package samba, as .ci/run does")
    with smb.smb_server(tmp_path_factory.mktemp("smb")) as server:
        yield server


@pytest.fixture(scope="module")
def web_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def web_url(web_root: Path) -> Iterator[str]:
    with web.web_server(web_root) as url:
        yield url


@pytest.fixture(scope="module")
def repositories() -> dict[str, Repo]:
    return {}


@pytest.fixture(scope="module")
def git_url(repositories: dict[str, Repo]) -> Iterator[str]:
    with git_standin.git_server(repositories) as url:
        yield url


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], FileSystem]:
    """Gives a kind of :data:`WRITABLE` with a fresh root."""
    wanted = request.getfixturevalue
    fresh = f"some/{uuid.uuid4().hex[:12]}"
    makers: dict[str, Callable[[], FileSystem]] = {
        "local": lambda: LocalFileSystem(basepath=str(tmp_path / "root")),
        "s3": lambda: make_s3(wanted("s3_url")),
        "gcs": lambda: make_gcs(wanted("gcs_url")),
        "azure": lambda: make_azure(wanted("azure_url")),
        "sftp": lambda: make_sftp(wanted("sftp_server"), basepath=fresh),
        "smb": lambda: make_smb(wanted("smb_server"), basepath=fresh),
        "remote-local": lambda: RemoteFileSystem(url=f"file://{tmp_path}/remote"),
        "remote-memory": lambda: RemoteFileSystem(url=f"memory://{fresh}"),
    }
    return lambda kind: makers[kind]()


@pytest.fixture
def holding(request: pytest.FixtureRequest, storage: Callable[[str], FileSystem], tmp_path: Path) -> Holding:
    """Gives a file system of the kind that the test is run for, holding some files."""
    kind: str = request.param

    def make(content: Mapping[str, bytes]) -> FileSystem:
        if kind == "http":
            return serve_files(request.getfixturevalue("web_root"), request.getfixturevalue("web_url"), content)
        if kind == "git":
            repositories = request.getfixturevalue("repositories")
            return commit_files(repositories, request.getfixturevalue("git_url"), tmp_path, content)
        files = storage(kind)
        for name, text in content.items():
            files.write(name, text)
        return files

    return make


def make_s3(url: str, prefix: str = "some/prefix") -> S3:
    keys = {"access_key_id": "key", "secret_access_key": SecretStr("secret")}
    return S3(bucket=s3.new_bucket(url), prefix=prefix, endpoint_url=url, region="us-east-1", **keys)


def make_gcs(url: str) -> GCS:
    return GCS(bucket=gcs.new_bucket(url), prefix="some/prefix", endpoint_url=url)


def make_azure(url: str) -> AzureBlob:
    account = AzureCredentials(connection_string=SecretStr(azure.connection_string(url)))
    return AzureBlob(container=azure.new_container(url), prefix="some/prefix", credentials=account)


def make_sftp(server: sftp.SFTPServer, **more: object) -> SFTP:
    account = SSHCredentials(username="user", password=SecretStr("secret"), known_hosts=server.known_hosts)
    return SFTP.model_validate({"host": "127.0.0.1", "port": server.port, "credentials": account, **more})


def make_smb(server: smb.SMBServer, **more: object) -> SMB:
    account = {"username": server.username, "password": server.password}
    return SMB.model_validate({"host": "127.0.0.1", "port": server.port, "share": "files", **account, **more})


_numbers = itertools.count()


def serve_files(root: Path, url: str, content: Mapping[str, bytes]) -> HTTP:
    folder = root / f"some{next(_numbers)}"
    folder.mkdir()
    for name, text in content.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)
    return HTTP(url=f"{url}/{folder.name}")


def commit_files(repositories: dict[str, Repo], url: str, tmp_path: Path, content: Mapping[str, bytes]) -> Git:
    name = f"/some{next(_numbers)}"
    repositories[name] = git_standin.new_repository(tmp_path / "repositories" / name[1:])
    git_standin.commit(repositories[name], {f"inner/{path}": text for path, text in content.items()})
    return Git(url=url + name, folder="inner")
