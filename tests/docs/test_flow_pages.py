"""The examples of the pages on flows and tasks run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "calls"),
    [
        ("flows.md", ["load('orders', day='2026-02-03')", "sum(rows('orders'))", "report()"]),
        ("states.md", ["nightly()"]),
        ("retries.md", ["nightly() == 3 or 1 / 0"]),
        ("hooks.md", ["nightly(return_state=True).type.value == 'FAILED' or 1 / 0"]),
        (
            "transactions.md",
            ["[load(3), load(0)] == [True, False] or 1 / 0", "[send_invoices('05')] * 2 == ['05-0001'] * 2 or 1 / 0"],
        ),
        ("results.md", ["daily()", "expensive('2026-02-03')"]),
        ("tasks.md", ["nightly()", "tolerant()", "daily()"]),
        ("limits.md", ["load('orders')", "fetch(3)"]),
        ("runtime.md", ["nightly()"]),
        ("artifacts.md", ["report()"]),
        ("runners.md", ["primes()", "resize('abc') == 3 or 1 / 0", "send_invoice('Acme')"]),
    ],
)
def test_examples_run(page: str, calls: list[str], tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S)
    assert len(blocks) == len(calls)
    for number, (block, call) in enumerate(zip(blocks, calls, strict=True)):
        script = tmp_path / f"example_{number}.py"
        script.write_text(f"{block}\nif __name__ == '__main__':\n    print('got', {call})\n")
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "got" in done.stdout
