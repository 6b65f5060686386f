"""What is S3's own: prefixes, credentials, and what its errors mean. What every storage promises is in the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.core import set_initial_no_auth_action_count
from pydantic import SecretStr, ValidationError

from orchestrator.blocks import aws_credentials, s3
from orchestrator.blocks.aws_credentials import AWSCredentials
from orchestrator.blocks.s3 import S3
from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

from ...standins.s3 import new_bucket, s3_client, s3_server


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


def make_s3(url: str, prefix: str = "some/prefix") -> S3:
    keys = {"access_key_id": "key", "secret_access_key": SecretStr("secret")}
    return S3(bucket=new_bucket(url), prefix=prefix, endpoint_url=url, region="us-east-1", **keys)


def test_s3_prefixes_do_not_mix(s3_url: str) -> None:
    one = make_s3(s3_url, "one")
    other = one.model_copy(update={"prefix": "one-more"})
    one.write("a", b"1")
    other.write("a", b"2")
    assert [info.path for info in one.list()] == ["a"]
    assert one.read("a") == b"1"


def test_s3_without_its_bucket_names_it(s3_url: str) -> None:
    files = S3(bucket="not-there", endpoint_url=s3_url, access_key_id="k", secret_access_key="s", region="us-east-1")
    with pytest.raises(NotFound, match="no bucket s3://not-there"):
        files.write("a", b"")


def test_s3_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    files = S3(
        bucket="any", endpoint_url="http://127.0.0.1:9", access_key_id="k", secret_access_key="s", region="us-east-1"
    )
    with pytest.raises(Unavailable, match="s3://any/a"):
        files.read("a")


def test_s3_refusing_the_key_is_access_denied(s3_url: str) -> None:
    files = make_s3(s3_url)

    @set_initial_no_auth_action_count(0)
    def write() -> None:
        files.write("a", b"")

    with pytest.raises(AccessDenied, match="refuses these credentials"):
        write()


def test_s3_without_its_extra_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "boto3", None)
    assert S3.type_facts()["slug"] == "s3"
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[s3\]"'):
        S3(bucket="any").read("a")


def test_the_account_is_held_by_reference_or_in_the_block_not_both(s3_url: str) -> None:
    account = AWSCredentials(access_key_id="key", secret_access_key="secret", region="us-east-1", endpoint_url=s3_url)
    files = S3(bucket=new_bucket(s3_url), credentials=account)
    files.write("a", b"1")
    assert files.read("a") == b"1"
    assert files.test() == f"s3://{files.bucket} can be listed; it holds files."
    with pytest.raises(ValidationError, match="both name an account: give one of them"):
        S3(bucket="any", credentials=account, access_key_id="key", secret_access_key="secret")
    with pytest.raises(ValidationError, match="go together"):
        S3(bucket="any", access_key_id="key")


def test_a_listing_of_many_pages_streams_in_order(s3_url: str) -> None:
    files = make_s3(s3_url)
    client = s3_client(s3_url)
    for number in range(1200):
        client.put_object(Bucket=files.bucket, Key=f"some/prefix/{number % 7}/{number}", Body=b"")
    listing = files.list()
    first = next(listing)
    paths = [first.path, *(info.path for info in listing)]
    assert len(paths) == 1200
    assert paths == sorted(paths)
    files.delete("3")
    assert not [*files.list("3")]
    assert len([*files.list()]) == 1200 - 171


def test_credentials_say_whose_they_are(s3_url: str) -> None:
    account = AWSCredentials(access_key_id="key", secret_access_key="secret", region="us-east-1", endpoint_url=s3_url)
    assert account.test().startswith("The account 123456789012, as arn:aws:sts")
    role = "arn:aws:iam::123456789012:role/reader"
    assert "assumed-role/reader/orchestrator" in account.model_copy(update={"role_arn": role}).test()
    with pytest.raises(Unavailable):
        account.model_copy(update={"endpoint_url": "http://127.0.0.1:9"}).test()
    with pytest.raises(BlockError, match="takes service"):
        account.client(bucket="x")


def test_credentials_without_their_extra_name_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_credentials, "boto3", None)
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[s3\]"'):
        AWSCredentials().client()
