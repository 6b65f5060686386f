"""Holds: what touches a resource waits, until a time, an event, or somebody's word.

Which deployments a hold is for is worked out when it is placed, and again by a loop while it is in force
(:mod:`.touching`): deployments are applied, blocks are loaded and relations are seen meanwhile. A claim then asks one
small table (:data:`.statements.HELD_BY`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...clock import to_text
from ...errors import Conflict, InvalidInput, NotFound
from ...ids import time_of, uuid7, uuid7_floor
from ...names import pattern_regex
from ...records import Actor
from ...triggers.matching import check_selector, matches
from ..db.models import Deployment, Event, Flow, Hold
from ..db.session import after_commit
from . import touching
from .announcements import announce, resource
from .paging import Page, check_limit, decode_id, page
from .statements import execute, fetch

KINDS = ("stop", "limit", "delay")
#: Most holds in force at once: each costs the loop one look at what touches what.
IN_FORCE_MAX = 1000
#: Related deployments that an event names.
RELATED_NAMED = 20
CLOCK = Actor("server", name="holds")

_PUT = """
INSERT INTO deployment_hold (deployment_id, hold_id, resource_id)
SELECT * FROM unnest(%(deployments)s::uuid[], %(holds)s::uuid[], %(resources)s::text[]) ORDER BY 1, 2
ON CONFLICT (deployment_id, hold_id) DO UPDATE SET resource_id = excluded.resource_id
    WHERE deployment_hold.resource_id <> excluded.resource_id"""
_DROP = "DELETE FROM deployment_hold WHERE hold_id = %(hold)s AND NOT deployment_id = ANY(%(deployments)s)"
_UNHINT = """
UPDATE flow_run SET hinted = NULL, hints = 0 WHERE state_type = 'SCHEDULED' AND id IN (
    SELECT r.id FROM flow_run r JOIN deployment_hold h ON h.deployment_id = r.deployment_id
    WHERE h.hold_id = %(hold)s AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s ORDER BY r.id FOR NO KEY UPDATE)"""


@dataclass(frozen=True)
class HoldRow:
    """A hold, and the deployments that it holds: ``[{"id", "name", "resource"}]``, by name."""

    hold: Hold
    deployments: list[dict[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """What a hold is to be."""

    #: Labels of resources.
    match: Mapped
    kind: str = "stop"
    reason: str = ""
    slots: int | None = None
    delay_s: float | None = None
    until: datetime | None = None
    until_event: Mapped | None = None
