"""The first thing in a process that user code will run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def forget_start_folder() -> None:
    """Take the folder we were started in off ``sys.path``: ``-m`` puts it there, and what it holds is not a flow's."""
    root = Path(__file__).resolve().parent.parent
    if sys.path and sys.path[0] == os.getcwd() and root != Path.cwd():
        del sys.path[0]
