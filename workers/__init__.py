"""The wing of processes: the Celery application, beat's ticks, the services process, agents and what they supervise."""

if __name__ == "workers":
    raise ImportError("import orchestrator.workers")
