"""Entry of an interpreter that is not the agent's own: make the agent's packages importable, then be a run's process.

It is executed by its path and may import the standard library only: ``python bootstrap.py VERSION CONTROL LIFELINE
FRAME FOLDER...``. The folders, the agent's, come last on the search path, so that what the interpreter brings itself
wins; packages of another version of Python would not load, so that one gets none.
"""

from __future__ import annotations

import json
import os
import runpy
import struct
import sys


def tell_failure(control: int, message: str) -> None:
    """Send the run's end to its supervisor (:mod:`.frames`)."""
    body = json.dumps({"kind": "end", "state": {"type": "CRASHED", "message": message}, "result": None}).encode()
    os.write(control, struct.pack(">I", len(body)) + body)


def main() -> None:
    """Become the process of the run."""
    version, control, lifeline, frame = sys.argv[1:5]
    own = "{}.{}".format(*sys.version_info[:2])
    del sys.path[0]
    if own == version:
        sys.path += [folder for folder in sys.argv[5:] if folder not in sys.path]
    sys.argv[1:] = [control, lifeline, "--frame", frame]
    try:
        runpy.run_module("orchestrator.workers.agent.child", run_name="__main__", alter_sys=True)
    except ImportError as error:
        needs = "" if own == version else f"; it is Python {own}, the agent's {version}: install orchestrator for it"
        tell_failure(int(control), f"the interpreter {sys.executable} cannot load orchestrator: {error}{needs}")
        os._exit(1)


if __name__ == "__main__":
    main()
