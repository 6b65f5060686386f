"""Icons, put into the page itself: no request, and they take the colour of the text around them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from markupsafe import Markup

_FOLDER = Path(__file__).parent / "static" / "vendor" / "tabler-icons-3.51.0"
_PATHS = re.compile(r"<(?!svg|path stroke=\"none\")[a-z][^>]*/>")


@cache
def icon(name: str, css: str = "") -> Markup:
    """The icon ``name`` as SVG, hidden from screen readers (text beside it says the same).

    Raises:
        FileNotFoundError: ``web/static/vendor/icons.txt`` does not list it.
    """
    shapes = "".join(_PATHS.findall((_FOLDER / f"{name}.svg").read_text("utf-8")))
    return Markup(  # noqa: S704  (a file of ours)
        f'<svg class="icon {css}" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor"'
        f' stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{shapes}</svg>'
    )
