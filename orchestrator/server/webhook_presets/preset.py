"""What a preset is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Example:
    """A delivery as the system sends it."""

    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def data(self) -> bytes:
        """The body's bytes."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, indent=2).encode()


@dataclass(frozen=True)
class Preset:
    """What is known of a system that sends deliveries."""

    slug: str
    name: str
    #: What its deliveries become.
    description: str
    #: What to do in that system; Markdown.
    setup: str
    template: str
    #: How it signs, when a secret is given: ``{"scheme", "header", "prefix"}``.
    signature: dict[str, str] | None
    example: Example
