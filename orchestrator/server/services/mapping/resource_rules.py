"""Rules about resources: ids that are left out, and ids that are another resource by another name."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ...db.models import ResourceRule
from ...db.session import after_commit
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce
from ..recording.resource_ids import OWN, Rules, compiled, forget
from ..statements import fetch

#: Rules that there may be, and those of them that hold a ``*``: every new id is tried against all of these.
MOST, MOST_PATTERNS = 10_000, 200


def save(
    session: Session, pattern: str, target: str | None, *, actor: Actor, now: datetime
) -> tuple[ResourceRule, bool]:
    """Make a rule, or change the one of this pattern; tells whether it is new.

    Args:
        target: The resource that they are; None: they are left out.

    Raises:
        InvalidInput: The pattern is about our own things or about everything, or the rules would go in a circle.
        Conflict: There are too many rules.
    """
    _check(session, pattern, target)
    rule = session.scalar(select(ResourceRule).where(ResourceRule.pattern == pattern).with_for_update())
    is_new, before = rule is None, describe(rule)["into"] if rule is not None else None
    if rule is None:
        rule = ResourceRule(pattern=pattern, created=now, created_by=actor.write())
        session.add(rule)
    elif rule.target == target:
        return rule, False
    rule.target, rule.updated = target, now
    if target is not None:  # what was sent on to these ids goes straight to where they go
        session.execute(
            update(ResourceRule).where(ResourceRule.target == pattern, ResourceRule.pattern != target)
            .values(target=target, updated=now)
        )  # fmt: skip
    session.flush()
    _changed(session)
    facts = {"pattern": pattern, "into": target}
    if is_new:
        announce(session, "resource-rule.created", _label(rule), actor, now, after=facts)
    else:
        old = {"pattern": pattern, "into": before}
        announce(session, "resource-rule.updated", _label(rule), actor, now, before=old, after=facts)
    return rule, is_new


def remove(session: Session, rule_id: uuid.UUID, *, actor: Actor, now: datetime) -> None:
    """Delete a rule; what it did stays done. Raises NotFound."""
    rule = get(session, rule_id)
    session.delete(rule)
    session.flush()
    _changed(session)
    facts = {"pattern": rule.pattern, "into": rule.target}
    announce(session, "resource-rule.deleted", _label(rule), actor, now, before=facts)


def get(session: Session, rule_id: uuid.UUID) -> ResourceRule:
    """One rule. Raises NotFound."""
    found = session.get(ResourceRule, rule_id)
    if found is None:
        raise NotFound(f"there is no rule {rule_id} about resources")
    return found


def listing(session: Session, limit: int = 50, cursor: str | None = None) -> Page[ResourceRule]:
    """A page of the rules, by pattern."""
    query = select(ResourceRule)
    if cursor:
        query = query.where(ResourceRule.pattern > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(ResourceRule.pattern).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.pattern,))


def _check(session: Session, pattern: str, target: str | None) -> None:
    if not pattern.replace("*", "").strip():
        raise _wrong("pattern", "it fits every resource: write out a part of the id, such as tmp.*")
    if pattern.startswith(OWN) or compiled(pattern).fullmatch(f"{OWN}deployment.x"):
        raise _wrong("pattern", f"ids that begin with {OWN} are the server's own: no rule is about them")
    if target is not None and "*" in target:
        raise _wrong("target", "give the id of one resource, without *")
    if target == pattern:
        raise _wrong("target", "a resource cannot be merged into itself")
    found = fetch(session, "SELECT pattern, target FROM resource_rule WHERE pattern <> %(new)s", {"new": pattern})
    if len(found) >= MOST or ("*" in pattern and sum("*" in row.pattern for row in found) >= MOST_PATTERNS):
        raise Conflict(f"there may be {MOST:,} rules, {MOST_PATTERNS} of them with *: remove some")
    if target is None:
        return
    others = Rules((row.pattern, row.target) for row in found)
    end = others.resolve(target)
    if end is None:
        raise _wrong("target", f"a rule leaves {target} out: remove that rule first")
    if end != target and (end == pattern or compiled(pattern).fullmatch(end)):
        raise _wrong("target", f"{target} is itself merged into {end}: merge into that")


def _changed(session: Session) -> None:
    forget()
    after_commit(session, forget)


def _label(rule: ResourceRule) -> dict[str, str]:
    return {"resource.id": f"orchestrator.resource-rule.{rule.id}", "resource.name": rule.pattern}


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{field}: {problem}", {field: [problem]})


def describe(rule: ResourceRule) -> dict[str, Any]:
    """A rule as JSON."""
    return {
        "id": rule.id, "pattern": rule.pattern, "action": "ignore" if rule.target is None else "merge",
        "into": rule.target, "created": rule.created, "updated": rule.updated, "created_by": rule.created_by,
    }  # fmt: skip
