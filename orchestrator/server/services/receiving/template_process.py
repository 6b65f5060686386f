"""Renders the templates of webhooks, in a process of its own.

A template can ask for any amount of work, also in one step that no Python code can interrupt (``10 ** 10 ** 10``), and
of memory. So it is rendered where the operating system keeps the bounds: a timer of the time that the processor really
spent, whose signal ends the process, and a limit of its memory. The process knows no secret of the server.

:mod:`.webhook_templates` starts it and speaks with it: a line of JSON in, a line of JSON out.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from jinja2 import ChainableUndefined, Template, TemplateError, TemplateSyntaxError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

#: Seconds of the processor's time that one template may take, bytes that the process may use, characters written.
CPU_S, MEMORY_MAX, OUTPUT_MAX = 1.0, 512 * 1024 * 1024, 2_000_000


class Json(str):
    """Text that is JSON already."""

    __slots__ = ()


class Missing(ChainableUndefined):
    """What is not there: may be asked for more, tested and given a default, but not be written."""

    def __str__(self) -> str:
        self._fail_with_undefined_error()
        return ""


class Headers(dict[str, Any]):
    """Headers by name, in any case."""

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(name.lower() if isinstance(name, str) else name)

    def get(self, name: Any, default: Any = None) -> Any:
        """As a dict's."""
        return super().get(name.lower() if isinstance(name, str) else name, default)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)


def main() -> None:
    """Answer until nobody asks any more."""
    _bound()
    for line in sys.stdin.buffer:
        answer, goes_on = _answer(json.loads(line))
        sys.stdout.buffer.write(json.dumps({**answer, "last": not goes_on}).encode() + b"\n")
        sys.stdout.buffer.flush()
        if not goes_on:
            return


def environment() -> ImmutableSandboxedEnvironment:
    """What templates see beside the delivery."""
    made = ImmutableSandboxedEnvironment(undefined=Missing, finalize=_written, autoescape=False)
    made.filters.update(tojson=to_json, fromjson=from_json, instant=to_instant, kebab=to_kebab, unquote=unquote)
    return made


def to_json(value: Any) -> Json:
    """A value as JSON."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return Json(json.dumps(value, ensure_ascii=False, default=str))


def from_json(text: Any) -> Any:
    """What a text of JSON holds; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def to_instant(value: Any) -> str:
    """Seconds or milliseconds since 1970 as a time; a text of a time as it is, in UTC where it names no zone."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) > 1e11 else value
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    text = str(value).strip()
    try:
        read = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return text if read.tzinfo else text.replace(" ", "T") + "+00:00"


def to_kebab(value: Any) -> str:
    """A text in the form of names of events: small letters, ``-`` for everything but letters, digits and dots."""
    kept = (character if character.isalnum() or character == "." else "-" for character in str(value).lower())
    return "".join(kept).strip("-")


def _written(value: Any) -> Any:
    """What is written between quotes is escaped as JSON demands, so that no value can break out of them."""
    if isinstance(value, (Json, Markup)):
        return str(value)
    if isinstance(value, Undefined):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text[1:-1] if isinstance(value, str) else text


@lru_cache(maxsize=64)
def _compiled(text: str) -> Template:
    return environment().from_string(text)


def _answer(asked: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What became of one template, and whether the process is good for another one."""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        template = _compiled(asked["template"])
        if asked["context"] is None:
            return {"text": ""}, True
        context = {**asked["context"], "headers": Headers(asked["context"]["headers"])}
        return _rendered(template, context), True
    except MemoryError:
        return {"error": f"it needs more memory than the {MEMORY_MAX // 1024**2} MiB that a template may use"}, False
    except TemplateSyntaxError as error:
        return {"error": str(error.message), "line": error.lineno}, True
    except TemplateError as error:
        return {"error": str(error.message or type(error).__name__), "line": _line_of(error)}, True
    except RecursionError:
        return {"error": "it is nested too deeply"}, True
    except Exception as error:  # whatever a filter, an operator or a method of a value raises
        return {"error": f"{type(error).__name__}: {error}", "line": _line_of(error)}, True
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _rendered(template: Template, context: dict[str, Any]) -> dict[str, Any]:
    parts, size = [], 0
    for part in template.generate(context):
        size += len(part)
        if size > OUTPUT_MAX:
            return {"error": f"it writes more than {OUTPUT_MAX:,} characters"}
        parts.append(part)
    return {"text": "".join(parts)}


def _line_of(error: BaseException) -> int | None:
    """The line of the template that was at work; Jinja writes its own frames into the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _bound() -> None:
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_AS: MEMORY_MAX}
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
