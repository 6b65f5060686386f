"""What a container engine holds, as resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.interfaces import Related, Resource

from ..execution import RUN_LABEL


def resources(client: Any) -> Iterator[Resource]:
    """The engine, and its containers, running or not.

    Args:
        client: A ``docker.DockerClient``.
    """
    facts = client.info()
    # The name of its computer tells engines apart, by whatever address each is reached.
    engine = f"docker://{facts.get('Name') or 'engine'}"
    labels = {"version": facts.get("ServerVersion"), "cpus": facts.get("NCPU"), "memory_bytes": facts.get("MemTotal")}
    yield Resource(engine, "docker.engine", str(facts.get("Name") or "engine"), labels)
    for item in client.api.containers(all=True):
        yield _container(engine, item)


def _container(engine: str, item: dict[str, Any]) -> Resource:
    names = item.get("Names") or [item["Id"][:12]]
    name = str(names[0]).lstrip("/")
    marks = item.get("Labels") or {}
    labels = {"image": item.get("Image"), "state": item.get("State"), "status": item.get("Status")}
    related = [Related(engine, "part-of")]
    if run := marks.get(RUN_LABEL):
        related.append(Related(f"orchestrator.flow-run.{run}", "executes"))
    volatile = frozenset({"status"})  # "Up 3 minutes" is no news
    return Resource(f"{engine}/containers/{name}", "docker.container", name, labels, tuple(related), volatile)
