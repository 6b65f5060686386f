"""Triggers in plain English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .conditions import Absence, Condition, Filter, Group, Happening, Metric, Schedule
from .documents import TriggerSpec, read
from .machine import Firing
from .matching import NEGATION, is_exact
from .seen import Seen

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))
_ROLE = "resource.role"
#: Fields of actions that name what is acted upon, the most telling first.
_TARGETS = (
    "deployment", "chain", "schedule", "work_queue", "trigger", "limit", "block", "event", "touching", "resource",
    "run",
)  # fmt: skip
_COMPARED = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


def sentence(document: Mapping[str, Any]) -> str:
    """What a trigger document says, in one sentence. Raises InvalidInput as :func:`.documents.read`."""
    spec = read(document)
    actions = _joined([_action_text(action) for action in spec.then], "and") or "only note it"
    each = f", for each {_joined(spec.for_each, 'and')}" if spec.for_each else ""
    return f"When {condition_text(spec.condition)}{each}: {actions}."


def condition_text(condition: Condition) -> str:
    """A condition as the part of a sentence that follows "When"."""
    if isinstance(condition, Happening):
        within = f" within {time_text(condition.within)}" if condition.within is not None else ""
        if condition.threshold == 1:
            return f"{names_text(condition.expect)} happens{_where(condition.filter)}"
        return f"{names_text(condition.expect)} happens {condition.threshold} times{within}{_where(condition.filter)}"
    if isinstance(condition, Absence):
        return _absence_text(condition)
    if isinstance(condition, Group):
        return _group_text(condition)
    if isinstance(condition, Metric):
        lasting = f" for {time_text(condition.firing_for)}" if condition.firing_for else ""
        of = "".join(f" of {key} {value}" for key, value in condition.of.items()) + _where(condition.filter)
        compared = f"{_COMPARED[condition.operator]} {condition.value:g}"
        named = condition.name.replace("_", " ")
        return f"{named}{of}, over the last {time_text(condition.range)}, is {compared}{lasting}"
    return f"it is time by {schedule_text(condition)}"


def reason(spec: TriggerSpec, firing: Firing, event: Seen | None = None) -> str:
    """One line: why it fired."""
    of = "" if event is None else f" of {event.resource.get('resource.name') or event.resource.get('resource.id', '')}"
    condition = spec.condition
    if isinstance(condition, Happening) and event is not None:
        if condition.threshold == 1:
            return f"{event.name}{of}"
        return f"{firing.count} events, the last {event.name}{of}"
    if isinstance(condition, Absence):
        missing = "no" if condition.threshold == 1 else f"fewer than {condition.threshold}"
        after = f" after {names_text(condition.after)}" if condition.after else ""
        return f"{missing} {names_text(condition.expect)} for {time_text(condition.within)}{after}"
    return condition_text(condition)


def time_text(microseconds: int) -> str:
    """A duration, such as ``1h30m``."""
    seconds, rest = divmod(microseconds, 1_000_000)
    text = ""
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    if rest:
        return f"{text}{seconds + rest / 1e6:g}s"
    return f"{text}{seconds}s" if seconds or not text else text


def schedule_text(condition: Schedule) -> str:
    """What a schedule says, without its defaults."""
    spec = condition.spec
    what = spec.cron or spec.rrule or f"every {time_text(round((spec.interval or 0).total_seconds() * 1e6))}"  # type: ignore[union-attr]
    return f"{what} ({spec.timezone})"


def _absence_text(condition: Absence) -> str:
    few = "no" if condition.threshold == 1 else f"fewer than {condition.threshold}"
    within = time_text(condition.within)
    where = _where(condition.filter)
    if condition.after:
        return f"{few} {names_text(condition.expect)} comes within {within} after {names_text(condition.after)}{where}"
    return f"{few} {names_text(condition.expect)} comes for {within}{where}"


def _group_text(condition: Group) -> str:
    parts = [condition_text(part) for part in condition.parts]
    within = f", within {time_text(condition.within)}" if condition.within is not None else ""
    if condition.in_order:
        return f"in turn ({'; then '.join(parts)}){within}"
    if condition.require == len(parts):
        return f"all of ({'; '.join(parts)}){within}"
    if condition.require == 1:
        return f"any of ({'; '.join(parts)})"
    return f"at least {condition.require} of ({'; '.join(parts)}){within}"


def names_text(patterns: Sequence[str]) -> str:
    """Patterns of names, as a sentence names them."""
    wanted = [pattern for pattern in patterns if not pattern.startswith(NEGATION)]
    others = [pattern[1:] for pattern in patterns if pattern.startswith(NEGATION)]
    text = _joined(wanted, "or") or "any event"
    return f"{text} but {_joined(others, 'and')}" if others else text


def _action_text(action: Mapping[str, Any]) -> str:
    """What is done, and with what, where the action names that."""
    words = str(action["do"]).replace("-", " ")
    target = next((action[name] for name in _TARGETS if isinstance(action.get(name), str)), "")
    if not target and action.get("inferred") is True:
        return f"{words} of the event"
    return f"{words} {target}" if target and "\n" not in target else words


def _where(selection: Filter) -> str:
    own = [_label_text(label, patterns) for label, patterns in selection.match.items()]
    known = {index: _known(selector) for index, selector in enumerate(selection.match_related)}
    of = [text for text in known.values() if text]
    related = [_related_text(item) for index, item in enumerate(selection.match_related) if not known[index]]
    text = f" for {_joined(of, 'and')}" if of else ""
    text += f" where {_joined(own, 'and')}" if own else ""
    return text + (f" with {_joined(related, 'and')}" if related else "")


def _role(selector: Mapping[str, Sequence[str]]) -> str:
    """The one role that is asked for; empty without one."""
    roles = selector.get(_ROLE, ())
    return roles[0] if len(roles) == 1 and is_exact(roles[0]) else ""


def _known(selector: Mapping[str, Sequence[str]]) -> str:
    """Things that are named by role and id alone; empty for others."""
    ids = selector.get("resource.id", ())
    if not _role(selector) or len(selector) != 2 or not ids or not all(map(is_exact, ids)):
        return ""
    return f"{_role(selector)} {_joined(ids, 'or')}"


def _related_text(selector: Mapping[str, Sequence[str]]) -> str:
    role = _role(selector)
    labels = [_label_text(label, patterns) for label, patterns in selector.items() if not role or label != _ROLE]
    text = f"a related {role or 'resource'}"
    return f"{text} whose {_joined(labels, 'and')}" if labels else text


def _label_text(label: str, patterns: Sequence[str]) -> str:
    wanted = [pattern for pattern in patterns if not pattern.startswith(NEGATION)]
    others = [pattern[1:] for pattern in patterns if pattern.startswith(NEGATION)]
    text = f"{label} is {_joined(wanted, 'or')}" if wanted else f"{label} is not {_joined(others, 'nor')}"
    return f"{text} but not {_joined(others, 'nor')}" if wanted and others else text


def _joined(items: Sequence[str], word: str) -> str:
    shown = [item or '""' for item in items]
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
