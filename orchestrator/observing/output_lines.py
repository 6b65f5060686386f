"""What processes write to stdout and stderr, as lines of a run's log."""

from __future__ import annotations

from collections.abc import Callable

#: Most bytes of output that one attempt may log, over both streams; the rest is counted and named at the end.
OUTPUT_MAX = 64 * 1024 * 1024


class Budget:
    """How much output of one attempt is still logged.

    Args:
        size: Bytes that may be logged in all.
    """

    def __init__(self, size: int = OUTPUT_MAX) -> None:
        self.size = size
        self.left = size
        self.dropped_lines = 0
        self.dropped_bytes = 0

    def take(self, size: int) -> bool:
        """Whether a line of ``size`` bytes is still logged; if not, it is counted."""
        if size <= self.left:
            self.left -= size
            return True
        self.left = 0
        self.dropped_lines += 1
        self.dropped_bytes += size
        return False

    @property
    def notice(self) -> str | None:
        """What to say at the end about lines that were dropped; None when none were."""
        if not self.dropped_lines:
            return None
        return (
            f"{self.dropped_lines} more lines of output ({self.dropped_bytes} bytes) were not kept:"
            f" one attempt logs at most {self.size} bytes"
        )


class Lines:
    """Cuts one stream into lines and hands each on.

    A line ends at a newline; where a carriage return rewrote it (progress bars), the last version counts, as on a
    terminal. A line over ``line_max`` bytes is cut, and says by how much; it never occupies more memory than that.

    Args:
        emit: Called with each line, decoded.
        line_max: Bytes of a line that are kept.
        budget: Shared by the streams of one attempt.
        tidy: Given the text of a line that was cut; returns it without what must not stand at its end.
    """

    def __init__(
        self,
        emit: Callable[[str], None],
        line_max: int,
        budget: Budget,
        tidy: Callable[[str], str] = str,
    ) -> None:
        self._emit = emit
        self._max = line_max
        self._budget = budget
        self._tidy = tidy
        self._partial = bytearray()
        self._over = 0
        self._told = False

    def feed(self, data: bytes) -> None:
        """Add bytes as they were written."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._add(piece)
            self._end()
        self._add(rest)

    def close(self) -> None:
        """The stream is over: a last line without a newline counts too."""
        if self._partial or self._over:
            self._end()

    def _add(self, piece: bytes) -> None:
        if b"\r" in piece:
            head, mark, tail = piece.rpartition(b"\r")
            # A carriage return before the newline belongs to the line's end; any other starts the line anew.
            if tail:
                self._partial.clear()
                self._over = 0
                piece = tail
            else:
                piece = head.rpartition(b"\r")[2] + mark
        elif self._partial.endswith(b"\r") and piece:
            self._partial.clear()
            self._over = 0
        room = self._max - len(self._partial)
        self._partial += piece[:room]
        self._over += max(0, len(piece) - room)

    def _end(self) -> None:
        line, over = bytes(self._partial), self._over
        self._partial.clear()
        self._over = 0
        if not self._budget.take(len(line) + over + 1 if not over else len(line) + 1):
            self._tell()
            return
        text = line.rstrip(b"\r").decode("utf-8", "replace").replace("\x00", "\ufffd")
        if over:
            text = f"{self._tidy(text)} ... [cut: {over} bytes more]"
        self._emit(text)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._emit(f"[output over {self._budget.size} bytes: what follows is not kept]")
