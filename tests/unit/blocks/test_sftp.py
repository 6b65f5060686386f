"""What is SFTP's own: host keys, ways to log in, servers that are away or end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from orchestrator.blocks import ssh_credentials
from orchestrator.blocks.sftp import SFTP
from orchestrator.blocks.ssh_credentials import SSHCredentials
from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

from ...polling import free_port
from ...standins.sftp import SFTPServer, sftp_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SFTPServer]:
    with sftp_server(tmp_path_factory.mktemp("sftp")) as server:
        yield server


def folder(server: SFTPServer, basepath: str = "", port: int | None = None, **more: object) -> SFTP:
    account = {"username": "user", "password": "secret", "known_hosts": server.known_hosts, **more}
    credentials = SSHCredentials.model_validate(account)
    return SFTP(host="127.0.0.1", port=port or server.port, basepath=basepath, credentials=credentials)


def test_a_key_with_its_passphrase_opens_it(server: SFTPServer) -> None:
    files = folder(server, password=None, private_key=server.private_key, passphrase=server.passphrase)
    files.write("by-key", b"1")
    assert (server.root / "by-key").read_bytes() == b"1"
    assert "ssh-ed25519" in files.credentials.test()
    with pytest.raises(BlockError, match="is encrypted: give its passphrase"):
        folder(server, password=None, private_key=server.private_key).read("a")
    with pytest.raises(BlockError, match="cannot be read") as caught:
        folder(server, password=None, private_key="nonsense-canary").read("a")
    assert "canary" not in str(caught.value)


def test_a_wrong_password_is_access_denied(server: SFTPServer) -> None:
    with pytest.raises(AccessDenied, match="refuses the account user") as caught:
        folder(server, password="wrong-canary").read("a")
    assert "canary" not in str(caught.value)


def test_a_computer_that_nobody_named_is_refused(server: SFTPServer) -> None:
    other = server.known_hosts.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(AccessDenied, match="is not in known_hosts"):
        folder(server, known_hosts=other).read("a")
    with pytest.raises(BlockError, match="line 2, is no host key"):
        folder(server, known_hosts="# mine\nnonsense").read("a")
    with pytest.raises(NotFound):
        folder(server, known_hosts="", check_host_key=False).read("a")


def test_a_computer_that_shows_another_key_is_refused(
    server: SFTPServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with sftp_server(tmp_path_factory.mktemp("other")) as other:
        known = other.known_hosts.replace(str(other.port), str(server.port))
        with pytest.raises(AccessDenied, match="another key than known_hosts names"):
            folder(server, known_hosts=known).read("a")


def test_a_computer_that_is_away_is_unavailable(server: SFTPServer) -> None:
    with pytest.raises(Unavailable, match="cannot be reached by SSH"):
        folder(server, port=free_port()).read("a")


def test_a_folder_that_is_not_there_is_not_found(server: SFTPServer) -> None:
    with pytest.raises(NotFound, match="there is no folder sftp://"):
        folder(server, "/not/there").test()
    with pytest.raises(NotFound, match="there is no folder"):
        [*folder(server, "/not/there").discover()]


def test_an_absolute_folder_and_the_first_one_are_the_same_here(server: SFTPServer) -> None:
    folder(server, "/both/ways").write("a", b"1")
    assert folder(server, "both").read("ways/a") == b"1"
    assert [info.path for info in folder(server, "/").list("both")] == ["both/ways/a"]


def test_a_connection_that_ended_is_replaced(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("ending")
    with sftp_server(place) as server:
        files = folder(server)
        files.write("a", b"1")
    with pytest.raises(Unavailable):
        files.read("a")


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_credentials, "paramiko", None)
    account = SSHCredentials(username="a", private_key=SecretStr("x"))
    for act in (lambda: SFTP(host="x", credentials=account).read("a"), account.test):
        with pytest.raises(BlockError, match=r'pip install "orchestrator\[sftp\]"'):
            act()
