"""The log files of the parts: kept small, and read from their end."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

LIMIT = 10 * 1024 * 1024
KEPT = 3
_BLOCK = 64 * 1024
#: The last line of a traceback, or a line of a command that failed.
_ERROR = re.compile(r"([A-Za-z_][\w.]*(Error|Exception|Refused|Denied|Unavailable|Conflict|Unreachable)|Error): ")


def trim(path: Path, limit: int = LIMIT, kept: int = KEPT) -> bool:
    """Once a file is larger than ``limit`` bytes, move its content to ``<path>.1`` (and that to ``.2`` ...).

    A child writes to the file by itself, in append mode, so that its last words are kept whatever happens to us;
    so the content is copied and the file cut, rather than renamed. A line written in between may be lost.

    Returns:
        Whether it was cut.
    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept - 1, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    if kept > 1:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file, oldest first; none if there is no such file."""
    found, data = 0, b""
    try:
        with open(path, "rb") as file:
            position = file.seek(0, os.SEEK_END)
            while position > 0 and found <= lines:
                step = min(_BLOCK, position)
                position = file.seek(position - step)
                data = file.read(step) + data
                found = data.count(b"\n")
    except FileNotFoundError:
        return []
    return data.decode("utf-8", "replace").splitlines()[-lines:] if lines > 0 else []


def last_words(path: Path) -> str:
    """The line that best says why a part ended: the last error of its last lines, else the last line of all."""
    lines = [line.strip() for line in tail(path, 100) if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or ["it wrote nothing"])[-1]


def follow(
    files: Mapping[str, Path], ended: Callable[[], bool] = lambda: False, pause_s: float = 0.2
) -> Iterator[tuple[str, str]]:
    """``(name, line)`` for each line added to the files from now on, until ``ended()``; survives :func:`trim`."""
    places = {name: path.stat().st_size if path.exists() else 0 for name, path in files.items()}
    rests = dict.fromkeys(files, b"")
    while True:
        last_round = ended()
        for name, path in files.items():
            size = path.stat().st_size if path.exists() else 0
            places[name] = 0 if size < places[name] else places[name]
            if size > places[name]:
                with open(path, "rb") as file:
                    file.seek(places[name])
                    data = file.read(size - places[name])
                places[name] += len(data)
                *lines, rests[name] = (rests[name] + data).split(b"\n")
                yield from ((name, line.decode("utf-8", "replace")) for line in lines)
        if last_round:
            return
        time.sleep(pause_s)
