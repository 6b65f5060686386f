"""What is SMB's own: accounts, shares, servers that are away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.blocks import smb
from orchestrator.blocks.smb import SMB
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, Unavailable

from ...polling import free_port
from ...standins.smb import SMBD, SMBServer, smb_server

pytestmark = pytest.mark.skipif(not SMBD, reason="smbd is missing: install Debian's package samba, as .ci/run does")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SMBServer]:
    with smb_server(tmp_path_factory.mktemp("smb")) as server:
        yield server


def share(server: SMBServer, **more: object) -> SMB:
    facts = {"host": "127.0.0.1", "port": server.port, "share": "files", "username": server.username}
    return SMB.model_validate({**facts, "password": server.password, **more})


def test_a_wrong_password_is_access_denied(server: SMBServer) -> None:
    with pytest.raises(AccessDenied, match="refuses the account") as caught:
        share(server, password="canary").read("a")
    assert "canary" not in str(caught.value)


def test_a_share_and_a_folder_that_are_not_there_are_not_found(server: SMBServer) -> None:
    with pytest.raises(NotFound, match="no share nothing on"):
        share(server, share="nothing").test()
    with pytest.raises(NotFound, match="no folder smb://"):
        share(server, basepath="not/there").test()


def test_a_share_that_is_read_only_refuses(server: SMBServer) -> None:
    with pytest.raises(AccessDenied, match="may not do it"):
        share(server, share="readonly").write("a", b"")


def test_a_server_that_is_away_is_unavailable(server: SMBServer) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        share(server, port=free_port()).read("a")


def test_a_name_that_windows_does_not_take_is_one_line(server: SMBServer) -> None:
    with pytest.raises(InvalidInput, match="does not take such a name"):
        share(server).write("a*b?", b"")


def test_what_is_sent_can_be_encrypted(server: SMBServer) -> None:
    files = share(server, encrypt=True)
    files.write("secret.txt", b"1")
    assert files.read("secret.txt") == b"1"


def test_without_its_extra_it_names_the_install(server: SMBServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smb, "SMBDriver", None)
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[smb\]"'):
        share(server, basepath="other").read("a")
