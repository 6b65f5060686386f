"""An account of a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import BlockError
from orchestrator.interfaces import Credentials, Discoverable, Observed, Resource

from .kubernetes_runs import watching
from .kubernetes_runs.api import Cluster, connect


class KubernetesCluster(Block, Credentials, Discoverable):
    """A Kubernetes cluster, with the account to use it by; its nodes, pods and events can be watched.

    Without a kubeconfig it is the cluster that the agent itself runs in, by its pod's service account; outside of one,
    what the kubeconfig of the agent's computer names.
    """

    _name: ClassVar[str] = "Kubernetes cluster"
    _slug: ClassVar[str] = "kubernetes-cluster"
    _logo: ClassVar[str] = "tabler:hexagons"
    _docs_url: ClassVar[str] = "https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/"
    _code_example: ClassVar[str] = """
        from pathlib import Path

        from orchestrator.blocks.kubernetes_cluster import KubernetesCluster

        def save(path: Path) -> None:
            KubernetesCluster(kubeconfig=path.read_text(), context="production").save("production")
        """

    kubeconfig: SecretStr | None = Field(
        None,
        description="Text of a kubeconfig file; empty: the cluster that the agent is in.",
        json_schema_extra={"x-multiline": True},
    )
    context: str = Field("", description="Context of the kubeconfig; empty: its current one.")

    namespaces: list[str] = Field(
        default_factory=list, max_length=200, description="Namespaces whose pods and events are watched; none: all."
    )

    def client(self, **options: Any) -> Any:
        """A ``kubernetes.client.ApiClient``.

        Raises:
            BlockError: The kubeconfig cannot be used, or the package ``kubernetes`` is missing.
        """
        if options:
            raise BlockError("KubernetesCluster.client() takes no options")
        return connect(self.kubeconfig.get_secret_value() if self.kubeconfig else "", self.context)

    def cluster(self) -> Cluster:
        """The cluster's API, with plain documents. Raises as :meth:`client`."""
        return Cluster(self.client())

    def test(self) -> str:
        """Ask the cluster for its version."""
        cluster = self.cluster()
        try:
            version = cluster.get("/version").get("gitVersion", "of an unknown version")
        finally:
            cluster.close()
        return f"The cluster at {cluster.name} answers; it is Kubernetes {version}."

    def discover(self) -> Iterator[Resource]:
        """The cluster, its nodes and its pods."""
        cluster = self.cluster()
        try:
            yield from watching.resources(cluster, self.namespaces)
        finally:
            cluster.close()

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """What the cluster tells of itself: ``kubernetes.pod.back-off`` and the like."""
        cluster = self.cluster()
        try:
            return watching.observe(cluster, self.namespaces, cursor, emit)
        finally:
            cluster.close()
