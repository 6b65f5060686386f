"""Actions that reach other systems by a block: done by a thread of the server or, for kinds of block that the server
does not have, by an agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .block import Block
from .errors import BlockError
from .interfaces import Notifier, Ticket


def send(kind: str, block: Block, content: Mapping[str, Any]) -> dict[str, Any]:
    """Do an action of an outgoing kind; returns what came of it, as JSON.

    Args:
        kind: Name of the kind, such as ``notify``.
        content: As the kind made it.

    Raises:
        BlockError: The block cannot do it.
        OrchestratorError: As the block raises.
    """
    way = _WAYS.get(kind)
    if way is None:
        raise BlockError(f"there is no way to {kind}: is this an older version than the server's?")
    return way(block, content)


def _notify(block: Block, content: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(block, Notifier):
        raise BlockError(f"the block is a {type(block).__name__}, which is no notifier")
    block.notify(content["body"], content["subject"])
    return {}


def _call_webhook(block: Block, content: Mapping[str, Any]) -> dict[str, Any]:
    call = getattr(block, "call", None)
    if not callable(call):
        raise BlockError(f"the block is a {type(block).__name__}, which is no webhook")
    return {"answer": call(content.get("body"), content.get("headers"))}


def _create_ticket(block: Block, content: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(block, Ticket):
        raise BlockError(f"the block is a {type(block).__name__}, which is no tracker of tickets")
    ticket = block.open(content["title"], content["description"], content.get("labels") or ())
    return {"ticket": ticket.id, "url": ticket.url}


_WAYS: dict[str, Callable[[Block, Mapping[str, Any]], dict[str, Any]]] = {
    "notify": _notify,
    "call-webhook": _call_webhook,
    "create-ticket": _create_ticket,
}
