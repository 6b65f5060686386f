"""Kubernetes Jobs as a place to execute runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue, field_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, OrchestratorError
from orchestrator.interfaces import Infrastructure, LaunchSpec, ProcessHost, Running

from .execution import check_api_url, check_environment, labels, object_name, remote_environment
from .kubernetes_cluster import KubernetesCluster
from .kubernetes_runs import manifest as manifests
from .kubernetes_runs.api import Cluster
from .kubernetes_runs.pod import PodOfRun

#: What the account has to be allowed: verb, group, resource, subresource.
_NEEDED = (
    ("create", "batch", "jobs", ""), ("get", "batch", "jobs", ""), ("delete", "batch", "jobs", ""),
    ("create", "", "secrets", ""), ("delete", "", "secrets", ""), ("list", "", "pods", ""), ("watch", "", "pods", ""),
    ("delete", "", "pods", ""), ("get", "", "pods", "log"), ("list", "", "events", ""),
)  # fmt: skip


class KubernetesJob(Block, Infrastructure):
    """Executes each run as a Job of its own in a Kubernetes cluster.

    The image has to hold Python with the package ``orchestrator`` and what the flows need. The project's code is
    fetched in the pod, by the deployment's storage block. The run's token travels in a Secret that lives as long as
    the Job. Where fields do not suffice, ``patches`` change the manifest, or ``manifest`` is another one to start from.
    """

    _name: ClassVar[str] = "Kubernetes job"
    _slug: ClassVar[str] = "kubernetes-job"
    _logo: ClassVar[str] = "tabler:hexagon"
    _docs_url: ClassVar[str] = "https://kubernetes.io/docs/concepts/workloads/controllers/job/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
        from orchestrator.blocks.kubernetes_job import KubernetesJob

        KubernetesJob(
            image="registry.example.com/flows:1",
            cluster=KubernetesCluster.load("production"),
            namespace="flows",
            memory_mb=2048,
            patches=[{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"disk": "fast"}}],
        ).save("flows")
        """

    image: str = Field(
        min_length=1,
        description="Image with Python and the package orchestrator.",
        json_schema_extra={"x-placeholder": "registry.example.com/flows:1"},
    )
    cluster: KubernetesCluster | None = Field(None, description="The cluster; empty: the one that the agent is in.")
    namespace: str = Field("default", min_length=1, description="Namespace of the Jobs; it must exist.")
    service_account: str = Field("", description="Service account of the pods; empty: the namespace's default.")
    pull_policy: Literal["always", "if-not-present", "never"] = Field(
        "if-not-present", description="When the image is fetched from its registry."
    )
    pull_secrets: list[str] = Field(
        default_factory=list, description="Names of Secrets in the namespace with accounts of registries."
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables; no place for secrets.")
    cpus: float | None = Field(None, gt=0, description="Processors, asked for and at most; empty: as the cluster does.")
    memory_mb: int | None = Field(
        None, ge=6, description="Megabytes (MiB) of memory, asked for and at most; empty: as the cluster does."
    )
    api_url: str = Field(
        "",
        description="Address of the API as seen from the pods; empty: the agent's.",
        json_schema_extra={"x-placeholder": "http://orchestrator.orchestrator.svc:4200"},
    )
    python: str = Field("python", min_length=1, description="The image's interpreter.")
    command_prefix: list[str] = Field(
        default_factory=list, description="Words before the command, such as conda run -n flows."
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels beside those that name the run.")
    manifest: dict[str, JsonValue] | None = Field(
        None, description=f"A Job to start from; its container named {manifests.CONTAINER} executes the flow."
    )
    patches: list[dict[str, JsonValue]] = Field(
        default_factory=list, description="Changes of the manifest, as JSON Patch (RFC 6902) has them; made last."
    )
    start_timeout_s: int = Field(
        600, ge=1, description="Seconds in which the pod has to begin: scheduling and fetching the image included."
    )
    auto_remove: bool = Field(True, description="Whether Jobs are removed once they ended.")

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        return check_environment(env)

    @field_validator("patches")
    @classmethod
    def _operations(cls, patches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return manifests.check_patches(patches)

    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Create the Secret and the Job."""
        wanted = self._wanted(spec)
        made = manifests.job(wanted, self.manifest, list(self.patches))
        if not _pod_spec(made).get("hostNetwork"):
            check_api_url(spec, self.api_url, "set api_url of the infrastructure block")
        cluster = self._cluster()
        try:
            job = self._create(cluster, wanted, made, spec, host)
        except BaseException:
            cluster.close()
            raise
        host.tell(f"job {self.namespace}/{wanted.name} of {self.image} was created")
        return PodOfRun(cluster, job, host, self.start_timeout_s, self.auto_remove)

    def _create(
        self,
        cluster: Cluster,
        wanted: manifests.Wanted,
        made: dict[str, Any],
        spec: LaunchSpec,
        host: ProcessHost,
    ) -> dict[str, Any]:
        secrets = f"/api/v1/namespaces/{self.namespace}/secrets"
        cluster.post(secrets, manifests.secret(wanted, spec.remote_env.get("ORCHESTRATOR_API_KEY", "")))
        try:
            if not host.wanted():
                raise BlockError("the run was asked to stop before its job was created")
            job = cluster.post(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", made)
        except BaseException:
            with suppress(OrchestratorError):
                cluster.delete(f"{secrets}/{wanted.name}")
            raise
        # The Secret goes with its Job, should nobody be there to remove them; not every account may say so.
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": wanted.name, "uid": job["metadata"]["uid"]}
        with suppress(OrchestratorError):
            cluster.patch(f"{secrets}/{wanted.name}", {"metadata": {"ownerReferences": [owner]}})
        return job

    def test(self) -> str:
        """Ask the cluster whether the account may do what runs need."""
        cluster = self._cluster()
        try:
            missing = [name for name in map(self._name_of_missing(cluster), _NEEDED) if name]
        finally:
            cluster.close()
        if missing:
            raise AccessDenied(f"in the namespace {self.namespace} the account may not: {', '.join(missing)}")
        return f"The cluster at {cluster.name} lets the account run Jobs in the namespace {self.namespace}."

    def _name_of_missing(self, cluster: Cluster) -> Callable[[tuple[str, str, str, str]], str]:
        """A function that asks for one permission, and names it where the account lacks it."""

        def ask(needed: tuple[str, str, str, str]) -> str:
            verb, group, resource, part = needed
            asked = {"namespace": self.namespace, "verb": verb, "group": group, "resource": resource}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {**asked, "subresource": part}},
            }
            answer = cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            allowed = (answer.get("status") or {}).get("allowed")
            return "" if allowed else f"{verb} {resource}{'/' + part if part else ''}"

        return ask

    def _cluster(self) -> Cluster:
        return (self.cluster or KubernetesCluster(kubeconfig=None, context="")).cluster()

    def _wanted(self, spec: LaunchSpec) -> manifests.Wanted:
        env = remote_environment(spec, self.env, self.api_url)
        env.pop("ORCHESTRATOR_API_KEY", None)
        named = {key: manifests.label_value(value) for key, value in {**self.labels, **labels(spec)}.items()}
        return manifests.Wanted(
            name=object_name(spec),
            namespace=self.namespace,
            image=self.image,
            pull_policy=self.pull_policy,
            command=[*self.command_prefix, self.python, *spec.command],
            env=env,
            labels=named,
            grace_s=spec.grace_s,
            service_account=self.service_account,
            pull_secrets=self.pull_secrets,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
        )


def _pod_spec(made: dict[str, Any]) -> dict[str, Any]:
    found = made.get("spec", {}).get("template", {}).get("spec", {})
    return found if isinstance(found, dict) else {}
