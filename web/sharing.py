"""gunicorn's configuration file (``--config=python:orchestrator.web.sharing``): its workers share what they can.

The application is made once, before they are forked, and what is there by then is never looked through for garbage
again: a collection writes to all that it looks at, and so each worker would come to have a copy of its own.
"""

from __future__ import annotations

import gc
from typing import Any

preload_app = True


def when_ready(_server: Any) -> None:
    """All is loaded, and no worker is forked yet."""
    gc.collect()
    gc.freeze()
