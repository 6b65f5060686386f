"""Documents of chains: what YAML files, REST and the dashboard have in common, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..triggers.reading import Reader

KEYS = ("name", "description", "steps")
STEP_KEYS = ("deployment", "parameters", "after", "on", "delay", "tags", "priority")
#: How a step may end, by the word of a document; ``ended``: in any way.
ENDS: dict[str, tuple[str, ...]] = {
    "completed": ("COMPLETED",),
    "failed": ("FAILED",),
    "crashed": ("CRASHED",),
    "cancelled": ("CANCELLED",),
    "ended": ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"),
}
NAME_MAX, TEXT_MAX = 100, 5000
#: Steps of one chain, and steps that one waits for: as many as a trigger has parts.
STEPS_MAX, AFTER_MAX = 100, 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Step:
    """One step: a deployment, and when it is started."""

    name: str
    #: ``flow/name``.
    deployment: str
    #: Laid over the deployment's own; may hold templates where it waits for something.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Names of steps; none: it is started with the chain.
    after: tuple[str, ...] = ()
    #: Whether one of them will do.
    any_of: bool = False
    #: Types of states that each of them has to end in, one of them.
    ends: tuple[str, ...] = ENDS["completed"]
    #: Seconds or text, as an action takes it.
    delay: float | str | None = None
    tags: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True)
class ChainSpec:
    """One chain, read; ``steps`` in the order of the document."""

    name: str
    description: str
    steps: Mapping[str, Step]
    #: The document as it was given, without what is null.
    document: Mapping[str, Any]

    def first(self) -> list[Step]:
        """The steps that are started with the chain."""
        return [step for step in self.steps.values() if not step.after]


def read(document: Any) -> ChainSpec:
    """Read a document. Raises InvalidInput, which names the first problem; ``errors`` hold all of them by field."""
    reader = Reader()
    found = reader.mapping(document, "", KEYS)
    for key in ("name", "steps"):
        if key not in found:
            reader.wrong(key, "Is missing.")
    name = _name(reader, found.get("name", "-x-"), "name") if "name" in found else ""
    description = reader.text(found.get("description", ""), "description", TEXT_MAX)
    steps = _steps(reader, found["steps"]) if "steps" in found else {}
    if not reader.errors:
        _check_together(reader, steps)
    reader.finish("chain")
    written = {"name": name, "description": description, "steps": {key: _plain(found["steps"][key]) for key in steps}}
    return ChainSpec(name, description, steps, written)


def _plain(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if value is not None}


def _name(reader: Reader, value: Any, place: str) -> str:
    text = reader.text(value, place, NAME_MAX, 1)
    if text and not _NAME.fullmatch(text):
        reader.wrong(place, "Must be letters, digits, - and _, and begin with a letter or digit.")
    return text


def _steps(reader: Reader, value: Any) -> dict[str, Step]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= STEPS_MAX:
        reader.wrong("steps", f"Must be a mapping of 1 to {STEPS_MAX} names of steps to what each is.")
        return {}
    return {str(key): _step(reader, str(key), item) for key, item in value.items()}


def _step(reader: Reader, name: str, value: Any) -> Step:
    place = f"steps.{name}"
    _name(reader, name, place)
    found = reader.mapping(value, place, STEP_KEYS)
    deployment = reader.text(found.get("deployment", ""), f"{place}.deployment", 500)
    if "deployment" not in found:
        reader.wrong(f"{place}.deployment", "Is missing: give it as flow/name.")
    elif deployment and deployment.count("/") != 1:
        reader.wrong(f"{place}.deployment", "Must be flow/name.")
    parameters = found.get("parameters", {})
    if not isinstance(parameters, Mapping):
        reader.wrong(f"{place}.parameters", "Must be a mapping of parameters to values.")
        parameters = {}
    after, any_of = _after(reader, found["after"], f"{place}.after") if "after" in found else ((), False)
    ends = _ends(reader, found.get("on", "completed"), f"{place}.on")
    for key in ("on", "delay"):
        if key in found and not after:
            reader.wrong(f"{place}.{key}", "Goes with after: the step is started with the chain.")
    if "delay" in found:
        reader.seconds(found["delay"], f"{place}.delay")
    tags = tuple(reader.several(found.get("tags", ()), f"{place}.tags", reader.text, 0, 50))
    priority = reader.whole(found.get("priority", 0), f"{place}.priority", -(2**31), 2**31 - 1)
    return Step(name, deployment, dict(parameters), after, any_of, ends, found.get("delay"), tags, priority)


def _after(reader: Reader, value: Any, place: str) -> tuple[tuple[str, ...], bool]:
    any_of = False
    if isinstance(value, Mapping):
        found = reader.mapping(value, place, ("any", "all"))
        if len(found) != 1:
            reader.wrong(place, "Must be a step, a list of steps, {any: [...]} or {all: [...]}.")
            return (), False
        [(word, value)] = found.items()
        any_of, place = word == "any", f"{place}.{word}"
    if isinstance(value, str):
        value = [value]
    names = reader.several(value, place, reader.text, 1, AFTER_MAX)
    if len(set(names)) != len(names):
        reader.wrong(place, "Names a step twice.")
    return tuple(names), any_of


def _ends(reader: Reader, value: Any, place: str) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not words or not all(word in ENDS for word in words):
        reader.wrong(place, f"Must be one of {', '.join(ENDS)}, or a list of them.")
        return ENDS["completed"]
    wanted = {end for word in words for end in ENDS[word]}
    return tuple(end for end in ENDS["ended"] if end in wanted)


def _check_together(reader: Reader, steps: Mapping[str, Step]) -> None:
    for step in steps.values():
        for name in step.after:
            if name not in steps:
                reader.wrong(f"steps.{step.name}.after", f"There is no step {name}; there are {', '.join(steps)}.")
    if reader.errors:
        return
    reached: set[str] = set()
    grew = True
    while grew:  # a step can be started once all that it waits for (or one of them) can
        can = {
            step.name
            for step in steps.values()
            if step.name not in reached
            and (any if step.any_of and step.after else all)(name in reached for name in step.after)
        }
        grew = bool(can)
        reached |= can
    for step in steps.values():
        circle = _circle(steps, step.name)
        if circle:
            reader.wrong(f"steps.{step.name}.after", f"Goes in a circle: {' after '.join(circle)}.")
        elif step.name not in reached:
            waits = [name for name in step.after if name not in reached]
            reader.wrong(f"steps.{step.name}.after", f"Is never reached: {waits[0]} never is.")


def _circle(steps: Mapping[str, Step], start: str) -> list[str]:
    """The shortest way from a step back to itself; empty when there is none."""
    ways, seen = [[start]], set()
    while ways:
        longer = []
        for way in ways:
            for name in steps[way[-1]].after:
                if name == start:
                    return [*way, name]
                if name not in seen:
                    seen.add(name)
                    longer.append([*way, name])
        ways = longer
    return []
