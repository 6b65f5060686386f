"""Deployments as people keep them: YAML files, read with line numbers, written with comments.

One document (:class:`orchestrator.documents.deployment.Document`) holds one deployment; a file may hold several,
divided by ``---``. :data:`KEYS` is the whole language.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .. import expectations, triggers
from ..documents import templates, yaml_texts
from ..documents.deployment import COLLISIONS, Document, not_json, render
from ..errors import InvalidInput, ScheduleError
from ..states import StateType
from ..timing import plans
from .parameters import parameter_problems

__all__ = [
    "KEYS",
    "MAX_BYTES",
    "SCHEDULE_KEYS",
    "Document",
    "parameter_problems",
    "parse",
    "read",
    "render",
    "templated",
    "write",
]

MAX_BYTES = 4 * 1024**2
#: Most crashes of a run that may be made good.
COUNT_MAX = 100
_PROBLEMS_SHOWN = 5
_STATES = tuple(kind.value.lower() for kind in StateType)
_BLOCK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[A-Za-z0-9][A-Za-z0-9_.-]*")


def read(path: Path | str) -> list[Document]:
    """Read and check all documents of a file.

    Raises:
        InvalidInput: The file cannot be read, or is not valid; the message has file, line and key, and what to do.
    """
    place = Path(path)
    try:
        if place.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{place} is larger than {MAX_BYTES // 1024**2} MiB: that is no deployment file")
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{place} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, str(place))


def parse(text: str, source: str = "deployment.yaml") -> list[Document]:
    """As :func:`read`, from text; ``source`` is what errors call it."""
    try:
        loader = yaml_texts.Dateless(text)
        nodes: list[yaml.Node] = []
        while loader.check_node():
            nodes += [node] if (node := loader.get_node()) is not None else []
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{source}{line}: this is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{source}: this is no YAML: {' '.join(str(error).split())}") from None
    reader = _Reader(source, loader)
    documents = [reader.document(node) for node in nodes if not _is_empty(node)]
    if not documents and not reader.problems:
        reader.problems.append(f"{source}:1: there is no deployment in it")
    if reader.problems:
        rest = len(reader.problems) - _PROBLEMS_SHOWN
        more = [f"and {rest} more"] if rest > 0 else []
        raise InvalidInput("; ".join([*reader.problems[:_PROBLEMS_SHOWN], *more]))
    return [document for document in documents if document is not None]


def write(path: Path | str, documents: Iterable[Document]) -> Path:
    """Write documents as a file that appears whole or not at all."""
    place = Path(path)
    text = "---\n".join(render(document) for document in documents)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, place.stat().st_mode & 0o777 if place.exists() else 0o644)
        os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return place


Check = Callable[["_Reader", str, yaml.Node], Any]


class _Reader:
    """Turns nodes into documents and collects every problem, each with its line."""

    def __init__(self, source: str, loader: yaml_texts.Dateless) -> None:
        self.source = source
        self.problems: list[str] = []
        self._loader = loader

    def document(self, node: yaml.Node) -> Document | None:
        """The document of one node; None where there are problems."""
        before = len(self.problems)
        values = self.mapping("", node, _KEYS, required=("flow", "name", "entrypoint"))
        if len(self.problems) > before:
            return None
        document = Document(**values, source=f"{self.source}:{node.start_mark.line + 1}")
        self._check_parameters(document, node)
        self._check_templates(document, node)
        return document if len(self.problems) == before else None

    def problem(self, node: yaml.Node, message: str) -> None:
        """Note a problem at a node's line."""
        self.problems.append(f"{self.source}:{node.start_mark.line + 1}: {message}")

    def mapping(
        self, path: str, node: yaml.Node, keys: Mapping[str, Check], required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Check a mapping whose keys are known."""
        what = path or "a deployment"
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"{what} is a mapping of keys to values, not {_kind(node)}")
            return {}
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            name = f"{path}.{key}" if path else key
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(keys)}"
                self.problem(key_node, f"{name} is no key of {what}; {hint}")
            elif key in values:
                self.problem(key_node, f"{name} stands there twice")
            else:
                values[key] = keys[key](self, name, value_node)
        for key in required:
            if key not in values:
                self.problem(node, f"{what} needs the key {key}")
        return values

    def plain(self, name: str, node: yaml.Node) -> Any:
        """Any value that JSON can hold."""
        try:
            value = self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            self.problem(node, f"{name}: {getattr(error, 'problem', None) or error}")
            return None
        if wrong := not_json(value):
            self.problem(node, f"{name} holds {wrong}, which JSON cannot hold")
            return None
        return value

    def _check_parameters(self, document: Document, node: yaml.Node) -> None:
        """Hold the parameters, those of schedules too, against the schema that is in the same document."""
        places = [("parameters", document.parameters)]
        for index, item in enumerate(document.schedules or ()):
            places.append((f"schedules[{index}].parameters", item.get("parameters", {})))
        for where, values in places:
            for name, message in parameter_problems(values, document.parameter_schema).items():
                self.problem(_find(node, where, name), f"{where}.{name} {message}")

    def _check_templates(self, document: Document, node: yaml.Node) -> None:
        """Each template has to be well written; whether there is what it names, the server knows."""
        for place, value in templated(document):
            try:
                templates.names_in(value, place)
            except InvalidInput as error:
                self.problem(_find(node, next(iter(error.errors))), str(error))


def templated(document: Document) -> list[tuple[str, Any]]:
    """The parts of a document that may hold templates, each with its place."""
    storage, infrastructure, results = document.storage or {}, document.infrastructure or {}, document.results or {}
    schedules_of = [
        (f"schedules[{index}].parameters", item.get("parameters") or {})
        for index, item in enumerate(document.schedules or ())
    ]
    return [
        ("parameters", document.parameters),
        ("storage.path", storage.get("path") or ""),
        ("infrastructure.overrides", infrastructure.get("overrides") or {}),
        ("results.path", results.get("path") or ""),
        *schedules_of,
    ]


def _text(reader: _Reader, name: str, node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:null":
        return str(node.value)  # a version such as 1.0 is meant as it is written
    if isinstance(node, yaml.ScalarNode):
        return ""
    reader.problem(node, f"{name} is a text, not {_kind(node)}")
    return ""


def _name(reader: _Reader, name: str, node: yaml.Node) -> str:
    text = _text(reader, name, node)
    if isinstance(node, yaml.ScalarNode) and (not text.strip() or "/" in text or len(text) > 200):
        reader.problem(node, f"{name} is a text of 1 to 200 characters without /, not {text!r}")
    return text


def _entrypoint(reader: _Reader, name: str, node: yaml.Node) -> str:
    text = _text(reader, name, node)
    file, _, function = text.rpartition(":")
    if isinstance(node, yaml.ScalarNode) and not (file and all(part.isidentifier() for part in function.split("."))):
        reader.problem(node, f"{name} is file.py:function or package.module:function, not {text!r}")
    return text


def _flag(reader: _Reader, name: str, node: yaml.Node) -> bool:
    value = reader.plain(name, node)
    if not isinstance(value, bool):
        reader.problem(node, f"{name} is true or false, not {_kind(node)}")
    return bool(value)


def _count(reader: _Reader, name: str, node: yaml.Node) -> int:
    value = reader.plain(name, node)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
        reader.problem(node, f"{name} is a whole number from 0 to {COUNT_MAX}, not {value!r}")
        return 0
    return value


def _limit(reader: _Reader, name: str, node: yaml.Node) -> int | None:
    value = reader.plain(name, node)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        reader.problem(node, f"{name} is a whole number from 0, or null for no limit, not {value!r}")
        return None
    return value


def _collision(reader: _Reader, name: str, node: yaml.Node) -> str:
    text = _text(reader, name, node)
    if text not in COLLISIONS:
        reader.problem(node, f"{name} is {' or '.join(COLLISIONS)}, not {text!r}")
    return text


def _texts(reader: _Reader, name: str, node: yaml.Node) -> list[str]:
    if _is_empty(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        reader.problem(node, f"{name} is a list of texts, not {_kind(node)}")
        return []
    return [_text(reader, f"{name}[{index}]", item) for index, item in enumerate(node.value)]


def _values(reader: _Reader, name: str, node: yaml.Node) -> dict[str, Any]:
    if _is_empty(node):
        return {}
    if not isinstance(node, yaml.MappingNode):
        reader.problem(node, f"{name} is a mapping of keys to values, not {_kind(node)}")
        return {}
    return {str(key.value): reader.plain(f"{name}.{key.value}", value) for key, value in node.value}


def _block(reader: _Reader, name: str, node: yaml.Node) -> str | dict[str, Any] | None:
    if _is_empty(node):
        return None
    if isinstance(node, yaml.MappingNode):
        return {"data": {}, **reader.mapping(name, node, {"type": _text, "data": _values}, required=("type",))}
    text = _text(reader, name, node)
    if isinstance(node, yaml.ScalarNode) and not _BLOCK.fullmatch(text):
        reader.problem(
            node, f"{name} is TYPE/NAME of a block, such as s3/dev, or a mapping with type and data, not {text!r}"
        )
    return text


def _snapshot(reader: _Reader, name: str, node: yaml.Node) -> str | None:
    text = None if _is_empty(node) else _text(reader, name, node)
    if text is not None and not re.fullmatch(r"[0-9a-f]{64}", text):
        reader.problem(node, f"{name} is the hash that `deployment build` writes (64 digits of 0-9a-f), or null")
    return text


def _part(keys: Mapping[str, Check]) -> Check:
    def check(reader: _Reader, name: str, node: yaml.Node) -> dict[str, Any] | None:
        return None if _is_empty(node) else reader.mapping(name, node, keys)

    return check


def _schedules(reader: _Reader, name: str, node: yaml.Node) -> list[dict[str, Any]]:
    if not isinstance(node, yaml.SequenceNode):
        if not _is_empty(node):
            reader.problem(node, f"{name} is a list, not {_kind(node)}")
        return []
    found: list[dict[str, Any]] = []
    for index, item in enumerate(node.value):
        before, path = len(reader.problems), f"{name}[{index}]"
        values = reader.mapping(path, item, _SCHEDULE_KEYS)
        values = {key: value for key, value in values.items() if value is not None}
        if len(reader.problems) == before:
            try:
                plans.read({key: value for key, value in values.items() if key in plans.ALL_FIELDS})
            except ScheduleError as error:
                reader.problem(_find(item, next(iter(error.errors), "")), f"{path}.{error}")
        slug = values.get("slug")
        if slug is not None and any(slug == other.get("slug") for other in found):
            reader.problem(item, f"{path}.slug: {slug!r} stands there twice")
        found.append(values)
    return found


def _notifications(reader: _Reader, name: str, node: yaml.Node) -> list[dict[str, Any]]:
    if not isinstance(node, yaml.SequenceNode):
        if not _is_empty(node):
            reader.problem(node, f"{name} is a list, not {_kind(node)}")
        return []
    keys = {"block": _saved_block, "on": _states}
    return [
        reader.mapping(f"{name}[{index}]", item, keys, required=("block",)) for index, item in enumerate(node.value)
    ]


def _documents(read: Callable[[Any], Any]) -> Check:
    """A list of documents that ``read`` checks."""

    def check(reader: _Reader, name: str, node: yaml.Node) -> list[dict[str, Any]]:
        found = [] if _is_empty(node) else reader.plain(name, yaml_texts.retag(node))
        found = found if isinstance(found, list) else [{}]
        for index, item in enumerate(found):
            try:
                read(item if isinstance(item, dict) else {})
            except InvalidInput as error:
                reader.problem(_find(node, f"[{index}]", next(iter(error.errors), "")), f"{name}[{index}].{error}")
        return found

    return check


def _saved_block(reader: _Reader, name: str, node: yaml.Node) -> str:
    text = _text(reader, name, node)
    if isinstance(node, yaml.ScalarNode) and not _BLOCK.fullmatch(text):
        reader.problem(node, f"{name} is TYPE/NAME of a block, such as slack/data-team, not {text!r}")
    return text


def _states(reader: _Reader, name: str, node: yaml.Node) -> list[str]:
    texts = _texts(reader, name, node)
    for text in texts:
        if text not in _STATES:
            near = difflib.get_close_matches(text.lower(), _STATES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(_STATES)}"
            reader.problem(node, f"{name}: {text!r} is no type of state; {hint}")
    return texts


_KEYS: dict[str, Check] = {
    "flow": _name,
    "name": _name,
    "description": _text,
    "tags": _texts,
    "entrypoint": _entrypoint,
    "version": _text,
    "storage": _part({"block": _block, "path": _text, "snapshot": _snapshot}),
    "infrastructure": _part({"block": _block, "overrides": _values}),
    "results": _part({"block": _block, "path": _text}),
    "notifications": _notifications,
    "triggers": _documents(triggers.read),
    "expectations": _documents(expectations.read_owned),
    "reads": _texts,
    "writes": _texts,
    "work_queue": _name,
    "crash_retries": _count,
    "concurrency_limit": _limit,
    "collision": _collision,
    "labels": _texts,
    "parameters": _values,
    "schedules": _schedules,
    "parameter_schema": _values,
}
_SCHEDULE_KEYS: dict[str, Check] = {
    "slug": _name,
    "cron": _Reader.plain,
    "day_or": _flag,
    "interval": _Reader.plain,
    "anchor": _Reader.plain,
    "rrule": _Reader.plain,
    "timezone": _text,
    "active": _flag,
    "parameters": _values,
    "start": _Reader.plain,
    "end": _Reader.plain,
    "calendar": _text,
    "skip_dates": _texts,
    "jitter": _Reader.plain,
    "catch_up": _Reader.plain,
    "overlap": _text,
    "pause_on_failure": _flag,
    "note": _text,
}
#: Every key of a document.
KEYS = tuple(_KEYS)
#: Every key of one of its schedules.
SCHEDULE_KEYS = tuple(_SCHEDULE_KEYS)


def _find(node: yaml.Node, *path: str) -> yaml.Node:
    """The node that a path such as ``schedules[0].parameters`` leads to, as far as it goes."""
    for step in (part for item in path for part in re.findall(r"[^.\[\]]+", item)):
        children: dict[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            children = {str(key.value): value for key, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            children = {str(index): value for index, value in enumerate(node.value)}
        if step not in children:
            break
        node = children[step]
    return node


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else repr(node.value)
