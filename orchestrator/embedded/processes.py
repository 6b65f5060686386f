"""Starting child processes that do not outlive us, recognising old ones, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from .privileges import Account

#: What the servers see: no LANG that is not installed here, no PG* or REDIS* of the person who starts them.
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
_LAUNCH = Path(__file__).with_name("launch.py")


class Process(Protocol):
    """A child process, as :class:`subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its process id, and that of the group that it leads."""

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""


def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: IO[bytes],
    account: Account | None = None,
    parent_death_signal: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which on Linux gets a signal when the calling *thread* ends.

    Args:
        argv: The program, by its full path, and its arguments.
        log: Where its output goes.
        account: Whom it runs as; None: as this user.
        pass_fds: Descriptors it inherits beside its output.
    """
    who = ("-", "-") if account is None else (str(account.uid), str(account.gid))
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(int(parent_death_signal)), str(os.getpid()), *who]
    return subprocess.Popen(
        [*launcher, *map(str, argv)],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )


def ask(argv: Sequence[str | Path], cwd: Path, account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as ``account`` and with a clean environment, and give what it printed."""
    return subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=CLEAN_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def identity(pid: int) -> str | None:
    """What tells this process from a later one with the same number: its time of start. None: no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if sys.platform == "linux" else _ask_ps(pid, "lstart=")
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def command_line(pid: int) -> str:
    """The command line of a process; empty if there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "" if sys.platform == "linux" else _ask_ps(pid, "command=") or ""


def send(pid: int, number: signal.Signals, group: bool = False) -> bool:
    """Send a signal to a process, or to the group it leads. Whether there was one."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(
    process: Process,
    steps: Sequence[tuple[signal.Signals | None, float]],
    hurry: Callable[[], bool] = lambda: False,
) -> bool:
    """Ask a child to end by each signal in turn, waiting that many seconds after each; then kill its group.

    Without a signal, a step only waits: for a child that was asked before.

    ``hurry`` is asked while waiting: once true, the waits are over.

    Returns:
        Whether the child ended without being killed.
    """
    for number, patience_s in steps:
        deadline = time.monotonic() + patience_s
        if number is not None and process.poll() is None:
            send(process.pid, number)
        while process.poll() is None and time.monotonic() < deadline and not hurry():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    ended = process.poll() is not None
    send(process.pid, signal.SIGKILL, group=True)
    process.wait()
    return ended


def end_stranger(pid: int, known_identity: str, patience_s: float = 10.0) -> None:
    """End a process group that an earlier supervisor left; does nothing when the pid is another's by now."""
    deadline = time.monotonic() + patience_s
    number = signal.SIGTERM
    while identity(pid) == known_identity:
        send(pid, number, group=True)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        if time.monotonic() > deadline + patience_s:
            return
        time.sleep(0.1)


def _ask_ps(pid: int, what: str) -> str | None:
    answer = subprocess.run(["ps", "-o", what, "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
