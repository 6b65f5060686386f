"""Processes as the kernel shows them: who descends from whom, and ending them all."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Proc:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    #: Clock ticks after boot at which it started.
    started: int


def look(pid: int) -> tuple[int, int, str] | None:
    """Parent, start and state letter of a process; None when there is none (or no ``/proc``)."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold anything.
    fields = stat.rpartition(")")[2].split()
    return int(fields[1]), int(fields[19]), fields[0]


def table() -> dict[int, tuple[int, int, str]]:
    """All processes, by pid; empty where there is no ``/proc``."""
    found = {}
    try:
        names = os.listdir(_PROC)
    except OSError:
        return {}
    for name in names:
        if name.isdigit() and (facts := look(int(name))):
            found[int(name)] = facts
    return found


def descendants(pid: int) -> set[Proc]:
    """All processes that descend from ``pid``, in whatever session or group they are."""
    processes = table()
    children: dict[int, list[int]] = {}
    for child, (parent, _, _) in processes.items():
        children.setdefault(parent, []).append(child)
    found: set[Proc] = set()
    row = [pid]
    while row:
        for child in children.get(row.pop(), ()):
            found.add(Proc(child, processes[child][1]))
            row.append(child)
    return found


def is_alive(proc: Proc) -> bool:
    """Whether it is still that process, and no zombie."""
    facts = look(proc.pid)
    return facts is not None and facts[1] == proc.started and facts[2] not in "ZX"


def signal_all(processes: Iterable[Proc], number: int) -> None:
    """Send a signal to those that are still there."""
    for proc in processes:
        if is_alive(proc):
            send(proc.pid, number)


def send(pid: int, number: int) -> bool:
    """Send a signal to one process; returns whether it was there and ours."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_group(group: int, number: int) -> bool:
    """Send a signal to a process group; returns whether anyone was there."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
