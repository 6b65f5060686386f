"""What is Azure Blob Storage's own: ways to log in, and what its errors mean."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from pydantic import SecretStr, ValidationError

from orchestrator.blocks import azure_credentials
from orchestrator.blocks.azure_blob import AzureBlob
from orchestrator.blocks.azure_credentials import AzureCredentials
from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

from ...standins.azure import ACCOUNT, KEY, azure_server, connection_string, new_container


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with azure_server() as url:
        yield url


def blob(url: str, key: str = KEY, container: str | None = None) -> AzureBlob:
    account = AzureCredentials(account_key=SecretStr(key))
    return AzureBlob(
        container=container or new_container(url), account_name=ACCOUNT, endpoint_url=url, credentials=account
    )


def test_a_key_and_a_connection_string_open_the_same_account(url: str) -> None:
    files = blob(url)
    files.write("a", b"1")
    same = AzureBlob(
        container=files.container,
        credentials=AzureCredentials(connection_string=SecretStr(connection_string(url))),
    )
    assert same.read("a") == b"1"
    assert files.test().endswith("holds files.")


def test_a_wrong_key_is_access_denied(url: str) -> None:
    files = blob(url, base64.b64encode(b"wrong").decode(), new_container(url))
    with pytest.raises(AccessDenied, match="refuses these credentials"):
        files.read("a")
    with pytest.raises(AccessDenied, match="refuses these credentials"):
        files.test()


def test_without_its_container_it_names_it(url: str) -> None:
    with pytest.raises(NotFound, match=f"no container azure://{ACCOUNT}/not-there"):
        blob(url, container="not-there").write("a", b"")


def test_a_service_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="azure://"):
        blob("http://127.0.0.1:9/devstoreaccount1", container="any").read("a")


def test_one_way_to_log_in_is_given() -> None:
    with pytest.raises(ValidationError, match="more than one way"):
        AzureCredentials(account_key="a", sas_token="b")
    with pytest.raises(ValidationError, match="give all three"):
        AzureCredentials(tenant_id="a", client_id="b")
    with pytest.raises(BlockError, match="account_name is empty"):
        AzureBlob(container="any", credentials=AzureCredentials(account_key="a")).read("a")
    with pytest.raises(BlockError, match="cannot be used"):
        AzureBlob(container="any", credentials=AzureCredentials(connection_string="nonsense")).read("a")


def test_a_folder_at_a_time_gives_the_same_order(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = blob(url)
    names = ["a.txt", "a/b/c", "a/b.c", "a-b/c", "z"]
    for name in names:
        files.write(name, b"")
    # Azurite has no accounts with real folders; their listing is the same requests.
    monkeypatch.setattr(AzureBlob, "_has_folders", staticmethod(lambda service: True))
    assert [info.path for info in files.list()] == sorted(names)
    assert [info.path for info in files.list("a")] == ["a/b.c", "a/b/c"]


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_credentials, "BlobServiceClient", None)
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[azure\]"'):
        AzureBlob(container="any", account_name="x").read("a")
