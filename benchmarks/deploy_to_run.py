"""How long it takes from a project on disk to its first completed run, by the commands a person types."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = "build, apply and run a small project through S3 to COMPLETED: at most 10 s"
ROUNDS = 3
QUEUE, BUCKET, REGION = "bench", "flows", "us-east-1"
_KEYS = {"access_key_id": "bench", "secret_access_key": "bench"}
_FLOW = """
from orchestrator import flow, task

from helpers import double


@task
def load(number: int) -> int:
    return double(number)


@flow
def small(rows: int = 5) -> int:
    return sum(load(number) for number in range(rows))
"""


def run() -> Iterable[Figure]:
    """A changed project each round: nothing of it is in storage, or on the agent, before."""
    with _s3() as endpoint, running([QUEUE]) as stack:
        fields = {"bucket": BUCKET, "region": REGION, "endpoint_url": endpoint, **_KEYS}
        _command(
            stack, "block", "create", "s3/bench", *(w for pair in fields.items() for w in ("--set", "=".join(pair)))
        )
        built, ran, whole = [], [], []
        for number in range(ROUNDS):
            folder = _project(stack.home / f"project-{number}", number)
            file = str(folder / "deployment.yaml")
            began = time.monotonic()
            _command(
                stack, "deployment", "build", str(folder), "-n", "bench", "-sb", "s3/bench", "-q", QUEUE, "-o", file
            )
            _command(stack, "deployment", "apply", file)
            applied = time.monotonic()
            _command(stack, "deployment", "run", "small/bench", "--watch")
            ended = time.monotonic()
            built.append(applied - began)
            ran.append(ended - applied)
            whole.append(ended - began)
    yield Figure.of("deploy_build_and_apply", built, "s")
    yield Figure.of("deploy_run", ran, "s")
    yield Figure.of("deploy_to_run", whole, "s")


@contextmanager
def _s3() -> Iterator[str]:
    """A stand-in of S3 with one empty bucket; its address. The other benchmarks run without these libraries."""
    boto3, moto = importlib.import_module("boto3"), importlib.import_module("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
        boto3.client("s3", endpoint_url=endpoint, region_name=REGION, **keys).create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.stop()


def _project(folder: Path, number: int) -> Path:
    folder.mkdir()
    (folder / "flow.py").write_text(f"# round {number}\n{_FLOW}")
    (folder / "helpers.py").write_text("def double(number: int) -> int:\n    return 2 * number\n")
    (folder / "README.md").write_text("A small project.\n")
    return folder


def _command(stack: Stack, *words: str) -> None:
    """One command, as a person types it. Raises RuntimeError with what it said when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words], env=stack.environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"orchestrator {' '.join(words[:2])}: {done.stderr}")
