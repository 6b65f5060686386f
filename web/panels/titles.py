"""Names of fields as people read them, where a schema has only what was made of the name in the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CAPITALS = {
    *("api", "arn", "aws", "ca", "cpu", "dns", "gcp", "http", "https", "id", "ip", "json", "os", "pem", "smtp", "sql"),
    *("ssh", "ssl", "tcp", "tls", "ttl", "uri", "url", "utc", "vpc", "yaml"),
}


def title(name: str) -> str:
    """``access_key_id`` as "Access key ID"."""
    words = [word.upper() if word in _CAPITALS else word for word in name.replace("-", "_").split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def titled(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose fields have readable titles; those that somebody wrote are kept."""
    definitions = schema.get("$defs")
    result: dict[str, Any] = _titled(schema)
    if isinstance(definitions, Mapping):
        result["$defs"] = {name: _titled(item) for name, item in definitions.items()}
    return result


def _titled(node: Any) -> Any:
    if not isinstance(node, Mapping) or not isinstance(node.get("properties"), Mapping):
        return dict(node) if isinstance(node, Mapping) else node
    return {**node, "properties": {name: _named(name, item) for name, item in node["properties"].items()}}


def _named(name: str, item: Any) -> Any:
    inner = _titled(item)
    made = name.replace("_", " ").title().strip()
    if isinstance(inner, dict) and inner.get("title", made) in (made, name):
        inner["title"] = title(name)
    return inner
