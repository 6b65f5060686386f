"""Jobs that are programs of this computer: started, followed line by line, and asked for their result."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import BlockError, InvalidInput, JobFailed

_KEPT_LINES = 200
_LONGEST_LINE = 4000


@dataclass
class Program:
    """What is to be started.

    Attributes:
        name: What people call it, in messages and as the logger's name.
        command: The program and its arguments; never a secret, for ``ps`` shows them.
        env: Laid over the environment of this process; secrets go here.
        folder: Where it is executed, and what is deleted once it is done; see ``keeps``.
        secrets: Values that are masked in what it prints.
        timeout: Seconds until it is ended; None: never.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    scratch: Path | None = None
    secrets: Sequence[str] = ()
    timeout: float | None = None


class ProgramRun:
    """One run of a program; what it prints is logged as it comes.

    The program stays in the process group of who starts it, so that a run that is killed takes it along.
    """

    def __init__(self, program: Program, finish: Callable[[int, str], Any]) -> None:
        """Start it.

        Args:
            program: What to start.
            finish: Makes the result of the exit code and the last lines; what it raises, :meth:`result` raises.

        Raises:
            BlockError: There is no such program.
        """
        self._program, self._finish = program, finish
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._late = False
        try:
            self._process = subprocess.Popen(
                [*program.command],
                env={**os.environ, **program.env},
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._clean()
            raise BlockError(f"{program.name}: {program.command[0]} cannot be started: {error.strerror}") from None
        # The thread logs as the run that started it.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._follow,), name=program.name, daemon=True).start()

    @property
    def identifier(self) -> str:
        """The process id."""
        return str(self._process.pid)

    def wait(self, timeout: float | None = None) -> None:
        """Return when it is done. Raises TimeoutError after ``timeout`` seconds; it goes on then."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self._program.name} (process {self.identifier}) is not done after {timeout:g} s")

    def result(self) -> Any:
        """What it gave, once it is done. Raises JobFailed."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def stop(self) -> None:
        """End it."""
        self._process.terminate()

    def _follow(self) -> None:
        timer = threading.Timer(self._program.timeout or 0, self._end_late)
        timer.daemon = True
        if self._program.timeout:
            timer.start()
        try:
            self._read()
            code = self._process.wait()
            if self._late:
                raise JobFailed(f"{self._program.name} took longer than {self._program.timeout:g} s, and was ended")
            self._value = self._finish(code, "\n".join(self._lines))
        except BaseException as error:  # it is result()'s to raise
            self._error = error
        finally:
            timer.cancel()
            self._clean()
            self._done.set()

    def _read(self) -> None:
        logger = logging.getLogger(f"orchestrator.blocks.{self._program.name}")
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                clean = masked(line.rstrip()[:_LONGEST_LINE], self._program.secrets)
                if clean:
                    self._lines.append(clean)
                    logger.info("%s", clean)

    def _end_late(self) -> None:
        self._late = True
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _clean(self) -> None:
        if self._program.scratch is not None:
            shutil.rmtree(self._program.scratch, ignore_errors=True)


def scratch_folder() -> Path:
    """A temporary folder that only this user can read."""
    return Path(tempfile.mkdtemp(prefix="orchestrator-job-"))


@contextlib.contextmanager
def removed_on_error(folder: Path) -> Any:
    """Inside the ``with``, the folder goes when something raises; else it stays."""
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def find_program(place: str, name: str, install: str) -> str:
    """The path of a program.

    Args:
        place: What a person wrote: a name, a path, or the folder of a virtual environment.
        name: What the program is called in a virtual environment.
        install: What to install where there is none.

    Raises:
        BlockError: It is nowhere.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        path = path / "bin" / name
    beside = Path(sys.executable).parent / place
    if "/" not in place and os.access(beside, os.X_OK) and beside.is_file():
        return str(beside)
    found = shutil.which(str(path))
    if found is None:
        raise BlockError(f"there is no program {place} on this computer: pip install {install}, or give its path")
    return found


def ask(program: Program, problem: str) -> str:
    """Run a program that is quickly done; returns what it printed. Raises JobFailed with ``problem``."""

    def finish(code: int, lines: str) -> str:
        if code != 0:
            raise JobFailed(f"{problem}: {last_line(lines)}")
        return lines

    answer: str = ProgramRun(program, finish).result()
    return answer


def last_line(lines: str) -> str:
    """The last line that says something: of an error, the cause."""
    told = [line.strip() for line in lines.splitlines() if line.strip(" -=.")]
    return told[-1] if told else "it printed nothing"


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "********") if secret else text
    return text


def plain_arguments(name: str, values: str | Sequence[str] | None) -> list[str]:
    """Words for a command line, none of which is taken for an option. Raises InvalidInput."""
    words = values.split() if isinstance(values, str) else [*(values or ())]
    for word in words:
        if not isinstance(word, str) or not word or word.startswith("-") or "\0" in word:
            raise InvalidInput(f"{name}: {word!r} is not allowed: write names, none that starts with -")
    return words
