"""What a notification says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ....settings import Settings

#: Characters of a state's message that are told; the run's page has all.
MESSAGE_MAX = 2000
#: Where a server that listens everywhere is reached from its own computer.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nothing listens there


@dataclass(frozen=True)
class Told:
    """A state that a run came into."""

    flow: str
    #: Empty for a run without one.
    deployment: str
    run: str
    run_id: uuid.UUID
    #: Display name, such as ``Failed`` or ``TimedOut``.
    state: str
    message: str
    at: datetime
    attempt: int

    @property
    def full_name(self) -> str:
        """``flow/deployment``, or the flow."""
        return f"{self.flow}/{self.deployment}" if self.deployment else self.flow


def subject(told: Told) -> str:
    """The line above it."""
    return f"{told.state}: {told.full_name}, run {told.run}"


def body(told: Told, settings: Settings) -> str:
    """The text, as Markdown."""
    at = f"{told.at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"Run **{told.run}** of **{told.full_name}** is **{told.state}** since {at}.",
        *(["", *_quoted(told.message)] if told.message.strip() else []),
        "",
        f"- Flow: {told.flow}",
        *([f"- Deployment: {told.deployment}"] if told.deployment else []),
        f"- Attempt: {told.attempt}",
        "",
        link(told.run_id, settings),
    ]
    return "\n".join(lines)


def of_firing(
    *, name: str, severity: str, description: str, url: str, is_over: bool, reason: str, at: str, resource: str
) -> dict[str, str]:
    """Subject and body for a firing of a trigger that has a ``name``."""
    happened = "is over" if is_over else "fired"
    facts = [("Why", reason), ("When", at), ("Resource", resource), ("Severity", severity)]
    lines = [
        f"**{name}** {happened}.",
        *(["", *_quoted(description)] if description.strip() else []),
        "",
        *(f"- {title}: {value}" for title, value in facts if value),
        *(["", url] if url else []),
    ]
    return {"subject": f"{'Over' if is_over else severity.capitalize() or 'Fired'}: {name}", "body": "\n".join(lines)}


def of_expectation(told: Mapping[str, Any], reason: str) -> dict[str, str]:
    """Subject and body for what an expectation tells: a miss, or that what was missed came after all.

    Args:
        told: As templates of actions know it: ``occurrence``, ``severity``, ``owner``, ``description``, ``url``.
        reason: What became of it, in one line.
    """
    occurrence = told.get("occurrence") or {}
    description, url = str(told.get("description") or ""), str(told.get("url") or "")
    facts = [
        ("Expected", occurrence.get("sentence")),
        ("Deadline", occurrence.get("deadline")),
        ("Came", occurrence.get("satisfied")),
        ("Severity", told.get("severity")),
        ("Owner", told.get("owner")),
    ]
    lines = [
        f"**{reason}**",
        *(["", *_quoted(description)] if description.strip() else []),
        "",
        *(f"- {title}: {value}" for title, value in facts if value),
        *(["", url] if url else []),
    ]
    return {"subject": reason, "body": "\n".join(lines)}


def link(run_id: uuid.UUID, settings: Settings) -> str:
    """Address of a run's page."""
    return f"{base_url(settings)}/runs/{run_id}"


def base_url(settings: Settings) -> str:
    """What the addresses of pages begin with: PUBLIC_URL, or where the server itself listens."""
    host = _EVERYWHERE.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return settings.public_url or f"http://{host}:{settings.port}"


def _quoted(message: str) -> list[str]:
    text = message.strip()
    if len(text) > MESSAGE_MAX:
        text = f"{text[:MESSAGE_MAX].rstrip()} ... (cut; the run's page has all of it)"
    return [f"> {line}".rstrip() for line in text.splitlines()]
