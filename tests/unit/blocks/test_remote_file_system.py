"""What is fsspec's own: addresses, drivers, their options."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.blocks import remote_file_system
from orchestrator.blocks.remote_file_system import RemoteFileSystem
from orchestrator.errors import BlockError, NotFound, Unavailable


def test_a_password_does_not_stand_in_the_address() -> None:
    with pytest.raises(ValidationError, match="give username and password in options") as caught:
        RemoteFileSystem(url="ftp://user:canary@files.example/x")
    assert "canary" not in str(caught.value)
    with pytest.raises(ValidationError):
        RemoteFileSystem(url="no address")


def test_an_address_without_a_driver_names_it() -> None:
    with pytest.raises(BlockError, match="no driver for nonsense://"):
        RemoteFileSystem(url="nonsense://x/y").read("a")


def test_options_that_the_driver_does_not_take_are_one_line() -> None:
    with pytest.raises(BlockError, match="does not take these options"):
        RemoteFileSystem(url="sftp://127.0.0.1/x", options={"nonsense": 1}).read("a")


def test_a_server_that_is_away_is_unavailable_and_shows_no_secret() -> None:
    files = RemoteFileSystem(url="ftp://127.0.0.1:9/x", options={"username": "user", "password": "canary"})
    with pytest.raises(Unavailable, match=r"ftp://127\.0\.0\.1:9/x") as caught:
        files.read("a")
    assert "canary" not in str(caught.value)


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        RemoteFileSystem(url=f"file://{tmp_path}/not/there").test()


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_file_system, "fsspec", None)
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[fsspec\]"'):
        RemoteFileSystem(url="memory://not-opened-yet").read("a")
