"""YAML as people mean it: ``on`` and ``12:30`` are texts, where YAML has a truth and a number of base 60."""

from __future__ import annotations

from typing import Any

import yaml

_TEXT = "tag:yaml.org,2002:str"
_TRUTHS = ("true", "false")
#: Brackets within brackets, in what strangers send: each level makes the reading of all that follows slower.
_DEEPEST = 50


def retag(node: yaml.Node) -> yaml.Node:
    """Make texts of these below a node, and of dates; returns it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            retag(key)
            retag(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            retag(item)
    elif isinstance(node, yaml.ScalarNode) and _is_text(node):
        node.tag = _TEXT
    return node


class Flat(yaml.SafeLoader):
    """Nothing refers to another place of the text: a short one cannot stand for a huge value."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            problem = f"*{event.anchor} refers to another place: write the value itself"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem="it is nested too deep", problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)


class Dateless(Flat):
    """Dates stay texts, as in JSON."""


Dateless.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_all(text: str, *, references: bool = True) -> list[Any]:
    """All documents of a text that are not empty. Raises yaml.YAMLError.

    Args:
        references: Whether anchors and aliases are understood; no, for what strangers send.
    """
    loader = (yaml.SafeLoader if references else Flat)(text)
    try:
        found = []
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                found.append(loader.construct_document(retag(node)))
        return [item for item in found if item is not None]
    finally:
        loader.dispose()


def _is_text(node: yaml.ScalarNode) -> bool:
    kind = node.tag.rpartition(":")[2]
    if kind == "bool":
        return node.value.lower() not in _TRUTHS
    return kind == "timestamp" or (kind in ("int", "float") and ":" in node.value)
