"""A file lands in a bucket, and a deployment runs with its key."""

from __future__ import annotations

from pathlib import Path

from ..polling import until
from ..stack import Stack
from ..standins import s3
from ..stories import deploy, new_name, save

BODY = """(key: str, size: int) -> str:
    return f"{key} has {size + 0} bytes"
"""


def test_a_file_lands_and_a_deployment_runs_with_its_key(stack: Stack, tmp_path: Path) -> None:
    name = new_name("landing")
    with s3.s3_server() as url, stack.agent(name):
        bucket, client = s3.new_bucket(url), s3.s3_client(url)
        save(
            stack, f"s3/{name}", bucket=bucket, endpoint_url=url, region="us-east-1", access_key_id="key",
            secret_access_key="secret",
        )  # fmt: skip
        parameters = {"key": "{{ event.payload.path }}", "size": "{{ event.payload.size }}"}
        trigger = {
            "name": name,
            "when": {"expect": "s3.object.created", "match": {"resource.id": f"*/{bucket}/raw/*"}},
            "then": [{"do": "run-deployment", "deployment": f"job/{name}", "parameters": parameters}],
        }
        deployment = deploy(stack, tmp_path / "project", name, BODY, triggers=[trigger])
        client.put_object(Bucket=bucket, Key="raw/old.csv", Body=b"was there")
        stack.client.patch(f"blocks/s3/{name}/discovery", {"active": True, "work_queue": name, "interval_s": 10})
        until(lambda: stack.client.get(f"blocks/s3/{name}/discovery")["last_ok"], "the first look", 90)
        for key in ("raw/new.csv", "other/new.csv"):
            client.put_object(Bucket=bucket, Key=key, Body=b"12345")

        run = until(lambda: [*stack.client.pages("flow-runs", {"deployment_id": deployment})], "a run", 90)[0]
        ended = stack.wait_for_run(run["id"])
        stack.client.patch(f"blocks/s3/{name}/discovery", {"active": False})
        client.close()
    assert (ended["state"]["type"], ended["parameters"]) == ("COMPLETED", {"key": "raw/new.csv", "size": 5})
    assert len([*stack.client.pages("flow-runs", {"deployment_id": deployment})]) == 1
    [action] = [item for item in stack.client.pages("actions") if run["id"] in str(item["result"])]
    assert (action["kind"], action["state"]) == ("run-deployment", "done")
