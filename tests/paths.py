"""Folders for tests that start servers under another user (pytest's own are closed to others)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def traversable_folder() -> Iterator[Path]:
    """A temporary folder that every user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
