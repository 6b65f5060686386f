"""Looks at flows in a process of their own: ``python -m orchestrator.projects.inspection ANSWER FOLDER ENTRYPOINT...``.

``deployment build`` starts it, so that no module of the project is in memory yet, the current folder is the project's
and its search path is that of an agent's child. What it finds is written to the file ANSWER as JSON: one object for
each entrypoint, with ``flow``, ``description``, ``version``, ``crash_retries`` and ``parameter_schema``, or with
``error``.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from .. import serializers
from ..errors import OrchestratorError
from ..values import parameters
from . import loading


def look(folder: Path, entrypoint: str) -> dict[str, Any]:
    """The facts of one entrypoint; ``error`` in place of them where it cannot be loaded."""
    try:
        flow = loading.load_flow(folder, entrypoint)
        return {
            "entrypoint": entrypoint,
            "flow": flow.name,
            "description": flow.description,
            "version": flow.version,
            "crash_retries": flow.crash_retries,
            "parameter_schema": parameters.json_schema(flow.fn),
        }
    except OrchestratorError as error:
        return {"entrypoint": entrypoint, "error": str(error)}
    except BaseException as error:  # a module may do anything when it is imported, leaving the process included
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename}:{last.lineno}"
        return {"entrypoint": entrypoint, "error": f"{entrypoint} raised {type(error).__name__}: {error} ({where})"}


def main(arguments: list[str]) -> None:
    """Look at each entrypoint and write the answer."""
    answer, folder = Path(arguments[0]), Path(arguments[1])
    # `-m` put the folder of whoever started us at the head: the project must not need it.
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    os.chdir(folder)
    answer.write_bytes(serializers.dumps([look(folder, entrypoint) for entrypoint in arguments[2:]]))


if __name__ == "__main__":
    main(sys.argv[1:])
