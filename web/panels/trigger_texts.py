"""Values of trigger documents as the texts of a form's fields, and back.

A text that was not touched stands for the value that it was made of, whatever that is; only a changed one is read.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from typing import Any

import yaml

from orchestrator.documents.yaml_texts import Dateless
from orchestrator.triggers import span
from orchestrator.triggers.sentences import time_text

#: Kinds of field that may hold several lines.
LINES = ("prose", "json", "mapping")
#: Kinds that are a list in one line, separated by commas.
LISTS = ("texts", "patterns")

_WHOLE, _NUMBER = re.compile(r"-?\d{1,15}"), re.compile(r"-?(\d{1,15}(\.\d*)?|\.\d+)")
_HINT = 'Write it as YAML, such as `city: Berlin`; a template goes in quotes: `city: "{{ event.resource.city }}"`.'


class Unreadable(ValueError):
    """A text that stands for no value; the message is for the person who wrote it."""


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# Lists stand for themselves, texts of several lines as they are read.
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text and text == text.strip() else None
    ),
)


def to_yaml(value: Any) -> str:
    """A value as YAML of several lines."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text.removesuffix("...\n")


def from_yaml(text: str) -> Any:
    """The value of a text. Raises Unreadable, naming the line."""
    try:
        return plain(yaml.load(text, Dateless))  # noqa: S506  (it is a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"Line {mark.line + 1}: " if mark else ""
        told = " ".join(str(error.problem or error.context or "this is no YAML").split())
        raise Unreadable(f"{where}{told}.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(f"This is no YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise Unreadable("It is nested too deep.") from None


def plain(value: Any) -> Any:
    """The same as JSON has it. Raises Unreadable for what JSON cannot hold."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Unreadable(f"The key {key!r} is no text: put it in quotes.")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable(f"{value} is no number that can be kept.")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise Unreadable(f"{value!r:.60} cannot be kept: write a text in quotes.")


def shown(value: Any, kind: str) -> str:
    """A value as the text of a field of some kind."""
    if value is None:
        return ""
    if kind in ("json", "mapping"):
        return _structured(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(value, kind)
    if isinstance(value, str):
        return _row([value]) if kind in LISTS else value
    if kind in LISTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _row(value)
    return _flow(value)


def same(one: str, other: str, kind: str) -> bool:
    """Whether two texts are one to a browser, which changes the ends of lines."""
    return _ends(one, kind) == _ends(other, kind)


def read(text: str, kind: str) -> Any:
    """The value of a text that was typed. Raises Unreadable."""
    if kind == "prose":
        return text.replace("\r\n", "\n")
    if kind in ("json", "mapping"):
        return _read_structured(text.replace("\r\n", "\n"), kind)
    text = text.strip()
    if kind in LISTS:
        found = _split(text)
        return found[0] if kind == "patterns" and len(found) == 1 else found
    if kind == "flag":
        return {"yes": True, "no": False}.get(text, text)
    if kind in ("number", "duration"):
        return _read_number(text)
    return text


def put(
    target: dict[str, Any], name: str, kind: str, text: str | None, problems: dict[str, list[str]], place: str
) -> None:
    """Put the value of a field into a document, if it was changed; an empty field leaves it out.

    Args:
        text: None: the field was not in the form.
        problems: Where it is said, by field, that the text stands for no value.
    """
    if text is None or same(text, shown(target.get(name), kind), kind):
        return
    if not text.strip():
        target.pop(name, None)
        return
    try:
        target[name] = read(text, kind)
    except Unreadable as error:
        problems[place] = [str(error)]


def _structured(value: Any) -> str:
    if not isinstance(value, str):
        return to_yaml(value).rstrip("\n")
    try:
        is_itself = from_yaml(value) == value
    except Unreadable:
        is_itself = _is_template(value)
    return value if is_itself else to_yaml(value).rstrip("\n")


def _read_structured(text: str, kind: str) -> Any:
    try:
        found = from_yaml(text)
    except Unreadable as error:
        if _is_template(text) and (kind == "json" or text.strip().startswith("{{")):
            return text.strip()
        raise Unreadable(f"{error} {_HINT}") from None
    if found is None:
        raise Unreadable(_HINT)
    return found


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _number(value: int | float, kind: str) -> str:
    if kind == "duration" and math.isfinite(value) and 0 <= value < 1e10:
        return time_text(span(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_number(text: str) -> Any:
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _row(items: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(items)
    return line.getvalue().replace(",", ", ") if all("," not in item for item in items) else line.getvalue()


def _split(text: str) -> list[str]:
    rows = list(csv.reader([" ".join(text.splitlines())], skipinitialspace=True))
    found = [item.strip() for row in rows for item in row]
    return found if '""' in text else [item for item in found if item]


def _flow(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=9999
    )
    return " ".join(text.split())


def _ends(text: str, kind: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if kind in LINES else text.replace("\n", "")
