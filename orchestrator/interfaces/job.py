"""Work that another system does."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Protocol

from .base import Interface


class JobRun(Protocol):
    """One run of a job."""

    @property
    def identifier(self) -> str:
        """What the other system knows it by."""

    def wait(self, timeout: float | None = None) -> None:
        """Return when it is done, well or not; ``timeout`` in seconds. Raises TimeoutError; the run goes on then."""

    def result(self) -> Any:
        """What it gave, once it is done. Raises JobFailed where it failed."""


class Job(Interface):
    """Something that another program or system can be told to do: a dbt build, a check, a query."""

    interface: ClassVar[str] = "job"

    @abc.abstractmethod
    def trigger(self, **parameters: Any) -> JobRun:
        """Start a run; returns at once. Each kind says what it takes. Raises InvalidInput, Unavailable."""
