"""Reading from the source of a flow what it calls: every branch, loops once. Less exact than calling it, and safe."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..asking.pausing import pause_flow_run, suspend_flow_run
from ..asking.run_inputs import receive_input
from ..engine.decorated import Decorated
from .graph import named
from .nodes import DATA, FLOW, PARAMETER, QUESTION, TASK, WAIT, Edge, Node

#: Calls by which a flow waits for people or messages, and what they are called in a drawing.
_QUESTIONS: dict[Any, str] = {pause_flow_run: "pause", suspend_flow_run: "suspend", receive_input: "receive"}
_WAYS = frozenset({"submit", "map", "__call__"})
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

Origin = frozenset[str]
_NONE: Origin = frozenset()


@dataclass(frozen=True)
class Read:
    """What was found."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def read(flow: Decorated[Any, Any], show_parameters: bool = False) -> Read | None:
    """What the source of a flow's function calls; None where there is no source."""
    function = getattr(flow.fn, "__func__", flow.fn)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    if not tree.body or not isinstance(tree.body[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    reader = _Reader(_names(function))
    if show_parameters:
        for name in inspect.signature(flow.fn).parameters:
            reader.known[name] = frozenset([reader.node(name, PARAMETER, 1)])
    reader.block(tree.body[0].body)
    used = {edge.source for edge in reader.edges.values()}
    nodes = [node for node in reader.nodes if node.kind != PARAMETER or node.id in used]
    return Read(named(nodes), tuple(reader.edges.values()))


def _names(function: Any) -> dict[str, Any]:
    """What the function's free names stand for now."""
    found = inspect.getclosurevars(function)
    return {**getattr(function, "__globals__", {}), **found.nonlocals}


class _Reader:
    def __init__(self, names: dict[str, Any]) -> None:
        self.nodes: list[Node] = []
        self.edges: dict[tuple[str, str], Edge] = {}
        #: variable -> the nodes that its value may come from
        self.known: dict[str, Origin] = {}
        self._names = names
        self._loops = 0
        self._branches = 0

    def node(self, name: str, kind: str, times: int) -> str:
        """Add a node; its id."""
        self.nodes.append(Node(f"n{len(self.nodes)}", name, kind, times))
        return self.nodes[-1].id

    def block(self, statements: Iterable[ast.stmt]) -> None:
        """Go through statements in their order."""
        for statement in statements:
            self._statement(statement)

    def _statement(self, one: ast.stmt) -> None:
        if isinstance(one, _FUNCTIONS):
            return
        if isinstance(one, ast.Assign):
            origin = self._value(one.value)
            for target in one.targets:
                self._assign(target, origin)
            return
        if isinstance(one, (ast.AnnAssign, ast.AugAssign)):
            origin = self._value(one.value) if one.value is not None else _NONE
            self._assign(one.target, origin, adding=isinstance(one, ast.AugAssign))
            return
        if isinstance(one, (ast.For, ast.AsyncFor)):
            self._assign(one.target, self._value(one.iter))
        inner = [field for field in ast.iter_child_nodes(one) if not isinstance(field, ast.stmt)]
        for field in inner:
            self._part(field)
        self._inner(one)

    def _part(self, field: ast.AST) -> None:
        if isinstance(field, ast.expr):
            self._value(field)
        elif isinstance(field, ast.withitem):
            origin = self._value(field.context_expr)
            if field.optional_vars is not None:
                self._assign(field.optional_vars, origin)
        elif isinstance(field, (ast.ExceptHandler, ast.match_case)):
            self._branches += 1
            self.block(field.body)
            self._branches -= 1

    def _inner(self, one: ast.stmt) -> None:
        loop, branch = isinstance(one, _LOOPS), isinstance(one, (ast.If, ast.Try, *_LOOPS))
        self._loops += loop
        self._branches += branch
        for name in ("body", "orelse", "finalbody"):
            found = getattr(one, name, None)
            if isinstance(found, list):
                self.block(found)
        self._loops -= loop
        self._branches -= branch

    def _assign(self, target: ast.expr, origin: Origin, adding: bool = False) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._assign(part, origin, adding)
        elif isinstance(target, ast.Starred):
            self._assign(target.value, origin, adding)
        elif isinstance(target, ast.Name):
            before = self.known.get(target.id, _NONE) if adding or self._branches else _NONE
            self.known[target.id] = before | origin
        else:  # of something larger: obj.field, rows[3]
            self._add_to(target, origin)

    def _add_to(self, holder: ast.expr, origin: Origin) -> None:
        while isinstance(holder, (ast.Attribute, ast.Subscript)):
            holder = holder.value
        if isinstance(holder, ast.Name) and origin:
            self.known[holder.id] = self.known.get(holder.id, _NONE) | origin

    def _value(self, one: ast.expr) -> Origin:
        if isinstance(one, ast.Name):
            return self.known.get(one.id, _NONE)
        if isinstance(one, ast.NamedExpr):
            origin = self._value(one.value)
            self._assign(one.target, origin)
            return origin
        if isinstance(one, ast.Call):
            return self._call(one)
        if isinstance(one, _COMPREHENSIONS):
            return self._comprehension(one)
        if isinstance(one, _FUNCTIONS):
            return _NONE
        return _NONE.union(*(self._value(part) for part in ast.iter_child_nodes(one) if isinstance(part, ast.expr)))

    def _comprehension(self, one: Any) -> Origin:
        for part in one.generators:
            self._assign(part.target, self._value(part.iter))
            for condition in part.ifs:
                self._value(condition)
        self._loops += 1
        parts = [one.key, one.value] if isinstance(one, ast.DictComp) else [one.elt]
        origin = _NONE.union(*map(self._value, parts))
        self._loops -= 1
        return origin

    def _call(self, one: ast.Call) -> Origin:
        traced, way = self._traced(one.func)
        given = [self._value(part.value if isinstance(part, ast.Starred) else part) for part in one.args]
        by_name = {word.arg: self._value(word.value) for word in one.keywords}
        if traced is None and (question := self._question(one.func)):
            return frozenset([self.node(question, QUESTION, 0 if self._loops else 1)])
        if traced is None:
            origin = _NONE.union(*given, *by_name.values())
            if isinstance(one.func, ast.Attribute):  # rows.append(...) makes rows come from what is appended
                self._add_to(one.func.value, origin)
                return origin | self._value(one.func.value)
            return origin
        waits = by_name.pop("wait_for", _NONE)
        name, kind = traced.name, FLOW if traced.kind == "flow" else TASK
        node = self.node(name, kind, 0 if self._loops or way == "map" else 1)
        for sort, sources in ((DATA, _NONE.union(*given, *by_name.values())), (WAIT, waits)):
            for source in sorted(sources, key=lambda text: int(text[1:])):
                self.edges.setdefault((source, node), Edge(source, node, sort))
        return frozenset([node])

    def _question(self, target: ast.expr) -> str | None:
        found = self._object(target)
        return _QUESTIONS.get(found) if inspect.isfunction(found) else None

    def _traced(self, target: ast.expr) -> tuple[Decorated[Any, Any] | None, str]:
        """The task or flow that an expression calls, and how; None: something else."""
        if isinstance(target, ast.Attribute) and target.attr in _WAYS:
            return self._resolved(target.value), target.attr
        return self._resolved(target), "__call__"

    def _resolved(self, one: ast.expr) -> Decorated[Any, Any] | None:
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "with_options":
            return self._resolved(one.func.value)
        found = self._object(one)
        return found if isinstance(found, Decorated) else None

    def _object(self, one: ast.expr) -> Any:
        """What a name, or a path of names, stands for now."""
        path: list[str] = []
        while isinstance(one, ast.Attribute):
            path.append(one.attr)
            one = one.value
        if not isinstance(one, ast.Name):
            return None
        found = self._names.get(one.id)
        for name in reversed(path):
            # looked up without running properties: a module, a class, or an object's own things
            found = inspect.getattr_static(found, name, None)
        if isinstance(found, (staticmethod, classmethod)):
            found = found.__func__
        return found
