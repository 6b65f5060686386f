"""How long a user waits for nothing: importing the package, and asking the command line for help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable

from .figures import Figure, timed

BAR = "`import orchestrator` takes at most 120 ms more than bare python; `orchestrator --help` at most 300 ms"
ROUNDS = 15
COMMANDS = {
    "python_bare": ["-c", "pass"],
    "import_orchestrator": ["-c", "import orchestrator"],
    "import_flow_and_task": ["-c", "from orchestrator import flow, task"],
    "orchestrator_help": ["-m", "orchestrator", "--help"],
}


def run() -> Iterable[Figure]:
    """Whole processes, turn about, so that a busy moment hits all of them."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    samples: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(ROUNDS + 1):
        for name, words in COMMANDS.items():
            seconds = timed(
                lambda words=words: subprocess.run(  # type: ignore[misc]
                    [sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL
                )
            )
            if number:  # the first round warms the caches of files and bytecode
                samples[name].append(seconds * 1000)
    bare = sorted(samples["python_bare"])[ROUNDS // 2]
    for name, taken in samples.items():
        yield Figure.of(name, taken, "ms")
    over = [taken - bare for taken in samples["import_orchestrator"]]
    yield Figure.of("import_orchestrator_over_bare", over, "ms")
