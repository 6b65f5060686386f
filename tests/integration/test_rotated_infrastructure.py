"""An account inside an infrastructure block is rotated: the next run uses it, and nothing else was touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
from orchestrator.blocks.kubernetes_job import KubernetesJob
from tests.agents import System, system
from tests.standins import kubernetes


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        yield found


def test_the_next_run_uses_the_new_account(served: System, tmp_path: Path) -> None:
    client = served.client
    with kubernetes.cluster(tmp_path / "cluster") as cluster:
        for kind in (KubernetesCluster, KubernetesJob):
            client.post("block-types", kind.type_facts())
        old = cluster.kubeconfig.replace(kubernetes.TOKEN, "an-old-token")
        account = client.post("blocks", {"type": "kubernetes-cluster", "name": "c", "data": {"kubeconfig": old}})
        data = {
            "image": "flows:1",
            "python": sys.executable,
            "cluster": {"$block": account["id"]},
            "api_url": "http://orchestrator.example.com:4200",
            # The image is never there: that the cluster took the account is all that is asked for here.
            "start_timeout_s": 1,
        }
        client.post("blocks", {"type": "kubernetes-job", "name": "j", "data": {**data, "image": "missing:1"}})
        document = {
            "flow": "adds",
            "name": "test",
            "entrypoint": "flows.py:adds",
            "storage": {"path": str(served.project)},
            "infrastructure": {"block": "kubernetes-job/j"},
            "work_queue": served.queue,
        }
        deployment = client.post("deployments", document)["deployment"]["id"]
        with served.agent():
            refused = served.end_of(served.run(deployment))["state"]
            assert refused["type"] == "CRASHED"
            assert "refuses the account" in refused["message"]
            client.post(f"blocks/{account['id']}/rotate", {"data": {"kubeconfig": cluster.kubeconfig}})
            taken = served.end_of(served.run(deployment))["state"]
            assert taken["type"] == "CRASHED"
            assert "ImagePullBackOff" in taken["message"]
