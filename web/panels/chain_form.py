"""The canvas that chains are drawn on: what it begins with, and documents as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from sqlalchemy.orm import Session

from orchestrator.chains.documents import STEP_KEYS
from orchestrator.documents import yaml_texts
from orchestrator.documents.deployment import not_json
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.serializers import dumps, loads
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.reacting import chains

#: Deployments that a list offers; others are typed.
OFFERED = 1000
EMPTY: dict[str, Any] = {"name": "", "description": "", "steps": {}}


@dataclass(frozen=True)
class Form:
    """What the page begins with."""

    document: dict[str, Any]
    #: Of the chain that is changed; 0: there is none yet.
    version: int
    #: Full names of deployments.
    offered: list[str]


def new(session: Session) -> Form:
    """A chain of nothing."""
    return Form(EMPTY, 0, _offered(session))


def of(session: Session, name: str) -> Form:
    """The newest version of a chain. Raises NotFound."""
    row = chains.row(session, name)
    return Form(ordered(row.version.document), row.chain.version, _offered(session))


def ordered(document: Mapping[str, Any]) -> dict[str, Any]:
    """As people write it, since the database keeps no order: each step after those that it waits for."""
    steps, left = {}, dict(document["steps"])
    while left:
        ready = [name for name, step in left.items() if not _awaited(step) & left.keys()] or [*left]
        for name in ready:
            step = left.pop(name)
            steps[name] = {key: step[key] for key in STEP_KEYS if key in step}
    return {"name": document["name"], "description": document.get("description", ""), "steps": steps}


def read(text: str) -> Any:
    """The document that the page's script sends. Raises InvalidInput."""
    try:
        return loads(text)
    except ValueError:
        raise InvalidInput("the page sent no document: load it again", {"": ["The page sent no document."]}) from None


def named(document: Any) -> Any:
    """The document with some name, so that its steps can be looked at before it has one."""
    return {**document, "name": document.get("name") or "unnamed"} if isinstance(document, dict) else document


def read_yaml(text: str) -> dict[str, Any]:
    """The document that somebody wrote, whether or not it makes a chain. Raises InvalidInput."""
    try:
        found = yaml_texts.load_all(text, references=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"Line {mark.line + 1}: " if mark else ""
        raise _no_yaml(f"{line}this is no YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _no_yaml(f"This is no YAML: {' '.join(str(error).split())}.") from None
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _no_yaml("A chain is one mapping, with name and steps.")
    steps = found[0].get("steps")
    if not isinstance(steps, dict) or not all(isinstance(step, dict) for step in steps.values()):
        raise _no_yaml("steps: Must be a mapping of names of steps to what each is.")
    wrong = not_json(found[0])
    if wrong:
        raise _no_yaml(f"There is {wrong}: a document holds what JSON has; put it in quotes.")
    try:
        dumps(found[0])
    except TypeError as error:
        raise _no_yaml(f"A value cannot be kept: {error}.") from None
    return found[0]


def write_yaml(document: Any) -> str:
    """The document as a file has it."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def schema(session: Session, name: str) -> dict[str, Any]:
    """The parameters of a deployment, as a step may lay its own over them; without any where there is no such one."""
    try:
        found = deployments.get(session, name)
    except NotFound:
        return {"type": "object", "properties": {}}
    known = dict(found.parameter_schema or {})
    properties = known.get("properties") or {}
    given = {key: {**facts, "default": found.parameters[key]} for key, facts in properties.items()
             if isinstance(facts, dict) and key in found.parameters}  # fmt: skip
    return {**known, "properties": {**properties, **given}, "required": []}


class _Dumper(yaml.SafeDumper):
    """Nothing is written by reference, and ``on`` stands as people write it: our own readers take it for a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if (first, pair[0]) != ("o", "tag:yaml.org,2002:bool")]
    for first, pairs in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def _offered(session: Session) -> list[str]:
    return [name for _, name in deployments.full_names(session, OFFERED)]


def _awaited(step: Mapping[str, Any]) -> set[str]:
    after = step.get("after") or []
    if isinstance(after, Mapping):
        [after] = after.values()
    return {after} if isinstance(after, str) else set(after)


def _no_yaml(problem: str) -> InvalidInput:
    return InvalidInput(problem, {"yaml": [problem]})
