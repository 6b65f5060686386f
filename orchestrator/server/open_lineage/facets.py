"""Facets within bounds: what is told on in payloads, and what becomes labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..db.json_text import json_text

#: Largest facet that is kept, and all facets of an event together, in bytes of JSON.
FACET_MAX, FACETS_MAX = 64 * 1024, 512 * 1024
LABEL_MAX = 500
#: May hold secrets, in the clear.
_NEVER = frozenset({"environmentVariables"})
_NOISE = ("_producer", "_schemaURL", "_deleted")


class Room:
    """What is left for the facets of one event."""

    def __init__(self) -> None:
        self._left = FACETS_MAX

    def keep(self, facets: Mapping[str, Any]) -> dict[str, Any]:
        """The facets that fit; one that does not is named, with its size, under ``left_out``."""
        kept: dict[str, Any] = {}
        left_out: dict[str, int] = {}
        for name, facet in facets.items():
            if name in _NEVER or is_gone(facet):
                continue
            bare = {key: value for key, value in facet.items() if key not in _NOISE}
            size = len(json_text(bare).encode())
            if size > min(FACET_MAX, self._left):
                left_out[name] = size
                continue
            self._left -= size
            kept[name] = bare
        return {**kept, "left_out": left_out} if left_out else kept


def is_gone(facet: Any) -> bool:
    """Whether a facet says nothing: it is deleted, or none."""
    return not isinstance(facet, dict) or facet.get("_deleted") is True


def facet_of(facets: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One facet; an empty one where it is missing."""
    found = facets.get(name)
    return found if isinstance(found, dict) and not is_gone(found) else {}


def job_labels(facets: Mapping[str, Any]) -> dict[str, str]:
    """What labels a job: what made it, what it is, who owns it."""
    kind = facet_of(facets, "jobType")
    found = {
        "lineage.integration": kind.get("integration"),
        "lineage.job.type": kind.get("jobType"),
        "lineage.processing": kind.get("processingType"),
    }
    return {**_texts(found), **_common(facets)}


def dataset_labels(facets: Mapping[str, Any]) -> dict[str, str]:
    """What labels a dataset: where it lies, what it is, who owns it."""
    source = facet_of(facets, "dataSource")
    found = {
        "lineage.datasource": without_password(str(source["uri"])) if source.get("uri") else None,
        "lineage.dataset.type": facet_of(facets, "datasetType").get("datasetType"),
        "lineage.storage": facet_of(facets, "storage").get("storageLayer"),
    }
    return {**_texts(found), **_common(facets)}


def without_password(url: str) -> str:
    """An address without the password that some connectors write into it."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
        user = f"{parts.username}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=user + parts.netloc.rpartition("@")[2]))
    except ValueError:
        return url.rpartition("@")[2]


def _common(facets: Mapping[str, Any]) -> dict[str, str]:
    owners = facet_of(facets, "ownership").get("owners")
    names = [str(owner["name"]) for owner in _dicts(owners) if owner.get("name")]
    tags = {
        f"lineage.tag.{tag['key']}": tag.get("value", "true")
        for tag in _dicts(facet_of(facets, "tags").get("tags"))
        if tag.get("key") and not tag.get("field")
    }
    described = facet_of(facets, "documentation").get("description")
    return _texts({"lineage.owner": ", ".join(names), "lineage.description": described, **tags})


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:LABEL_MAX] for name, value in list(found.items())[:50] if value not in (None, "")}
