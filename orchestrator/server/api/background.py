"""What each API process does beside answering: it tells that it is up, writes when keys were last used, gives back
connections and memory that it does not need, and makes the block types of installed packages known.
"""

from __future__ import annotations

import logging
import os
import threading

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ...clock import now
from ...errors import BlockError
from ...kinds import block_kinds, kind_facts
from ..config import current
from ..db.session import close_idle, reading, transaction
from ..memory import give_back
from ..services import ticks
from ..services.configuring import block_types
from ..services.identity import keys

_log = logging.getLogger(__name__)

#: Seconds between two writes of when keys were last used.
FLUSH_S = 60.0
#: Seconds between two looks for connections and memory that are not needed.
CLOSE_S = 30.0

_owner: int | None = None
_lock = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))


def install(app: Flask) -> None:
    """Start the thread with the first request of each process: servers fork after the application is made.
    ``BACKGROUND = False`` in the app's configuration leaves it out.
    """
    app.config.setdefault("BACKGROUND", True)

    def start() -> None:
        if app.config["BACKGROUND"] and _owner != os.getpid():
            ensure()

    app.before_request(start)


def ensure() -> None:
    """Start the thread of this process, once."""
    global _owner
    with _lock:
        if _owner == os.getpid():
            return
        _owner = os.getpid()
    threading.Thread(target=_go_round, name="api background", daemon=True).start()


def step(flush: bool) -> None:
    """One round; a database that is away is waited for."""
    try:
        with transaction() as session:
            ticks.api_alive(session, now())
            if flush:
                keys.flush_used(session)
    except SQLAlchemyError as error:
        _log.warning("the API cannot tell that it is up: %s", str(error).splitlines()[0])
    except Exception:
        _log.exception("the API cannot tell that it is up")


def register_types() -> bool:
    """Make block types known that packages brought since the server was started; tells whether all are known."""
    try:
        with reading() as session:
            known = block_types.slugs(session)
        if known.issuperset(block_kinds.installed()):
            return True
        found = kind_facts.ask()
        with transaction() as session:
            block_types.register_installed(session, found)
    except (SQLAlchemyError, BlockError) as error:
        _log.warning("the block types are not known yet: %s", str(error).splitlines()[0])
        return False
    return True


def _go_round() -> None:
    heartbeat = current().heartbeat.total_seconds()
    rounds_a_flush, rounds_a_close = (max(1, round(every / heartbeat)) for every in (FLUSH_S, CLOSE_S))
    wait = threading.Event()
    number, registered = 0, False
    while True:
        registered = registered or register_types()
        step(flush=number % rounds_a_flush == 0)
        if number % rounds_a_close == 0:
            close_idle()
            give_back()
        number += 1
        wait.wait(heartbeat)
