"""Names that every template knows: times, durations, states, icons, addresses of assets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, g, request, url_for
from markupsafe import Markup, escape

from orchestrator.clock import now
from orchestrator.server.schemas.reports import IMAGE_URL
from orchestrator.server.services.mapping.eta_rules import length as length_of
from orchestrator.server.services.running.run_briefs import RunBrief
from orchestrator.triggers.matching import selector_text

from . import access, grids, looks, things
from .automating import automate, automate_event
from .headers import nonce
from .icons import icon
from .logos import logo
from .looks import LATE, LOOKS, Look, health, in_order, interface, look
from .prose import markdown

_STATIC = Path(__file__).parent / "static"


def install(app: Flask) -> None:
    """Make the names known to the application's templates."""
    app.jinja_env.globals.update(
        asset=asset,
        icon=icon,
        look=look,
        interface=interface,
        LOOKS=LOOKS,
        TRIGGER_LOOKS=looks.TRIGGERS,
        FIRING_LOOKS=looks.FIRINGS,
        ACTION_LOOKS=looks.ACTIONS,
        SEVERITIES=looks.SEVERITIES,
        SUPPRESSED=looks.SUPPRESSED,
        firing_look=looks.firing,
        automate=automate,
        automate_event=automate_event,
        nonce=nonce,
        csrf=access.token,
        here=here,
        server_now=now,
        may=access.may,
        dict=dict,
    )
    app.jinja_env.filters.update(
        iso=iso,
        utc=utc,
        moment=moment,
        elapsed=elapsed,
        markdown=markdown,
        selector=selector_text,
        pretty=pretty,
        compact=compact,
        short=short,
        number=number,
        seconds=seconds,
        longest=longest,
        height=height,
        is_web=is_web,
        is_inline_image=is_inline_image,
        table=grids.table,
        icon_shapes=icon_shapes,
        logo=logo,
        in_order=in_order,
        minute=minute,
        length_of=length_of,
        thing=things.address_of,
        own_page=things.own_page,
        thing_name=things.name_of,
        kind_icon=lambda event: labels_icon(event.resource),
        labels_icon=labels_icon,
        kinds_icon=things.icon_of,
        id_part=id_part,
        health=health,
        slug=lambda name: name.replace(".", "-").replace("_", "-"),
        lines=lambda text: text.count("\n"),
    )
    app.context_processor(lambda: {"visitor": g.get("visitor")})


def asset(name: str) -> str:
    """Address of a static file; it changes when the file does, so browsers may keep it for good."""
    return url_for("web.static", filename=name, v=_digest(name))


def here(**changes: Any) -> str:
    """This page's own address, with some query arguments changed (None: removed).

    What a post shows again, with what is wrong, names the endpoint of the page itself in ``g.shown_as``.
    """
    arguments: dict[str, Any] = {**request.args.to_dict(flat=False), **changes}
    kept = {key: value for key, value in arguments.items() if value not in (None, "", [])}
    return url_for(g.get("shown_as") or request.endpoint or "web.tower.show", **(request.view_args or {}), **kept)


def iso(at: datetime) -> str:
    """An instant for scripts: UTC, to the millisecond."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at: datetime) -> str:
    """An instant for people whose browser runs no scripts."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def moment(at: datetime | None, style: str = "relative") -> Markup:
    """A ``<time>`` that the page's script shows in the reader's zone.

    Args:
        at: The instant; None becomes a dash.
        style: ``relative`` ("3 min ago", absolute on hover), ``absolute`` or ``both``.
    """
    if at is None:
        return Markup('<span class="text-secondary">–</span>')
    return Markup('<time datetime="{}" data-style="{}">{}</time>').format(iso(at), style, utc(at))


def minute(at: datetime) -> str:
    """An instant to the minute, to compare what is only about so."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def elapsed(start: datetime | None, end: datetime | None = None) -> Markup:
    """How long something took; while it lasts, the page's script counts (what we send stays the same meanwhile)."""
    if start is None:
        return Markup('<span class="text-secondary">–</span>')
    if end is None:
        return Markup('<span class="tabular" data-since="{}">…</span>').format(iso(start))
    return Markup('<span class="tabular">{}</span>').format(span(end - start))


def span(length: Any) -> str:
    """A duration in words: ``350 ms``, ``4.2 s``, ``3 m 05 s``, ``2 h 10 m``, ``3 d 4 h``."""
    seconds = max(length.total_seconds(), 0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def pretty(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def short(identifier: Any, length: int = 8) -> str:
    """The tail of an id: UUIDv7 heads are times, and alike."""
    return str(identifier)[-length:]


def number(value: int) -> Markup:
    """A count with thin spaces between thousands."""
    return escape(f"{value:,}".replace(",", "\u202f"))


def compact(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def seconds(value: float) -> str:
    """The length of an interval, in the largest unit that it is a whole number of."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if value % length == 0:
            count = int(value // length)
            return unit if count == 1 else f"{count} {unit}s"
    return f"{value:g} seconds"


def longest(runs: Sequence[RunBrief]) -> float:
    """Seconds that the longest of some runs took; what marks are drawn in proportion to."""
    return max((_took(run) for run in runs), default=0.0)


def height(run: RunBrief, most: float) -> int:
    """Height of a run's mark, in percent of the tallest."""
    return round(35 + 65 * min(_took(run) / most, 1)) if most and run.ended else 60


def is_web(address: Any) -> bool:
    """Whether an address may become a link: http and https only, never a script."""
    return str(address).lower().startswith(("https://", "http://"))


def is_inline_image(address: Any) -> bool:
    """Whether an address holds a small image itself, of a kind that can hold no script."""
    text = str(address)
    return text.startswith("data:") and IMAGE_URL.match(text) is not None


def id_part(text: str) -> str:
    """A text of any kind as a part of an element's id."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def labels_icon(labels: Mapping[str, Any]) -> str:
    """The icon of what has these labels."""
    return things.icon_of(str(labels.get("resource.kind") or things.kind_of(str(labels.get("resource.id", "")))))


def icon_shapes(looks: dict[str, Look]) -> str:
    """Icons of all states as JSON, for scripts that draw rows themselves."""
    return json.dumps({key: [item.css, str(icon(item.icon))] for key, item in {**looks, "LATE": LATE}.items()})


def _took(run: RunBrief) -> float:
    return (run.ended - run.started).total_seconds() if run.started and run.ended else 0.0


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:10]
