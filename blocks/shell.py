"""A command of the operating system, run where the flow runs."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from orchestrator.block import Block, SecretDict
from orchestrator.errors import InvalidInput, JobFailed
from orchestrator.interfaces import Job

_log = logging.getLogger("orchestrator.blocks.shell")
#: Seconds between asking a command to end and ending it.
_GRACE = 5.0
#: Seconds for which output is read once the command is over, where what it left running goes on to write.
_LAST_WORDS = 1.0


@dataclass(frozen=True)
class CommandResult:
    """What a command did: its exit code, the last of what it wrote, and how long it took."""

    exit_code: int
    output: str
    errors: str
    seconds: float


class CommandRun:
    """One run of a command. It is over when the command is, or when its time is up: then all of its group is killed."""

    def __init__(self, process: subprocess.Popen[bytes], block: Shell, name: str, secrets: tuple[str, ...]) -> None:
        self._process, self._name, self._secrets = process, name, secrets
        self._timeout, self._began = block.timeout_s, time.monotonic()
        self._seconds, self._timed_out, self._done = 0.0, False, threading.Event()
        assert process.stdout is not None
        assert process.stderr is not None
        self._output = _Tail(process.stdout, block.keep_bytes, self._say if block.log_output else None)
        self._errors = _Tail(process.stderr, block.keep_bytes, self._say if block.log_output else None)
        threading.Thread(target=self._watch, name=f"command-{process.pid}", daemon=True).start()

    @property
    def identifier(self) -> str:
        """The process id."""
        return str(self._process.pid)

    def wait(self, timeout: float | None = None) -> None:
        """Return when the command is over; ``timeout`` in seconds. Raises TimeoutError; the command goes on then."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self._name} (process {self.identifier}) still runs after {timeout} s")

    def result(self) -> CommandResult:
        """What the command did; waits for it.

        Raises:
            JobFailed: Its exit code is not 0, or its time was up. The text has the last line that it wrote.
        """
        self.wait()
        code, said = self._process.returncode, self._last_line()
        if self._timed_out:
            raise JobFailed(f"{self._name} was killed, as it took longer than {self._timeout:g} s (timeout_s){said}")
        if code:
            how = f"was ended by {_signal_name(-code)}" if code < 0 else f"failed with exit code {code}"
            raise JobFailed(f"{self._name} {how}{said}")
        return self.outcome()

    def outcome(self) -> CommandResult:
        """What the command did, whether that was well or not; waits for it."""
        self.wait()
        output, errors = (self._masked(tail.text()) for tail in (self._output, self._errors))
        return CommandResult(self._process.returncode, output, errors, self._seconds)

    def kill(self) -> None:
        """End the command, with all that it started in its group, at once."""
        self._signal(signal.SIGKILL)

    def _watch(self) -> None:
        try:
            self._process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self._timed_out = True
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        if self._timed_out:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._seconds = time.monotonic() - self._began
        for tail in (self._output, self._errors):  # what it left running may hold the other ends: it is not waited for
            tail.close()
        self._done.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _last_line(self) -> str:
        lines = (self._errors.text().strip() or self._output.text().strip()).splitlines()
        return f": {self._masked(lines[-1].strip())[:300]}" if lines else ""

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text

    def _say(self, line: str) -> None:
        _log.info("%s", self._masked(line))


class Shell(Block, Job):
    """Runs a command of the operating system: a program with its arguments, or a script of the shell."""

    _name: ClassVar[str] = "Shell"
    _slug: ClassVar[str] = "shell"
    _logo: ClassVar[str] = "tabler:terminal-2"
    _docs_url: ClassVar[str] = "https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.shell import Shell

        Shell(program=["pg_dump", "--schema-only", "warehouse"], timeout_s=600).save("dump-schema")
        Shell.load("dump-schema").trigger().result().output
        Shell(script="set -e; cd /srv/data; ls *.csv | wc -l").save("count-files")
        """

    program: list[str] = Field(
        default_factory=list, description="A program and its arguments, each as it is: no shell reads them."
    )
    script: str = Field(
        "",
        description="Or commands that a shell reads, with pipes, variables and wildcards.",
        json_schema_extra={"x-multiline": True},
    )
    shell: str = Field("/bin/sh", min_length=1, description="The shell that reads the script; it must know -c.")
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables, laid over those of the run.")
    secret_env: SecretDict | None = Field(None, description="Environment variables whose values are secret.")
    working_dir: str | None = Field(None, description="Folder to run in; empty: that of the run.")
    timeout_s: float = Field(3600, gt=0, le=30 * 86400, description="Seconds after which the command is killed.")
    keep_bytes: int = Field(
        1_000_000, ge=1_000, le=100_000_000, description="How much of its output is kept, of the end, in bytes."
    )
    log_output: bool = Field(True, description="Write what it writes to the run's log, line by line.")

    @model_validator(mode="after")
    def _one_command(self) -> Shell:
        if bool(self.program) == bool(self.script.strip()):
            raise ValueError("give either program, a list, or script, a text")
        if self.program and not self.program[0]:
            raise ValueError("the first item of program names what to run; it is empty")
        if any("\0" in text for text in (*self.program, self.script)):
            raise ValueError("a command cannot hold a null character")
        _check_env(self._secret_env())
        return self

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        _check_env(env)
        return env

    def trigger(self, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None) -> CommandRun:  # type: ignore[override]
        """Start the command; returns at once.

        Args:
            arguments: Put behind those of the program; a script has them as ``$1``, ``$2``...
            env: Environment variables beside those of the block.

        Raises:
            InvalidInput: There is no such program, shell or folder, or an argument is no text.
        """
        more = [str(argument) for argument in arguments]
        given = {str(name): str(value) for name, value in (env or {}).items()}
        try:
            _check_env(given)
        except ValueError as error:
            raise InvalidInput(f"env: {error}") from None
        command = [*self.program, *more] if self.program else [self.shell, "-c", self.script, self.shell, *more]
        secrets = tuple(sorted(filter(None, self._secret_env().values()), key=len, reverse=True))
        return CommandRun(self._start(command, given), self, Path(command[0]).name, secrets)

    def test(self) -> str:
        """Look for the program and the folder; nothing is run."""
        folder = Path(self.working_dir or ".").expanduser()
        if not folder.is_dir():
            raise InvalidInput(f"working_dir: there is no folder {self.working_dir}")
        name = self.program[0] if self.program else self.shell
        path = self.env.get("PATH", os.environ.get("PATH", os.defpath))
        found = _which(name, path, folder)
        if found is None:
            raise InvalidInput(f"there is no program {name} here that may be executed")
        return f"{found} would be run; it was not."

    def _start(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        folder = Path(self.working_dir).expanduser() if self.working_dir else None
        if folder and not folder.is_dir():
            raise InvalidInput(f"working_dir: there is no folder {self.working_dir}")
        try:
            return subprocess.Popen(
                command, cwd=folder, env={**os.environ, **self.env, **self._secret_env(), **env},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True,  # a group of its own, so that all of it can be killed
            )  # fmt: skip
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise InvalidInput(f"{command[0]} cannot be run: {why}") from None

    def _secret_env(self) -> dict[str, Any]:
        return self.secret_env.get_secret_value() if self.secret_env else {}


class _Tail:
    """The end of what a pipe gives, read by a thread of its own; what comes before it is counted."""

    def __init__(self, pipe: IO[bytes], keep: int, say: Any) -> None:
        self._pipe, self._keep, self._say = pipe, keep, say
        self._kept, self._dropped, self._rest = bytearray(), 0, b""
        self._lock, self._ended = threading.Lock(), threading.Event()
        # In the context of the run, or its log would not know whose lines they are.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=(self._read,), name="command-output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        watcher, last = select.poll(), float("inf")
        watcher.register(self._pipe, select.POLLIN | select.POLLHUP)
        while time.monotonic() < last:
            ended = self._ended.is_set()
            if ended and last == float("inf"):
                last = time.monotonic() + _LAST_WORDS
            if not watcher.poll(100):
                if ended:
                    break
                continue
            chunk = os.read(self._pipe.fileno(), 1 << 16)
            if not chunk:
                break
            self._take(chunk)
        if self._say and self._rest:
            self._tell(b"\n")
        self._pipe.close()

    def _take(self, chunk: bytes) -> None:
        with self._lock:
            self._kept += chunk
            excess = len(self._kept) - self._keep
            if excess > self._keep // 4 or excess > 1 << 20:
                del self._kept[:excess]
                self._dropped += excess
        if self._say:
            self._tell(chunk)

    def _tell(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-(1 << 16) :]
        for line in lines:
            self._say(line.decode("utf-8", "replace").rstrip("\r"))

    def close(self) -> None:
        """Read what is there; what is written later, by what the command left running, is not waited for."""
        self._ended.set()
        self._thread.join()

    def text(self) -> str:
        """The end, with a note of what is missing before it."""
        with self._lock:
            kept, dropped = bytes(self._kept[-self._keep :]), self._dropped
            dropped += max(0, len(self._kept) - self._keep)
        text = kept.decode("utf-8", "replace")
        return f"(cut: {dropped} bytes before this)\n{text}" if dropped else text


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the many that have none
        return f"signal {number}"


def _check_env(env: Mapping[str, Any]) -> None:
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} cannot name an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(f"the value of {name} must be a text without null characters")


def _which(name: str, path: str, folder: Path) -> str | None:
    places = [folder / name] if "/" in name else [folder / part / name for part in path.split(os.pathsep)]
    found = next((place for place in places if place.is_file() and os.access(place, os.X_OK)), None)
    return str(found) if found else None
