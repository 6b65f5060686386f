"""The Job that executes a run, as the cluster is given it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import BlockError

from .api import library

#: Name of the container that executes the flow, also in manifests that people bring.
CONTAINER = "flow"
#: Key of the run's token in its Secret.
TOKEN = "token"  # noqa: S105 - a name
#: Seconds after its end after which the cluster removes a Job that nobody removed.
LEFT_S = 3600
_OPERATIONS = {"add", "remove", "replace", "move", "copy", "test"}
_PULL = {"always": "Always", "if-not-present": "IfNotPresent", "never": "Never"}


@dataclass(frozen=True)
class Wanted:
    """What a manifest is made of."""

    name: str
    namespace: str
    image: str
    pull_policy: str
    command: list[str]
    #: Without the run's token, which is taken from the Secret of the same name.
    env: dict[str, str]
    labels: dict[str, str]
    grace_s: float
    service_account: str = ""
    pull_secrets: list[str] = field(default_factory=list)
    cpus: float | None = None
    memory_mb: int | None = None


def check_patches(patches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raise ValueError when a patch is none by its shape (RFC 6902); for pydantic's validators."""
    for number, patch in enumerate(patches, 1):
        if patch.get("op") not in _OPERATIONS or not str(patch.get("path", "x")).startswith(("/", "")):
            raise ValueError(f"patch {number} lacks an op out of {', '.join(sorted(_OPERATIONS))}")
        if not isinstance(patch.get("path"), str) or (patch["path"] and not patch["path"].startswith("/")):
            raise ValueError(f"patch {number} lacks a path such as /spec/template/spec/nodeSelector")
        if patch["op"] in ("add", "replace", "test") and "value" not in patch:
            raise ValueError(f"patch {number} lacks its value")
        if patch["op"] in ("move", "copy") and not isinstance(patch.get("from"), str):
            raise ValueError(f"patch {number} lacks its from")
    return patches


def job(wanted: Wanted, template: Mapping[str, Any] | None, patches: list[dict[str, Any]]) -> dict[str, Any]:
    """The manifest: the template (or the plain one), filled in with what the run needs, patched.

    Raises:
        BlockError: The template is no Job, or a patch does not fit.
    """
    manifest = copy.deepcopy(dict(template)) if template else {"apiVersion": "batch/v1", "kind": "Job"}
    if manifest.get("kind") != "Job" or manifest.get("apiVersion") != "batch/v1":
        raise BlockError("manifest of the infrastructure block is no Job of batch/v1")
    try:
        _fill(manifest, wanted)
    except (AttributeError, TypeError):
        raise BlockError("manifest of the infrastructure block has another shape than a Job") from None
    if not patches:
        return manifest
    jsonpatch = library("jsonpatch")
    try:
        patched: dict[str, Any] = jsonpatch.apply_patch(manifest, patches)
    except (jsonpatch.JsonPatchException, library("jsonpointer").JsonPointerException) as error:
        raise BlockError(f"a patch of the infrastructure block does not fit the manifest: {error}") from None
    return patched


def _fill(manifest: dict[str, Any], wanted: Wanted) -> None:
    metadata = manifest.setdefault("metadata", {})
    metadata.update(name=wanted.name, namespace=wanted.namespace)
    metadata.setdefault("labels", {}).update(wanted.labels)
    spec = manifest.setdefault("spec", {})
    # A run is tried again by Orchestrator, as another attempt, never by the cluster.
    spec["backoffLimit"] = 0
    spec.setdefault("ttlSecondsAfterFinished", LEFT_S)
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {}).setdefault("labels", {}).update(wanted.labels)
    pod = template.setdefault("spec", {})
    pod["restartPolicy"] = "Never"
    pod["terminationGracePeriodSeconds"] = math.ceil(wanted.grace_s)
    if wanted.service_account:
        pod["serviceAccountName"] = wanted.service_account
    if wanted.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in wanted.pull_secrets]
    containers = pod.setdefault("containers", [])
    container = next((item for item in containers if item.get("name") == CONTAINER), None)
    if container is None:
        container = {"name": CONTAINER}
        containers.insert(0, container)
    _fill_container(container, wanted)


def _fill_container(container: dict[str, Any], wanted: Wanted) -> None:
    container["image"] = wanted.image
    container["imagePullPolicy"] = _PULL[wanted.pull_policy]
    container["command"] = wanted.command
    given = [item for item in container.get("env", []) if item.get("name") not in {*wanted.env, "ORCHESTRATOR_API_KEY"}]
    secret = {"secretKeyRef": {"name": wanted.name, "key": TOKEN}}
    container["env"] = [
        *given,
        *({"name": name, "value": value} for name, value in wanted.env.items()),
        {"name": "ORCHESTRATOR_API_KEY", "valueFrom": secret},
    ]
    amounts = {}
    if wanted.cpus:
        amounts["cpu"] = f"{math.ceil(wanted.cpus * 1000)}m"
    if wanted.memory_mb:
        amounts["memory"] = f"{wanted.memory_mb}Mi"
    if amounts:
        resources = container.setdefault("resources", {})
        resources.setdefault("requests", {}).update(amounts)
        resources.setdefault("limits", {}).update(amounts)


def secret(wanted: Wanted, token: str) -> dict[str, Any]:
    """The Secret that the Job takes the run's token from."""
    metadata = {"name": wanted.name, "namespace": wanted.namespace, "labels": wanted.labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": {TOKEN: token}}


def label_value(text: str) -> str:
    """A text as labels can hold it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")
