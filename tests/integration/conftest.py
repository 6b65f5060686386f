"""Fixtures of integration tests."""

from tests.acting import senders  # noqa: F401
