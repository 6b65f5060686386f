"""Databases that understand SQL."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from .base import Interface


class Database(Interface):
    """A database. Statements name their parameters ``:name``, and values always travel beside the statement."""

    interface: ClassVar[str] = "database"

    @abc.abstractmethod
    def execute(self, statement: str, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> int:
        """Execute a statement, once or (a sequence of parameters) for each; returns how many rows it touched.

        It is committed, unless a :meth:`transaction` is open.

        Raises:
            InvalidInput: The database refuses the statement or a value.
            Unavailable: It cannot be reached.
            AccessDenied: It refuses the account.
        """

    @abc.abstractmethod
    def fetch(
        self, statement: str, parameters: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a query, at most ``limit`` of them; each a dict by column. Raises as :meth:`execute`."""

    @abc.abstractmethod
    def stream(
        self, statement: str, parameters: Mapping[str, Any] | None = None, batch: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """The rows of a query, one by one; no more than ``batch`` are held at a time. Raises as :meth:`execute`."""

    @abc.abstractmethod
    def transaction(self) -> AbstractContextManager[Database]:
        """Inside the ``with`` all statements are one: kept when it ends well, undone when it raises."""

    def quote(self, identifier: str) -> str:
        """A name of a table or column, to be a part of a statement: in the quotes of this database."""
        return '"' + identifier.replace('"', '""') + '"'
