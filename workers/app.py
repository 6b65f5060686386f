"""``celery -A orchestrator.workers.app beat``: the application of this installation's Redis."""

from __future__ import annotations

from orchestrator.settings import load

from .broker import make_app

app = make_app(load().redis_url, include=("orchestrator.workers.beat", "orchestrator.workers.ticks"))
# Here, as the command line reads it before the modules above are imported.
app.conf.beat_scheduler = "orchestrator.workers.beat:Ticks"
# Ticks are many and short. Held back until a thread is free, they would wait for Celery's next look, up to a second.
app.conf.update(worker_disable_prefetch=False, worker_prefetch_multiplier=0)
