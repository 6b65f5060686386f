"""What a look at a large bucket costs: memory beyond that of a look at a small one, and time.

Each round is a process of its own that looks by the S3 block, as an agent does: at 1,000 keys, then at 100,000, and at
these once more after 10 keys were put among them. The bucket is served by another process (:mod:`benchmarks.bucket`,
which is not moto, and says why), so that its memory does not count.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .bucket import serving
from .figures import Figure

BAR = "a look at 100,000 keys takes at most 16 MiB more than one at 1,000, and tells exactly the 10 that are new"
ROUNDS = 3
FEW, KEYS, NEW = 1_000, 100_000, 10
_MIB = 1 << 20


def run() -> Iterable[Figure]:
    """Raises RuntimeError when a look does not tell exactly what is new."""
    rounds = []
    for _ in range(ROUNDS):
        with serving() as endpoint:
            rounds.append(_round(endpoint))
    units = {"memory": "MiB", "first_look": "s", "next_look": "s", "cursor": "MiB", "told": "keys"}
    for name, unit in units.items():
        yield Figure.of(f"discovery_{name}", [found[name] for found in rounds], unit)


def _round(endpoint: str) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.discovery", endpoint, str(FEW), str(KEYS), str(NEW)]
    tree = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"a look at {KEYS:,} keys: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(endpoint: str, few: str, many: str, new: str) -> None:
    """One round: prints its figures as JSON."""
    small, large = _bucket(endpoint, few), _bucket(endpoint, many)
    _look(small, None)
    before = _peak()
    first_look, cursor, _ = _look(large, None)
    wanted = [f"raw/day={number:03}/new-{number}.csv" for number in range(int(new))]
    for key in wanted:
        put = urllib.request.Request(f"{endpoint}/bucket-{many}/{key}", b"x", method="PUT")
        urllib.request.urlopen(put, timeout=60).close()
    next_look, cursor, told = _look(large, cursor)
    if told != [("s3.object.created", key) for key in wanted]:
        raise RuntimeError(f"{len(told)} events were told: {told[:20]}")
    print(json.dumps({
        "memory": (_peak() - before) / _MIB, "first_look": first_look, "next_look": next_look,
        "cursor": len(json.dumps(cursor)) / _MIB, "told": len(told),
    }))  # fmt: skip


def _bucket(endpoint: str, keys: str) -> Any:
    from orchestrator.blocks.s3 import S3

    account = {"access_key_id": "bench", "secret_access_key": "bench"}
    return S3.model_validate({"bucket": f"bucket-{keys}", "region": "us-east-1", "endpoint_url": endpoint, **account})


def _look(block: Any, cursor: Any) -> tuple[float, Any, list[tuple[str, str]]]:
    """One look, as discovery has it: all resources, then what happened; seconds, the next cursor, the events."""
    told: list[tuple[str, str]] = []
    start = time.perf_counter()
    for _ in block.discover():
        pass
    cursor = block.observe(cursor, lambda seen: told.append((seen.event, seen.resource.name)))
    return time.perf_counter() - start, cursor, told


def _peak() -> int:
    """Bytes of memory that this process had at most."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss may be that of the process that started this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
