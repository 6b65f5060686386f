"""Markdown that users wrote, as HTML that can do no harm."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markupsafe import Markup

#: Raw HTML in the text is shown as text; addresses other than http, https, mailto and relative ones make no link.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


def markdown(text: object) -> Markup:
    """Render markdown. Nothing in the text reaches the page as markup of its own."""
    return Markup(_MARKDOWN.render(str(text or "")))  # noqa: S704  (html is off: everything is escaped)
