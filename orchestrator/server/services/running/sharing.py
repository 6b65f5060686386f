"""By what the runs of a work queue take turns: their deployment, their flow, or the tag that begins in some way."""

from __future__ import annotations

from ....errors import InvalidInput

DEPLOYMENT, FLOW, TAG = "deployment", "flow", "tag:"


def share_key(run: str) -> str:
    """SQL of the key of a run in the queue ``q``. Runs without such a tag share one key."""
    tagged = f"(SELECT min(t) FROM unnest({run}.tags) AS t WHERE starts_with(t, substr(q.share_by, {len(TAG) + 1})))"
    return f"""CASE q.share_by WHEN '{DEPLOYMENT}' THEN {run}.deployment_id::text
        WHEN '{FLOW}' THEN {run}.flow_id::text ELSE q.name || ':' || coalesce({tagged}, '') END"""


def check_share_by(value: object) -> None:
    """Raises InvalidInput for what is no key."""
    is_tag = isinstance(value, str) and value.startswith(TAG) and len(value) > len(TAG)
    if value is not None and value not in (DEPLOYMENT, FLOW) and not is_tag:
        problem = "Must be deployment, flow, or tag:PREFIX, such as tag:team-."
        raise InvalidInput(f"share_by: {problem}", {"share_by": [problem]})
