"""A value that nobody shall read by accident."""

from __future__ import annotations

import abc
from typing import ClassVar

from .base import Interface


class Secret(Interface):
    """A value that nobody shall read by accident."""

    interface: ClassVar[str] = "secret"

    @abc.abstractmethod
    def get(self) -> str:
        """The value, in clear."""
