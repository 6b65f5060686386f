"""What a cluster holds and what happens in it, as resources and events of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from orchestrator.clock import from_text, to_text
from orchestrator.interfaces import Observed, Related, Resource

from .api import Cluster

#: Objects that one answer may hold.
PAGE = 500


def listed(cluster: Cluster, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """All objects of a list."""
    for page in _pages(cluster, path, **query):
        yield from page


def _pages(cluster: Cluster, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    more = ""
    while True:
        page = cluster.get(path, limit=PAGE, **query, **({"continue": more} if more else {}))
        yield page.get("items") or []
        more = (page.get("metadata") or {}).get("continue") or ""
        if not more:
            return


def event_name(kind: str, reason: str) -> str:
    """Our name of an event of the cluster: ``kubernetes.pod.back-off``."""
    return f"kubernetes.{_kebab(kind)}.{_kebab(reason)}"


def place_of(cluster: Cluster, kind: str, namespace: str, name: str) -> str:
    """The id that an object goes by among resources."""
    return f"kubernetes://{cluster.name}/{namespace + '/' if namespace else ''}{kind}/{name}"


def resources(cluster: Cluster, namespaces: Sequence[str]) -> Iterator[Resource]:
    """The cluster, its nodes, and the pods of some namespaces (of none given: of all)."""
    root = f"kubernetes://{cluster.name}"
    yield Resource(root, "kubernetes.cluster", cluster.name, {"version": cluster.get("/version").get("gitVersion")})
    for node in listed(cluster, "/api/v1/nodes"):
        yield _node(cluster, node, root)
    for path in _paths(namespaces, "pods"):
        for pod in listed(cluster, path):
            yield _pod(cluster, pod, root)


def observe(
    cluster: Cluster, namespaces: Sequence[str], cursor: Any, emit: Callable[[Observed], None]
) -> dict[str, Any]:
    """Tell of the cluster's events since the cursor's instant, without those of that instant that were seen already.

    Clusters count in seconds, so that more may come of the same one. What is told twice has the same key.
    """
    since = from_text(cursor["at"]) if isinstance(cursor, dict) and cursor.get("at") else None
    before = frozenset(cursor.get("seen") or ()) if since is not None else frozenset()
    latest, seen = since, list(before)
    pages = (page for path in _paths(namespaces, "events") for page in _pages(cluster, path))
    for page in pages:
        for event in by_time(page):
            at, key = instant_of(event), _key(event)
            if at is None or (since is not None and (at < since or (at == since and key in before))):
                continue
            if latest is None or at > latest:
                latest, seen = at, []
            if at == latest and len(seen) < PAGE:
                seen.append(key)
            if cursor is not None:
                emit(_observed(cluster, event, at))
    return {"at": to_text(latest) if latest is not None else "", "seen": seen}


def _paths(namespaces: Sequence[str], kind: str) -> list[str]:
    return [f"/api/v1/namespaces/{name}/{kind}" for name in namespaces] or [f"/api/v1/{kind}"]


def _node(cluster: Cluster, node: dict[str, Any], root: str) -> Resource:
    status = node.get("status") or {}
    conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or []}
    capacity = status.get("capacity") or {}
    name = node["metadata"]["name"]
    labels = {
        "ready": conditions.get("Ready") == "True",
        "version": (status.get("nodeInfo") or {}).get("kubeletVersion"),
        "cpus": capacity.get("cpu"),
        "memory": capacity.get("memory"),
        "schedulable": not (node.get("spec") or {}).get("unschedulable", False),
    }
    place = place_of(cluster, "nodes", "", name)
    return Resource(place, "kubernetes.node", name, labels, (Related(root, "part-of"),))


def _pod(cluster: Cluster, pod: dict[str, Any], root: str) -> Resource:
    spec, status, metadata = pod.get("spec") or {}, pod.get("status") or {}, pod["metadata"]
    restarts = sum(int(item.get("restartCount") or 0) for item in status.get("containerStatuses") or [])
    labels = {
        "namespace": metadata.get("namespace"),
        "phase": status.get("phase"),
        "image": ", ".join(str(item.get("image")) for item in spec.get("containers") or []),
        "restarts": restarts,
    }
    related = [Related(root, "part-of")]
    if spec.get("nodeName"):
        related.append(Related(place_of(cluster, "nodes", "", spec["nodeName"]), "runs-on"))
    place = place_of(cluster, "pods", metadata.get("namespace", ""), metadata["name"])
    return Resource(place, "kubernetes.pod", f"{metadata.get('namespace')}/{metadata['name']}", labels, tuple(related))


def _observed(cluster: Cluster, event: dict[str, Any], at: datetime) -> Observed:
    about = event.get("involvedObject") or {}
    kind, namespace, name = str(about.get("kind") or "object"), about.get("namespace") or "", about.get("name") or ""
    place = place_of(cluster, f"{kind.lower()}s", namespace, name)
    shown = f"{namespace}/{name}" if namespace else name
    count = event.get("count") or 1
    payload = {"message": event.get("message") or "", "type": event.get("type") or "", "count": count}
    resource = Resource(place, f"kubernetes.{_kebab(kind)}", shown)
    return Observed(event_name(kind, str(event.get("reason") or "event")), resource, at, payload, _key(event))


def _key(event: dict[str, Any]) -> str:
    return f"{event['metadata'].get('uid')}/{event.get('count') or 1}"


def instant_of(event: dict[str, Any]) -> datetime | None:
    text = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return from_text(str(text)) if text else None


def by_time(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events, oldest first."""
    return sorted(events, key=lambda event: instant_of(event) or datetime.min.replace(tzinfo=timezone.utc))


def _kebab(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
