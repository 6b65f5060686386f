"""``python -m orchestrator``: the command line without its console script."""

from .cli import main

main()
