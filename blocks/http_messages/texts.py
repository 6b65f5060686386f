"""Texts that fit into what a service takes."""

from __future__ import annotations

import json
from collections.abc import Callable


def utf16_units(text: str) -> int:
    """Length in UTF-16 code units, which some services count: an emoji has two."""
    return len(text.encode("utf-16-le", "replace")) // 2


def bytes_in_json(text: str) -> int:
    """Length in bytes once it stands in a JSON message."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) - 2


def cut(text: str, limit: int, size: Callable[[str], int] = len) -> str:
    """The text if it fits, else its beginning and a note that says how much of it is missing.

    Args:
        text: Any text. A fence of Markdown that the cut leaves open is closed.
        limit: The largest size.
        size: What measures it: characters, or :func:`utf16_units`, :func:`bytes_in_json`.
    """
    if size(text) <= limit:
        return text
    low, high = 0, min(limit, len(text))  # no character is smaller than one
    while low < high:  # the longest beginning that fits with its note
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(_noted(text, middle)) <= limit else (low, middle - 1)
    noted = _noted(text, low)
    return noted if size(noted) <= limit else text[:limit]


def _noted(text: str, keep: int) -> str:
    kept = text[:keep].rstrip()
    fence = "\n```" if kept.count("```") % 2 else ""
    return f"{kept}{fence}\n… (cut: {len(text) - keep} more characters)"


def first_line(text: str, limit: int) -> str:
    """The first line that says something, cut to a limit; for titles."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def titled(body: str, subject: str, bold: str = "", between: str = "\n") -> str:
    """Body and subject as one text; ``bold`` is what the service writes around bold text."""
    subject = " ".join(subject.split())
    if not subject:
        return body
    title = f"{bold}{subject}{bold}"
    return f"{title}{between}{body}" if body else title
