"""What opens a door: keys and accounts that other blocks hold."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from .base import Interface


class Credentials(Interface):
    """An account of a service. Blocks that use it hold a reference, so that it is rotated in one place."""

    interface: ClassVar[str] = "credentials"

    @abc.abstractmethod
    def client(self, **options: Any) -> Any:
        """The service's own client, opened with the account; each kind says which, and what ``options`` it takes.

        Raises:
            BlockError: The account cannot be used as it is, or a package is missing.
        """
