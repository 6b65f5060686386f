"""Pictures of block types: an icon of ours by name, or a small picture that the type brings along."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from .icons import icon

#: What a type without a picture, or with one that a page may not show, has instead.
PLAIN = "cube"
_ICON = re.compile(r"tabler:([a-z0-9-]{1,60})")
#: As an <img>, a picture runs no script and fetches nothing.
_PICTURE = re.compile(r"data:image/(?:svg\+xml|png|jpeg|webp|gif)[;,][^\s<>\"]+")


def logo(text: object, css: str = "") -> Markup:
    """A type's logo on its tile, hidden from screen readers (the type's name stands beside it).

    Args:
        text: ``tabler:<icon>``, a data URL, or anything else, which becomes the plain icon.
        css: More classes of the tile.
    """
    return Markup('<span class="logo {}" aria-hidden="true">{}</span>').format(css, _shape(str(text or "")))


def _shape(text: str) -> Markup:
    if named := _ICON.fullmatch(text):
        try:
            return icon(named[1])
        except FileNotFoundError:  # a kind of somebody else's, with an icon that is not vendored
            return icon(PLAIN)
    if _PICTURE.fullmatch(text.strip()):
        return Markup('<img src="{}" width="24" height="24" alt="" loading="lazy">').format(escape(text.strip()))
    return icon(PLAIN)
