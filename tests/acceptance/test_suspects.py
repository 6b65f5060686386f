"""A pod is evicted, and heads the suspects of the failure it caused."""

from __future__ import annotations

import sys
from pathlib import Path

from ..polling import until
from ..stack import Stack
from ..standins import kubernetes
from ..stories import deploy, new_name, save, start

WAITS = """(marker: str) -> None:
    open(marker, "w").close()
    while True:
        time.sleep(1)
"""


def test_an_evicted_pod_heads_the_suspects(stack: Stack, tmp_path: Path) -> None:
    name, marker = new_name("evicted"), tmp_path / "began"
    with kubernetes.cluster(tmp_path / "cluster") as cluster, stack.agent(name):
        account = save(stack, f"kubernetes-cluster/{name}", kubeconfig=cluster.kubeconfig)
        job = {"image": "flows:1", "namespace": "flows", "python": sys.executable, "cluster": account}
        # Pods of the stand-in are processes of this computer; of real ones no loopback address is taken.
        job["api_url"] = f"http://127.1:{stack.port}"
        save(stack, f"kubernetes-job/{name}", **job)
        deploy(stack, tmp_path / "project", name, WAITS, infrastructure={"block": f"kubernetes-job/{name}"})
        # somebody changed something before, which is innocent
        stack.client.patch(f"deployments/job/{name}", {"description": "waits for ever"})
        run = start(stack, name, marker=str(marker))
        until(marker.exists, "the flow to begin", 120)
        [pod] = cluster.of_kind("pods")
        cluster.evict(pod["metadata"]["name"])
        ended = stack.wait_for_run(run, 120)
        assert ended["state"]["type"] == "CRASHED"
        found = until(
            lambda: [item for item in suspects(stack, run) if item["event"] == "kubernetes.pod.evicted"],
            "the eviction among the suspects",
            60,
        )
        shown = suspects(stack, run)
    assert shown[0] == found[0]
    assert "low on resource" in found[0]["why"]
    assert found[0]["hops"] == 0


def suspects(stack: Stack, run: str) -> list[dict[str, object]]:
    return list(stack.json("flow-run", "suspects", run))
