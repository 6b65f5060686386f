"""Relative paths in one form, and local files that appear whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InvalidInput


def clean_path(path: str) -> str:
    """A relative path in its one form: parts joined by ``/``, ``""`` for the root.

    Raises:
        InvalidInput: It is absolute, climbs with ``..``, or holds a backslash or a control character.
    """
    text = str(path)
    if text.startswith("/") or "\\" in text or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidInput(f"{text!r} is no relative path with /")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or (parts and len(parts[0]) == 2 and parts[0][1] == ":"):
        raise InvalidInput(f"the path {text!r} leaves the folder that it is relative to")
    return "/".join(parts)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes | BinaryIO) -> None:
    """Write a local file so that it appears whole or not at all."""
    if isinstance(content, bytes):
        fill_whole(path, lambda file: file.write(content))
    else:
        fill_whole(path, lambda file: shutil.copyfileobj(content, file, 1 << 20))


def fill_whole(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Create or replace a local file by what ``fill`` writes into it; it appears once that is done."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # Reading the mask means setting it, which other threads would notice: ask the system where it tells.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022
