"""Writes the page of webhook presets, from the presets; :mod:`generate` calls it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from orchestrator.server.db.models import Webhook
from orchestrator.server.services.receiving import webhook_templates
from orchestrator.server.services.receiving.incoming import of_example
from orchestrator.server.webhook_presets import PRESETS, Preset

_AT = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)


def page(made: str) -> str:
    """The page; ``made`` is the mark of pages that are made."""
    head = (
        f"{made}\n\n# Presets of webhooks\n\nWhat is known of systems that send to [webhooks](webhooks.md). Each shows"
        " a delivery and the events that its template makes of it; the template can be changed. `ADDRESS` is the"
        " webhook's, `SECRET` its secret.\n"
    )
    return head + "".join(_section(preset) for preset in PRESETS.values())


def _section(preset: Preset) -> str:
    signature = preset.signature or {}
    signed = f"Signed by `{signature['scheme']}`"
    signed += f", in the header `{signature['header']}`" if signature.get("header") else ""
    signed += f" after `{signature['prefix'].strip()}`." if signature.get("prefix") else "."
    headers = "".join(f"- `{name}: {value}`\n" for name, value in preset.example.headers.items())
    events = _events(preset)
    return (
        f"\n## {preset.name}\n\n`--preset {preset.slug}`: {preset.description}\n\n{preset.setup}\n\n{signed}\n\n"
        "A delivery:\n\n"
        f"{headers}{chr(10) if headers else ''}```json\n{_json(preset.example.body)}\n```\n\nbecomes:\n\n"
        f"```json\n{_json(events[0] if len(events) == 1 else events)}\n```\n"
    )


def _events(preset: Preset) -> list[Any]:
    hook = Webhook(id=None, name=preset.slug, signature=None)
    context = of_example(preset.example, _AT).context(hook)
    return webhook_templates.read(webhook_templates.render(preset.template, context))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
