"""The browser of tests: a Chromium that is installed on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser; a machine of the CI must have one, elsewhere the tests that need it are left out."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        problem = f"no browser: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
