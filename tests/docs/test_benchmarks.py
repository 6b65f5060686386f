"""The benchmarks: each says what it is to meet, and is documented. None is run here: timings are no tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def benchmarks(*words: str, first: str = "pass") -> subprocess.CompletedProcess[str]:
    # The package under test may be installed elsewhere; the benchmarks lie in the tree alone.
    program = (
        "import importlib.util, sys;"
        f"spec = importlib.util.spec_from_file_location('benchmarks', {str(TREE / 'benchmarks' / '__init__.py')!r});"
        "module = importlib.util.module_from_spec(spec); sys.modules['benchmarks'] = module;"
        f"spec.loader.exec_module(module); {first}; from benchmarks.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )


def test_the_list_names_every_benchmark_with_its_bar() -> None:
    done = benchmarks("--list")
    assert done.returncode == 0, done.stderr
    names = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    tools = {"__init__", "__main__", "bucket", "figures", "project", "stack"}
    assert set(names) == {path.stem for path in (TREE / "benchmarks").glob("*.py")} - tools
    assert all(line.partition(": ")[2] for line in done.stdout.splitlines())
    text = (TREE / "docs" / "performance.md").read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


def test_an_unknown_name_is_refused() -> None:
    done = benchmarks("nonsense")
    assert done.returncode == 2
    assert "import_time" in done.stderr


def test_a_figure_is_one_line_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import runpy, sys; f = runpy.run_path(sys.argv[1]);"
         "print(f['Figure'].of('x', [3.0, 1.0, 2.0], 'ms').line());"
         "print(f['percentile']([1.0, 2.0, 3.0, 4.0], 0.5), f['percentile']([1.0, 2.0], 0.99))",
         str(TREE / "benchmarks" / "figures.py")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    line, percentiles = done.stdout.splitlines()
    assert json.loads(line) == {
        "name": "x", "value": 2.0, "unit": "ms", "runs": 3, "min": 1.0, "median": 2.0, "max": 3.0
    }  # fmt: skip
    assert percentiles == "2.0 2.0"


def test_a_benchmark_of_processes_alone_runs() -> None:
    done = benchmarks("import_time", first="import benchmarks.import_time as timing; timing.ROUNDS = 1")
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"python_bare", "import_orchestrator", "orchestrator_help"} <= {figure["name"] for figure in figures}


def test_a_look_tells_exactly_the_new_keys() -> None:
    few = "import benchmarks.discovery as looks; looks.ROUNDS, looks.FEW, looks.KEYS = 1, 10, 2500"
    done = benchmarks("discovery", first=few)
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure["value"] for figure in map(json.loads, done.stdout.splitlines())}
    assert figures["discovery_told"] == 10
    assert 0 < figures["discovery_cursor"] < 8
