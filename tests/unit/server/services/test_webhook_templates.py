"""Templates of webhooks: what they can do, and that none can hurt the server."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.server.services.receiving import webhook_templates
from orchestrator.server.services.receiving.webhook_templates import TemplateFailed, check, read, render

DOCS = Path(__file__).resolve().parents[4] / "docs"


def context(body: Any = None, **headers: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "headers": headers,
        "query": {},
        "body": body,
        "text": "",
        "webhook": {"id": "1", "name": "shop"},
        "received": "2026-02-01T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("template", "body", "written"),
    [
        ('"{{ body.x }}"', {"x": 'a "b"\n'}, '"a \\"b\\"\\n"'),
        ("{{ body.x }}", {"x": None}, "null"),
        ("{{ body|tojson }}", {"x": [1, True, "é"]}, '{"x": [1, true, "é"]}'),
        ('"{{ body.a.b.c|default("none") }}"', {}, '"none"'),
        ("{% if body.a.b %}1{% else %}0{% endif %}", None, "0"),
        ('"{{ headers["X-Some"] }}"', None, '"thing"'),
        ('"{{ headers.get("X-SOME") }}"', None, '"thing"'),
        ("{{ body.m|fromjson|tojson }}", {"m": '{"a": [1]}'}, '{"a": [1]}'),
        ('"{{ 1769947200|instant }}"', None, '"2026-02-01T12:00:00+00:00"'),
        ('"{{ 1769947200000|instant }}"', None, '"2026-02-01T12:00:00+00:00"'),
        ('"{{ "2026-02-01 12:00:00"|instant }}"', None, '"2026-02-01T12:00:00+00:00"'),
        ('"{{ "Checks Failed!"|kebab }}"', None, '"checks-failed"'),
        ("{% macro it(x) %}{{ x|tojson }}{% endmacro %}{{ it('a')|safe }}", None, '"a"'),
    ],
)
def test_what_templates_write(template: str, body: Any, written: str) -> None:
    assert render(template, context(body, **{"x-some": "thing"})) == written


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in range(10**9) %}{% endfor %}", "Range too big"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "of computing"),
        ("{{ 99999999**99999999 }}", "of computing"),
        ("{{ ('a' * 10**8)|upper|length }}{{ 'a' * 10**10 }}", "memory"),
        ("{% for i in range(100000) %}{{ 'a' * 100 }}{% endfor %}", "writes more than"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deeply"),
        ("\n{{ body.nothing }}", "line 2"),
        ("\n\n{{ 1 / 0 }}", "line 3: ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ body.clear() }}", "unsafe|not safely"),
        ("{% include 'x' %}", "no loader"),
    ],
)
def test_what_cannot_be_done_is_told_and_hurts_nothing(template: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        render(template, context({"a": 1}))
    assert render("{{ body.a }}", context({"a": 1})) == "1"


def test_a_template_is_checked_before_it_is_kept() -> None:
    check("{{ body.nothing }}")
    for template, reason in (("{{ body", "line 1"), ("{% huh %}", "huh"), (" ", "empty"), ("x" * 50_001, "50,001")):
        with pytest.raises(TemplateFailed, match=reason):
            check(template)


def test_processes_are_few_and_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads share them; one that was killed in its sleep is replaced."""
    monkeypatch.setenv("ORCHESTRATOR_SECRET_KEY", "hidden")
    webhook_templates._end_all()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(render("{{ body.a }}", context({"a": 1})))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 12
    processes = [item._process for item in webhook_templates._idle]
    assert 1 <= len(processes) <= webhook_templates.PROCESSES
    environ = Path(f"/proc/{processes[0].pid}/environ")
    if environ.exists():
        assert b"ORCHESTRATOR" not in environ.read_bytes()
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert render("{{ body.a }}", context({"a": 2})) == "2"


@pytest.mark.parametrize("rendered", ["5", '"text"', "[1]", "{", "[{}, 5]", json.dumps([{}] * 1001)])
def test_what_is_no_event_is_refused(rendered: str) -> None:
    with pytest.raises(TemplateFailed):
        read(rendered)


def test_nothing_one_and_many_are_events() -> None:
    assert [read(text) for text in ("", " \n", "null", "[]", '{"a": 1}', '[{"a": 1}]')] == [
        [], [], [], [], [{"a": 1}], [{"a": 1}],
    ]  # fmt: skip


def test_the_template_of_the_documentation_does_what_it_says() -> None:
    page = (DOCS / "webhooks.md").read_text("utf-8")
    [template] = re.findall(r"```jinja\n(.*?)```", page, re.DOTALL)
    body = {"state": "shipped", "number": 4711, "at": 1769947200, "customer": {"id": 7}}
    [event] = read(render(template, context(body)))
    assert (event["event"], event["resource"]["resource.id"]) == ("order.shipped", "shop/order/4711")
    assert read(render(template, context({"state": "packed"}))) == []
    names = re.findall(r"^\| `(\w+)` \|", page.partition("| filter | gives |")[2], re.MULTILINE)
    assert {"tojson", "fromjson", "instant", "kebab", "unquote"} <= set(names)
