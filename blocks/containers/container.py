"""A container that executes a run, as its agent follows it."""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from orchestrator.errors import NotFound, OrchestratorError

from .engine import explained

log = logging.getLogger("orchestrator.agent")

#: Seconds between two looks: at first, growing to the longest.
PAUSE, LONGEST_PAUSE = 0.3, 2.0
#: What Podman sends in place of the output of a container that ends in the very moment in which it is asked for: its
#: error, of which the client takes the beginning for the header of a frame.
_REFUSED = re.compile(rb':"[^"]*","message":"failed to obtain logs for Container .*","response":500\}\s*', re.DOTALL)
#: How often an output is asked for that the engine refuses so.
REFUSALS = 5
_ENDED = frozenset({"exited", "stopped", "dead", "removing"})
#: The code of what was ended by SIGKILL.
KILLED = 137


class Container:
    """A started container.

    Args:
        client: The engine; closed at the end.
        address: Its address, for messages.
        container: What was started.
        memory_mb: The limit, for the reason of an end.
        remove: Whether the container is removed once it ended.
    """

    def __init__(self, client: Any, address: str, container: Any, memory_mb: int | None, remove: bool) -> None:
        self._client, self._address, self._container = client, address, container
        self._memory_mb, self._remove = memory_mb, remove
        self._ended = threading.Event()
        self._news = threading.Event()
        self._code: int | None = None
        self._state: dict[str, Any] = {}
        self._gone = False
        self._given_up = False
        threading.Thread(target=self._watch, name=f"watch-{container.name}", daemon=True).start()

    @property
    def identifier(self) -> str:
        """The container's name."""
        return str(self._container.name)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self.wait(0)

    def wait(self, seconds: float) -> int | None:
        """As :meth:`poll`, after waiting for the end."""
        if not self._ended.wait(seconds):
            return None
        return -1 if self._code is None else self._code

    def logs(self) -> Iterator[tuple[str, bytes]]:
        """Its output from the begin, also of a container that has ended; nothing of one that was removed."""
        if self._gone:
            return
        found: queue.Queue[tuple[str, bytes | None]] = queue.Queue(100)
        streams = {"stdout", "stderr"}
        for name in streams:
            threading.Thread(
                target=self._read, args=(name, found), name=f"{name}-{self.identifier}", daemon=True
            ).start()
        while streams:
            name, data = found.get()
            if data is None:
                streams.discard(name)
            else:
                yield name, data
        self._news.set()

    def _read(self, name: str, found: queue.Queue[tuple[str, bytes | None]]) -> None:
        only = {"stdout": name == "stdout", "stderr": name == "stderr"}
        try:
            with explained(self._address):
                for _ in range(REFUSALS):
                    if self._read_once(only, lambda data: found.put((name, data))):
                        break
        except OrchestratorError as error:
            log.warning("%s of %s cannot be read: %s", name, self.identifier, error)
        finally:
            found.put((name, None))

    def _read_once(self, only: dict[str, bool], give: Callable[[bytes], None]) -> bool:
        """Read an output to its end; False: the engine refused it, and may be asked again."""
        stream = self._container.logs(stream=True, follow=True, **only)
        try:
            for number, data in enumerate(stream):
                if number == 0 and _REFUSED.fullmatch(data):
                    return False
                give(data)
        finally:
            _hang_up(stream)
        return True

    def terminate(self) -> None:
        """SIGTERM to its first process, which ends the flow."""
        self._signal("SIGTERM")

    def kill(self) -> None:
        """SIGKILL to all in it."""
        self._signal("SIGKILL")

    def reason(self) -> str:
        """Why it ended."""
        what = f"the container {self.identifier}"
        if self._gone:
            return f"{what} was removed from outside before the flow ended"
        limit = f" (its limit is {self._memory_mb} MB)" if self._memory_mb else ""
        if self._state.get("OOMKilled"):
            return f"{what} was killed for want of memory (OOMKilled){limit}"
        if self._code == KILLED:
            return f"{what} was ended by SIGKILL: killed from outside, or out of memory{limit}"
        if self._code is None:
            return f"{what} cannot be reached any more"
        detail = f": {self._state['Error']}" if self._state.get("Error") else ""
        return f"{what} exited with code {self._code} before the flow ended{detail}"

    def clean_up(self) -> None:
        """Remove it, where that is wanted."""
        self._given_up = True
        try:
            if self._remove and not self._gone:
                with explained(self._address):
                    self._container.remove(force=True, v=True)
        except OrchestratorError:
            pass  # its labels say whose it is; `docker container prune` takes it
        finally:
            self._client.close()

    def _signal(self, name: str) -> None:
        try:
            with explained(self._address):
                self._container.kill(name)
        except NotFound:
            pass
        except OrchestratorError:
            self._news.set()
            if not self._ended.wait(LONGEST_PAUSE):  # it may have ended in that moment
                raise

    def _watch(self) -> None:
        """Look for the end, soon after something happened and now and then.

        The engine's own call for waiting is not used: Podman's may answer 20 s late.
        """
        pause = PAUSE
        while not self._given_up:
            self._news.clear()
            try:
                if self._look():
                    break
            except NotFound:
                self._gone = True
                break
            except OrchestratorError:
                pass  # an engine that does not answer is no reason to think that the run ended
            pause = PAUSE if self._news.wait(pause) else min(pause * 1.5, LONGEST_PAUSE)
        self._ended.set()

    def _look(self) -> bool:
        with explained(self._address):
            self._container.reload()
        state = self._container.attrs.get("State") or {}
        if state.get("Status") not in _ENDED:
            return False
        self._code, self._state = int(state.get("ExitCode", -1)), state
        return True


def _hang_up(stream: Any) -> None:
    """Close the connection of an output that was read, which the engine may leave open; over SSH that is not known."""
    with suppress(Exception):
        stream.close()
