"""Random triggers and random streams of events: few names, resources and seconds, so that much coincides."""

from __future__ import annotations

from random import Random
from typing import Any

NAMES = ("a.one", "a.two", "b.one")
RESOURCES = ("r.1", "r.2", "s.1")


def trigger(random: Random, name: str = "t") -> dict[str, Any]:
    """A document of a trigger."""
    when = condition(random, 3)
    if random.random() < 0.5:
        when["for_each"] = random.choice(
            [["resource.id"], ["env"], ["related.owner.resource.id"], ["env", "resource.id"]]
        )
    document: dict[str, Any] = {"name": name, "when": when}
    if random.random() < 0.2:
        document["debounce"] = random.randint(1, 12)
    return document


def condition(random: Random, depth: int) -> dict[str, Any]:
    """A condition; groups get rarer with depth."""
    kind = random.choice(
        ["event", "event", "absent", "absent", "after", "group", "group"] if depth else ["event", "absent"]
    )
    if kind == "group":
        return _group(random, depth - 1)
    found = _matching(random)
    if random.random() < 0.5:
        found["threshold"] = random.randint(1, 3)
    if kind == "event":
        if random.random() < 0.6:
            found["within"] = random.randint(0, 10)
        return found
    found.update(absent=True, within=random.randint(1, 12))
    if kind == "after":
        found["after"] = random.sample(NAMES, random.randint(1, 2))
    return found


def _group(random: Random, depth: int) -> dict[str, Any]:
    parts = [condition(random, depth) for _ in range(random.randint(1, 3))]
    kind = random.choice(["any", "all", "sequence", "at_least"])
    found: dict[str, Any] = {kind: parts}
    if kind == "at_least":
        found = {"at_least": random.randint(1, len(parts)), "of": parts}
    if random.random() < 0.6:
        found["within"] = random.randint(0, 15)
    return found


def _matching(random: Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "expect": random.choice([["a.one"], ["a.*"], ["b.one", "a.two"], ["*.one"], ["a.*", "!a.two"]])
    }
    if random.random() < 0.3:
        found["match"] = random.choice(
            [
                {"resource.id": "r.*"},
                {"env": "prod"},
                {"env": "!prod"},
                {"resource.id": ["s.1", "r.1"], "env": ["*", "!test"]},
            ]
        )
    if random.random() < 0.15:
        found["match_related"] = random.choice(
            [[{"resource.role": "owner"}], [{"resource.id": "o.*"}, {"resource.role": "!x"}]]
        )
    return found


def event(random: Random, now: float) -> dict[str, Any]:
    """An event that is told at ``now`` (seconds); some are late, and some claim to be of later."""
    late = random.choice([0, 0, 0, 1, 2, 3, 6, 15])
    occurred = now - late if random.random() < 0.93 else now + 5
    resource = {"resource.id": random.choice(RESOURCES)}
    if random.random() < 0.6:
        resource["env"] = random.choice(["prod", "test"])
    related = []
    if random.random() < 0.4:
        related.append({"resource.id": random.choice(["o.1", "p.1"]), "resource.role": random.choice(["owner", "x"])})
    return {"event": random.choice(NAMES), "occurred": occurred, "resource": resource, "related": related}
