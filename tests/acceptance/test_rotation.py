"""An AWS key is rotated in one block: the next run of every deployment uses it, and none of them is touched."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from orchestrator.block import Block, use_store
from orchestrator.blocks.aws_credentials import AWSCredentials
from orchestrator.blocks.s3 import S3
from orchestrator.keeping.result_storage import read_result
from orchestrator.stored.block_store import ApiBlockStore

from ..polling import until
from ..stack import Stack
from ..standins.s3 import accounts_checked, s3_server

FLOW = """
from orchestrator import Block, flow


@flow
def copy(store: str, name: str):
    files = Block.load(store)
    files.write(f"out/{name}.txt", name.encode())
    return files.read(f"out/{name}.txt").decode() * 5000
"""
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Account:
    """An account of Amazon's with one user, whose keys alone open the bucket."""

    def __init__(self, url: str) -> None:
        self.url = url
        suffix = uuid.uuid4().hex[:12]
        self.bucket, self._user_name = f"bucket-{suffix}", f"flows-{suffix}"
        self._iam = self._client("iam", "any", "any")
        admin = self._user(f"admin-{suffix}")
        self._user(self._user_name, new_key=False)
        self._client("s3", "any", "any").create_bucket(Bucket=self.bucket)
        # from here on keys are checked, and only the administrator's may make others
        self._iam = self._client("iam", admin["AccessKeyId"], admin["SecretAccessKey"])

    def new_key(self) -> dict[str, Any]:
        """A key of the user."""
        return dict(self._iam.create_access_key(UserName=self._user_name)["AccessKey"])

    def delete_key(self, key: dict[str, Any]) -> None:
        """From now on it is refused."""
        self._iam.delete_access_key(UserName=self._user_name, AccessKeyId=key["AccessKeyId"])
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            self._client("s3", key["AccessKeyId"], key["SecretAccessKey"]).list_objects_v2(Bucket=self.bucket)

    def _user(self, name: str, new_key: bool = True) -> dict[str, Any]:
        self._iam.create_user(UserName=name)
        self._iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
        return dict(self._iam.create_access_key(UserName=name)["AccessKey"]) if new_key else {}

    def _client(self, service: str, key_id: str, key: str) -> Any:
        keys = {"aws_access_key_id": key_id, "aws_secret_access_key": key}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **keys)


@pytest.fixture
def account() -> Iterator[Account]:
    with s3_server() as url:
        made = Account(url)
        with accounts_checked(url):
            yield made


@pytest.fixture(autouse=True)
def own_store(stack: Stack) -> Iterator[None]:
    with use_store(ApiBlockStore(stack.client)):
        yield


def test_a_rotated_aws_key_is_used_by_the_next_run_of_three_deployments(
    stack: Stack, account: Account, tmp_path: Path
) -> None:
    name, old = f"rotated-{uuid.uuid4().hex[:6]}", account.new_key()
    credentials = AWSCredentials(
        access_key_id=old["AccessKeyId"], secret_access_key=SecretStr(old["SecretAccessKey"]), region="us-east-1",
        endpoint_url=account.url,
    )  # fmt: skip
    credentials.save(name)
    S3(bucket=account.bucket, credentials=credentials).save(name)
    deployed = [deploy(stack, tmp_path, name, title) for title in ("one", "two", "three")]
    with stack.agent(name) as agent:
        for facts in deployed:
            completes(stack, facts)

        account.delete_key(old)
        refused = run_of(stack, deployed[0])
        assert refused["state"]["type"] in ("FAILED", "CRASHED")
        assert "InvalidAccessKeyId" in refused["state"]["message"]

        new = account.new_key()
        words = [f"access_key_id={new['AccessKeyId']}", f"secret_access_key={new['SecretAccessKey']}"]
        rotated = stack.cli(
            "block", "rotate", f"aws-credentials/{name}", *(word for pair in words for word in ("--set", pair))
        )
        assert rotated.returncode == 0, rotated.stderr
        assert new["SecretAccessKey"] not in rotated.stdout + rotated.stderr
        for facts in deployed:
            assert f"copy/{facts['name']}" in rotated.stderr
            completes(stack, facts)
        assert agent.poll() is None
    assert [stack.client.get(f"deployments/{facts['id']}") for facts in deployed] == deployed
    [event] = until(lambda: [*stack.client.pages("events", {"event": "block.rotated"})], "the event of the rotation")
    assert event["payload"]["dependents"] == {"blocks": 1, "deployments": 3}


def deploy(stack: Stack, folder: Path, store: str, title: str) -> dict[str, Any]:
    """A deployment whose code and results lie in the bucket, and whose flow writes to it."""
    project = folder / title
    project.mkdir()
    (project / "flow.py").write_text(f"# {title}\n{FLOW}")
    words = ("-n", f"{store}-{title}", "-q", store, "-sb", f"s3/{store}/code", "-rb", f"s3/{store}", "--apply")
    parameters = ("--param", f"store=s3/{store}", "--param", f"name={title}")
    built = stack.cli("deployment", "build", "./", *words, *parameters, "-o", "d.yaml", cwd=project)
    assert built.returncode == 0, built.stderr
    return dict(stack.json("deployment", "inspect", f"copy/{store}-{title}"))


def run_of(stack: Stack, deployment: dict[str, Any]) -> dict[str, Any]:
    """A run that has to fetch its code, too."""
    shutil.rmtree(stack.home / "cache" / "code" / deployment["storage"]["snapshot"], ignore_errors=True)
    return stack.wait_for_run(stack.client.post(f"deployments/{deployment['id']}/runs", {})["id"])


def completes(stack: Stack, deployment: dict[str, Any]) -> None:
    """A run fetches its code, writes, and stores its result."""
    title, run = deployment["parameters"]["name"], run_of(stack, deployment)
    assert run["state"]["type"] == "COMPLETED", (run["state"], stack.logs(run["id"]))
    assert run["result"]["block"] == deployment["results"]["block_id"]
    assert read_result(run["id"], stack.client) == title * 5000
    files: Any = Block.load(deployment["storage"]["block"])
    assert files.read(f"out/{title}.txt") == title.encode()
