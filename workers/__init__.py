"""workers"""

if __name__ == "workers":
    raise ImportError("import orchestrator.workers")
