"""How fast tasks of one flow are spread over agents, beside what Celery alone brings about with as many processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import Celery, group

from orchestrator.embedded import EmbeddedServices

from . import project
from .figures import Figure
from .stack import Stack, running

BAR = "2,000 no-op tasks mapped over 2 workers on an agent: at least 40 % of the rate of Celery alone, with 2 processes"
TASKS, ROUNDS, WORKERS = 2000, 3, 2
_APP = """
from celery import Celery

app = Celery("raw", broker={url!r}, backend={url!r})
app.conf.worker_prefetch_multiplier = 50


@app.task(name="number")
def number(given):
    return given
"""


def run() -> Iterable[Figure]:
    """Both counted from the first task that is sent to the last result, once the workers are there."""
    with TemporaryDirectory() as folder, _celery(Path(folder)) as app:
        raw = [TASKS / _alone(app, TASKS) for _ in range(ROUNDS)]
    with running([project.QUEUE]) as stack:
        deployment = project.deploy(stack, "maps")
        ours = [TASKS / _mapped(stack, deployment, stack.home / f"took-{number}") for number in range(ROUNDS)]
    yield Figure.of("celery_alone", raw, "tasks/s")
    yield Figure.of("celery_map", ours, "tasks/s")
    yield Figure.of("celery_map_share", [100 * sorted(ours)[1] / sorted(raw)[1]], "% of Celery alone")


def _mapped(stack: Stack, deployment: str, path: Path) -> float:
    parameters = {"upto": TASKS, "path": str(path)}
    run_id = stack.client().post(f"deployments/{deployment}/runs", {"parameters": parameters})["id"]
    if (state := project.ended(stack, run_id, 120.0)) != "COMPLETED":
        raise RuntimeError(f"the flow run ended {state}")
    return float(path.read_text())


@contextmanager
def _celery(folder: Path) -> Iterator[Celery]:
    folder.chmod(0o755)
    with EmbeddedServices(folder / "services") as services:
        url = services.redis_url
        (folder / "raw.py").write_text(_APP.format(url=url))
        words = ["-A", "raw", "worker", "--concurrency", str(WORKERS), "--loglevel", "error", "--without-gossip"]
        worker = subprocess.Popen([sys.executable, "-m", "celery", *words], cwd=folder)
        try:
            app = Celery("raw", broker=url, backend=url)
            _alone(app, 50)
            yield app
        finally:
            worker.terminate()
            worker.wait()


def _alone(app: Celery, number: int) -> float:
    began = time.monotonic()
    found = group(app.signature("number", args=(given,)) for given in range(number)).apply_async()
    if found.get(timeout=120.0) != list(range(number)):
        raise RuntimeError("results are missing")
    return time.monotonic() - began
