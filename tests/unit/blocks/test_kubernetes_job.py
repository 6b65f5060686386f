"""Kubernetes Jobs on the stand-in: manifests, reasons, events, what is left behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
from orchestrator.blocks.kubernetes_job import KubernetesJob
from orchestrator.errors import AccessDenied, BlockError, Unavailable
from orchestrator.interfaces import Elsewhere, Observed
from tests.hosting import Host, finish, spec_of
from tests.polling import until
from tests.standins import kubernetes
from tests.standins.kubernetes import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with kubernetes.cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def block(cluster: Cluster, **fields: Any) -> KubernetesJob:
    account = KubernetesCluster(kubeconfig=cluster.kubeconfig)  # type: ignore[call-arg, arg-type]
    values = {"image": "flows:1", "namespace": "flows", "python": sys.executable, "cluster": account, **fields}
    return KubernetesJob(**values)


def launch(made: KubernetesJob, program: str, host: Host | None = None) -> Elsewhere:
    return cast(Elsewhere, made.launch(spec_of(program), host or Host()))


def names(cluster: Cluster, kind: str, running: Elsewhere) -> list[str]:
    name = running.identifier.partition("/")[2]
    return [item["metadata"]["name"] for item in cluster.of_kind(kind) if item["metadata"]["name"].startswith(name)]


def test_the_run_is_told_by_labels_and_its_token_travels_in_a_secret(cluster: Cluster) -> None:
    before = len(cluster.created)
    program = "import os; print(os.environ['ORCHESTRATOR_API_KEY'], os.environ['TZ'], os.environ['ORCHESTRATOR_HOME'])"
    running = launch(block(cluster, env={"TZ": "UTC"}, labels={"team": "data"}), program)
    assert len(names(cluster, "secrets", running)) == 1
    code, output, _ = finish(running)
    assert (code, output) == (0, "run_canary UTC /tmp/orchestrator\n")
    secret, job = cluster.created[before:]
    assert "run_canary" not in json.dumps(job)
    assert secret["stringData"] == {"token": "run_canary"}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "data"
    assert labels["orchestrator.flow-run.name"] == "Brave-Test"
    assert job["spec"]["backoffLimit"] == 0
    until(lambda: not names(cluster, "jobs", running) and not names(cluster, "secrets", running), "their removal")


def test_a_job_that_is_to_stay_stays_and_its_secret_goes(cluster: Cluster) -> None:
    running = launch(block(cluster, auto_remove=False), "raise SystemExit(7)")
    code, _, reason = finish(running)
    assert code == 7
    assert "exited with code 7" in reason
    assert len(names(cluster, "jobs", running)) == 1
    assert names(cluster, "secrets", running) == []


def test_fields_patches_and_a_template_make_the_manifest(cluster: Cluster) -> None:
    template = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"template": {"spec": {"containers": [{"name": "flow", "env": [{"name": "LANG", "value": "C"}]}]}}},
    }
    made = block(
        cluster,
        manifest=template,
        service_account="robot",
        pull_secrets=["registry"],
        pull_policy="always",
        cpus=0.5,
        memory_mb=64,
        patches=[
            {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"disk": "fast"}},
            {"op": "replace", "path": "/spec/ttlSecondsAfterFinished", "value": 60},
        ],
    )
    assert finish(launch(made, "pass"))[0] == 0
    job = cluster.created[-1]
    pod = job["spec"]["template"]["spec"]
    assert job["metadata"]["annotations"] == {"a": "b"}
    assert (job["spec"]["ttlSecondsAfterFinished"], pod["nodeSelector"]) == (60, {"disk": "fast"})
    assert (pod["serviceAccountName"], pod["imagePullSecrets"]) == ("robot", [{"name": "registry"}])
    assert pod["terminationGracePeriodSeconds"] == 2
    (container,) = pod["containers"]
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "500m", "memory": "64Mi"}
    assert {"name": "LANG", "value": "C"} in container["env"]


@pytest.mark.parametrize(
    "patch",
    [
        {"op": "add"},
        {"op": "mend", "path": "/x"},
        {"op": "add", "path": "/x"},
        {"op": "copy", "path": "/x"},
        {"path": "x"},
    ],
)
def test_what_is_no_patch_is_refused_when_it_is_saved(cluster: Cluster, patch: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="patch 1"):
        block(cluster, patches=[patch])


def test_a_patch_that_does_not_fit_and_a_manifest_that_the_cluster_refuses_are_named(cluster: Cluster) -> None:
    with pytest.raises(BlockError, match="does not fit"):
        launch(block(cluster, patches=[{"op": "remove", "path": "/spec/nothing"}]), "pass")
    with pytest.raises(BlockError, match="refuses: invalid"):
        launch(
            block(cluster, patches=[{"op": "add", "path": "/spec/template/spec/hostnetwork", "value": True}]), "pass"
        )
    assert [item for item in cluster.of_kind("secrets") if item["metadata"]["namespace"] == "flows"] == []


def test_the_clusters_events_of_the_pod_become_ours(cluster: Cluster) -> None:
    host = Host()
    running = launch(block(cluster), "import time; time.sleep(0.5)", host)
    finish(running)
    until(lambda: {"kubernetes.pod.scheduled", "kubernetes.pod.started"} <= {event for event, _, _ in host.events})
    event, resource, payload = host.events[0]
    assert event == "kubernetes.pod.scheduled"
    assert resource["resource.id"].startswith(
        f"kubernetes://{cluster.url.partition('//')[2]}/flows/pods/run-brave-test"
    )
    assert payload["message"].startswith("Successfully assigned")


def test_an_image_that_cannot_be_fetched_is_the_reason(cluster: Cluster) -> None:
    host = Host()
    code, _, reason = finish(launch(block(cluster, image="missing:1"), "pass", host))
    assert code == -1
    assert "ImagePullBackOff" in reason
    until(lambda: any("Failed to pull image" in line for line in host.told), "the cluster's warning in the log")


def test_a_pod_that_never_begins_is_given_up(cluster: Cluster) -> None:
    running = launch(block(cluster, image="never:1", start_timeout_s=1), "pass")
    _, _, reason = finish(running)
    assert "did not begin within 1 s" in reason


@pytest.mark.parametrize(("blow", "says"), [("evict", "Evicted"), ("kill", "OOMKilled")])
def test_what_befalls_a_pod_is_the_reason(cluster: Cluster, blow: str, says: str) -> None:
    running = launch(block(cluster), "print('begun', flush=True); import time; time.sleep(60)")
    (pod,) = until(lambda: names(cluster, "pods", running))
    until(lambda: b"begun" in cluster.log_of(pod).read_bytes() if cluster.log_of(pod).exists() else False)
    getattr(cluster, blow)(pod)
    assert says in finish(running)[2]


def test_terminate_gives_the_pod_its_grace(cluster: Cluster) -> None:
    program = "import signal, time; signal.signal(15, lambda *a: exit(5)); print('ready', flush=True); time.sleep(60)"
    running = launch(block(cluster), program)
    (pod,) = until(lambda: names(cluster, "pods", running))
    until(lambda: cluster.log_of(pod).exists() and b"ready" in cluster.log_of(pod).read_bytes())
    running.terminate()
    assert finish(running)[0] == 5


def test_the_test_names_what_the_account_may_not_do(cluster: Cluster) -> None:
    assert "lets the account run Jobs" in block(cluster).test()
    cluster.denied = {"create secrets", "get pods"}
    try:
        with pytest.raises(AccessDenied, match="create secrets, get pods/log"):
            block(cluster).test()
    finally:
        cluster.denied = set()


def test_a_cluster_account_is_tried_and_a_wrong_one_named(cluster: Cluster) -> None:
    assert "v1.30.0-stub" in KubernetesCluster(kubeconfig=cluster.kubeconfig).test()  # type: ignore[call-arg, arg-type]
    wrong = cluster.kubeconfig.replace(kubernetes.TOKEN, "other")
    with pytest.raises(AccessDenied, match="Unauthorized") as raised:
        KubernetesCluster(kubeconfig=wrong).test()  # type: ignore[call-arg, arg-type]
    assert "other" not in str(raised.value)
    away = cluster.kubeconfig.replace(cluster.url, "http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        KubernetesCluster(kubeconfig=away).test()  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("text", ["{", "just words", "kind: Config"])
def test_a_kubeconfig_that_is_none_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(BlockError, match="kubeconfig") as raised:
        KubernetesCluster(kubeconfig=text).test()  # type: ignore[call-arg, arg-type]
    assert "\n" not in str(raised.value)


def test_an_api_on_the_agents_own_computer_cannot_be_reached_from_a_pod(cluster: Cluster) -> None:
    with pytest.raises(BlockError, match="set api_url"):
        block(cluster).launch(spec_of("pass", api_url="http://127.0.0.1:4200"), Host())


def test_a_run_that_is_not_wanted_any_more_leaves_nothing(cluster: Cluster) -> None:
    host = Host()
    host.is_wanted = False
    with pytest.raises(BlockError, match="asked to stop"):
        launch(block(cluster), "pass", host)
    assert [item for item in cluster.of_kind("secrets") if item["metadata"]["namespace"] == "flows"] == []


def test_a_cluster_is_discovered_and_its_events_observed(cluster: Cluster) -> None:
    made = KubernetesCluster(kubeconfig=cluster.kubeconfig)  # type: ignore[call-arg, arg-type]
    cursor = made.observe(None, lambda event: pytest.fail("the first look only takes note"))
    running = launch(block(cluster, auto_remove=False), "pass")
    finish(running)
    (pod,) = names(cluster, "pods", running)
    found = {item.id: item for item in made.discover()}
    root = f"kubernetes://{cluster.url.partition('//')[2]}"
    assert found[root].labels["version"] == "v1.30.0-stub"
    assert found[f"{root}/nodes/this-computer"].labels["ready"] is True
    assert found[f"{root}/flows/pods/{pod}"].labels["phase"] in ("Running", "Succeeded")
    seen: list[Observed] = []
    cursor = made.observe(cursor, seen.append)
    mine = [event for event in seen if event.resource.id == f"{root}/flows/pods/{pod}"]
    assert [event.event for event in mine] == ["kubernetes.pod.scheduled", "kubernetes.pod.started"]
    again: list[Observed] = []
    made.observe(cursor, again.append)
    assert {event.key for event in again} <= {event.key for event in seen}, "what is told again has the same key"
    other = KubernetesCluster(kubeconfig=cluster.kubeconfig, namespaces=["other"])  # type: ignore[call-arg, arg-type]
    assert [item.kind for item in other.discover()] == ["kubernetes.cluster", "kubernetes.node"]


def test_a_log_goes_on_after_a_broken_connection(cluster: Cluster, tmp_path: Path) -> None:
    running = launch(block(cluster), "import time\nfor n in range(30): print(n, flush=True); time.sleep(0.02)")
    code, output, _ = finish(running)
    assert code == 0
    assert output.split() == [str(n) for n in range(30)]
    # The stand-in, as real clusters, tells whole seconds again when it is asked to go on from an instant.
