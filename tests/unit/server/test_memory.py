"""What a burst of work needed is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os
import psutil
from orchestrator.server.memory import give_back
blocks = [bytearray(2000) for _ in range(30_000)]
last = bytearray(2000)  # above them all: what lies below is not given back by itself
del blocks
before = psutil.Process().memory_info().rss
give_back()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have a way of their own")
def test_free_memory_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 30_000_000
