"""Who answers in place of people while a flow is drawn and not run."""

from __future__ import annotations

from typing import Any, Protocol

#: There is no default: nobody knows what would be answered.
UNKNOWN: Any = object()


class Drawn(Protocol):
    """The drawing, as far as it is asked."""

    def answer(self, what: str, default: Any) -> Any:
        """The answer to a question, to be awaited in ``async`` code.

        Args:
            what: What is asked for, in a few words.
            default: What it would be where nobody answers; :data:`UNKNOWN`.
        """

    def messages(self, what: str) -> Any:
        """What stands in for the messages of a kind that a run receives, one by one."""
