"""Variables: plain values that flows and deployments read by name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ....serializers import dumps
from ...db.models import Variable
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource

#: Longest value, in characters of its JSON.
VALUE_MAX = 5000

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 4))")


@dataclass(frozen=True)
class VariableFilter:
    """Which variables a list shows; what is None does not restrict."""

    #: Part of the name, in any case.
    name: str | None = None
    tag: str | None = None


def create(session: Session, name: str, value: Any, tags: Sequence[str], actor: Actor, now: datetime) -> Variable:
    """Make a variable.

    Raises:
        Conflict: There is one of that name.
        InvalidInput: The value is too long.
    """
    session.execute(_LOCK, {"name": name})
    if _find(session, name) is not None:
        raise Conflict(f"there is a variable {name} already")
    return _create(session, name, value, tags, actor, now)


def put(
    session: Session, name: str, value: Any, tags: Sequence[str] | None, actor: Actor, now: datetime
) -> tuple[Variable, bool]:
    """Set a variable, made when it is missing; the same again changes nothing. Raises InvalidInput as :func:`create`.

    Args:
        tags: None: those that it has stay.

    Returns:
        It, and whether it is new.
    """
    session.execute(_LOCK, {"name": name})
    found = _find(session, name)
    if found is None:
        return _create(session, name, value, tags or (), actor, now), True
    wanted = found.tags if tags is None else list(dict.fromkeys(tags))
    if dumps(found.value) != dumps(_checked(value)) or found.tags != wanted:
        before = _plain(found)
        found.value, found.tags, found.updated = value, wanted, now
        session.flush()
        _announce(session, "updated", found, actor, now, before=before, after=_plain(found))
    return found, False


def get(session: Session, ref: str | uuid.UUID) -> Variable:
    """A variable by name or id. Raises NotFound."""
    found = session.get(Variable, ref) if isinstance(ref, uuid.UUID) else _find(session, ref)
    if found is None:
        raise NotFound(f"there is no variable {ref}: `orchestrator variable set {ref} VALUE` makes it")
    return found


def listing(
    session: Session, wanted: VariableFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Variable]:
    """A page of variables, by name."""
    wanted = wanted or VariableFilter()
    query = select(Variable)
    if wanted.name is not None:
        query = query.where(Variable.name.icontains(wanted.name, autoescape=True))
    if wanted.tag is not None:
        query = query.where(Variable.tags.contains([wanted.tag]))
    if cursor:
        query = query.where(Variable.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(Variable.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.name,))


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a variable; templates that name it fail when their run starts. Raises NotFound."""
    found = get(session, ref)
    session.delete(found)
    session.flush()
    _announce(session, "deleted", found, actor, now, before=_plain(found))


def _find(session: Session, name: str) -> Variable | None:
    return session.scalar(select(Variable).where(Variable.name == name))


def _create(session: Session, name: str, value: Any, tags: Sequence[str], actor: Actor, now: datetime) -> Variable:
    unique = list(dict.fromkeys(tags))
    made = Variable(id=uuid7(now), name=name, value=_checked(value), tags=unique, created=now, updated=now)
    session.add(made)
    session.flush()
    _announce(session, "created", made, actor, now, after=_plain(made))
    return made


def _checked(value: Any) -> Any:
    size = len(dumps(value).decode())
    if size > VALUE_MAX:
        problem = f"Has {size} characters as JSON: at most {VALUE_MAX}. Keep more in a JSON block."
        raise InvalidInput(f"value: {problem}", {"value": [problem]})
    return value


def _plain(variable: Variable) -> dict[str, Any]:
    return {"value": variable.value, "tags": variable.tags}


def _announce(
    session: Session,
    verb: str,
    variable: Variable,
    actor: Actor,
    now: datetime,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    about = resource("variable", variable.id, variable.name)
    announce(session, f"variable.{verb}", about, actor, now, before=before, after=after)
