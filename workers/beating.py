"""``python -m orchestrator.workers.beating``: beat, as ``celery -A orchestrator.workers.app beat`` would run it.

Without Celery's command line, whose libraries take several megabytes.
"""

from __future__ import annotations

import sys

from celery.apps.beat import Beat

from orchestrator import settings

from .app import app


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    Beat(app=app, loglevel=settings.load().log_level, quiet=True).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
