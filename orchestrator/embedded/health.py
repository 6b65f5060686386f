"""Asking a server whether it is ready."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_LARGEST = 1024 * 1024


def ready(api_url: str, timeout_s: float = 5.0) -> tuple[bool, dict[str, Any] | None]:
    """Whether ``/health/ready`` says yes, and what else it says (None: no answer, or none that is JSON)."""
    address = urlsplit(api_url)
    link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
    try:
        link.request("GET", "/health/ready", headers={"Accept": "application/json"})
        answer = link.getresponse()
        document = json.loads(answer.read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError):
        return False, None
    finally:
        link.close()
    return answer.status == 200, document if isinstance(document, dict) else None


def complaints(answer: dict[str, Any]) -> str:
    """What a not ready server misses, as one line: ``loops.schedule never went round``."""
    found = []
    parts = answer.get("parts", {})
    for name, part in [*parts.items(), *((f"loops.{name}", loop) for name, loop in parts.get("loops", {}).items())]:
        if isinstance(part, dict) and part.get("ok") is False:
            found.append(f"{name} {part.get('message', '')}".strip())
    return "; ".join(found) or "it says it is not ready"


def local_url(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on ``host``."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
