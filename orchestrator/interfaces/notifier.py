"""Telling people something."""

from __future__ import annotations

import abc
from typing import ClassVar

from .base import Interface


class Notifier(Interface):
    """Sends a message to people, by a chat, a mail, a pager."""

    interface: ClassVar[str] = "notifier"

    @abc.abstractmethod
    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; returns once the service took it.

        Args:
            body: The text, as Markdown where the service renders it; what is too long for the service is cut, and the
                cut says so.
            subject: A line above it.

        Raises:
            Unavailable: The service cannot be reached, or is too busy; the message may be sent again.
            AccessDenied: It refuses the account.
            InvalidInput: It refuses the message.
        """
