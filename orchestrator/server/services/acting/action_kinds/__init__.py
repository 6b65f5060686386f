"""The kinds of action, one file each: what stands here is found, and need not be named anywhere else."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from .....errors import InvalidInput, OrchestratorError
from .. import action_targets
from ..action_kind import Field, Kind

#: Most actions in one list of a trigger.
MOST = 20


@lru_cache(maxsize=1)
def installed() -> dict[str, Kind]:
    """All kinds by name."""
    # Imported on first use: kinds act by services, and services check documents of actions.
    modules = [importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__)]
    found = [module.KIND for module in modules]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


def get(name: str) -> Kind:
    """A kind. Raises InvalidInput for one that there is not."""
    kind = installed().get(name)
    if kind is None:
        raise InvalidInput(f"there is no action {name!r}; there are {', '.join(installed())}")
    return kind


def check(documents: Any, field: str, session: Session | None = None) -> None:
    """Check a list of actions as they are saved.

    Args:
        field: Where it stands: ``then``, ``on_resolve``.
        session: To look up what they name: blocks, deployments, queues, triggers, limits. None: that is left out.

    Raises:
        InvalidInput: With all that is wrong in ``errors``, by place: ``then.0.block``.
    """
    found = problems(documents, field, session)
    if found:
        place, texts = next(iter(found.items()))
        raise InvalidInput(f"{place}: {texts[0]}", found)


def problems(documents: Any, field: str, session: Session | None = None) -> dict[str, list[str]]:
    """What is wrong with a list of actions, by place; see :func:`check`."""
    if not isinstance(documents, Sequence) or isinstance(documents, (str, bytes)):
        return {field: ["Must be a list of actions."]}
    if len(documents) > MOST:
        return {field: [f"Must hold at most {MOST} actions."]}
    found: dict[str, list[str]] = {}
    for index, document in enumerate(documents):
        found.update(_problems(document, f"{field}.{index}", session))
    return found


def _problems(document: Any, place: str, session: Session | None) -> dict[str, list[str]]:
    if not isinstance(document, Mapping):
        return {place: ["Must be a mapping such as {do: notify, block: slack/team}."]}
    kind = installed().get(str(document.get("do")))
    if kind is None:
        what = f"There is no action {document['do']!r}" if "do" in document else "Is missing"
        return {f"{place}.do": [f"{what}; there are {', '.join(installed())}."]}
    found = kind.check(document, place)
    if session is None:
        return found
    for item, ref in kind.named(document):
        where = f"{place}.{item.name}"
        if where not in found and (problem := _unknown(session, item, ref)):
            found[where] = [problem]
    return found


def _unknown(session: Session, item: Field, ref: str) -> str:
    try:
        action_targets.find(session, item.kind, ref, item.interface)
    except OrchestratorError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}: correct the name, or make it first."
    return ""
