"""Deployment files: what is read is what was written, and each mistake is one line with its place and its fix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.projects import deployments
from orchestrator.projects.deployments import Document

SMALL = "flow: f\nname: n\nentrypoint: flow.py:f\n"
SCHEMA = {
    "type": "object",
    "properties": {"minimum": {"type": "integer", "default": 5}, "states": {"type": "array"}},
    "required": [],
}


def whole() -> Document:
    return Document(
        flow="flight_delays",
        name="First deployment",
        entrypoint="flow.py:flight_delays",
        description="Delays per airport.\nEvery night.",
        tags=["demo", "yes"],
        version="1.0",
        storage={"block": "s3/dev", "path": "flights", "snapshot": "a" * 64},
        infrastructure={"block": "process/default", "overrides": {"env": {"A": "1"}}},
        results={"block": "s3/dev", "path": "results/{{ variables.zone }}"},
        notifications=[{"block": "slack/data-team", "on": ["failed"]}, {"block": "email/boss"}],
        triggers=[{"name": "after load", "when": {"expect": "loaded"}, "then": [{"do": "notify"}]}],
        expectations=[{"name": "noon", "run": {"flow": "f"}, "every": {"cron": "0 9 * * *"}, "by": "12:30"}],
        work_queue="duck",
        concurrency_limit=2,
        collision="cancel-new",
        labels=["gpu", "region=eu"],
        parameters={"minimum": 10},
        schedules=[
            {"slug": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "parameters": {"states": []}}
        ],
        parameter_schema=SCHEMA,
    )


def problem(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        deployments.parse(text, "d.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = deployments.write(tmp_path / "new" / "d.yaml", [whole()])
    assert deployments.read(path) == [whole()]
    assert deployments.read(path)[0].source == f"{path}:4"
    assert os.listdir(path.parent) == ["d.yaml"]


def test_a_file_holds_several_documents(tmp_path: Path) -> None:
    small = Document(flow="f", name="n", entrypoint="flow.py:f")
    path = deployments.write(tmp_path / "d.yaml", [whole(), small])
    assert deployments.read(path) == [whole(), small]


def test_every_key_is_written_in_order_with_its_comment() -> None:
    text = deployments.render(whole())
    assert [*yaml.safe_load(text)] == [*Document.__dataclass_fields__][:-1]
    assert {*yaml.safe_load(text)} == {*deployments.KEYS}
    assert "# Agents of this queue take the runs" in text
    assert deployments.render(whole()) == text


def test_without_schedules_the_key_is_left_out_with_an_example() -> None:
    text = deployments.render(Document(flow="f", name="n", entrypoint="a:b"))
    assert "# schedules:" in text
    assert deployments.parse(text)[0].schedules is None
    assert "schedules" not in deployments.parse(text)[0].body()
    assert deployments.parse(SMALL + "schedules: []\n")[0].body()["schedules"] == []


def test_the_body_is_what_the_api_takes() -> None:
    text = SMALL + "schedules:\n  - {interval: 1h30m, anchor: 2026-01-01T00:00:00, timezone: Europe/Berlin}\n"
    body = deployments.parse(text)[0].body()
    assert "infrastructure" not in body
    assert body["work_queue"] == "default"
    schedule = body["schedules"][0]
    assert (schedule["interval"], schedule["anchor"]) == (5400.0, "2025-12-31T23:00:00.000000Z")
    assert "cron" not in schedule


def test_numbers_and_dates_are_text_where_text_is_meant() -> None:
    found = deployments.parse(SMALL + "version: 1.10\nparameters: {day: 2026-01-31, n: 1}\n")[0]
    assert found.version == "1.10"
    assert found.parameters == {"day": "2026-01-31", "n": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flow: [", "d.yaml:1: this is no YAML: "),
        ("a: 1\n b: 2", "d.yaml:2: this is no YAML: "),
        ("", "d.yaml:1: there is no deployment in it"),
        ("- a", "d.yaml:1: a deployment is a mapping of keys to values, not a list"),
        ("flow: f\nname: n\n", "d.yaml:1: a deployment needs the key entrypoint"),
        (SMALL + "tag: [a]\n", "d.yaml:4: tag is no key of a deployment; did you mean tags?"),
        (SMALL + "zzz: 1\n", "d.yaml:4: zzz is no key of a deployment; the keys are flow, name, "),
        (SMALL + "name: m\n", "d.yaml:4: name stands there twice"),
        (SMALL + "tags: a\n", "d.yaml:4: tags is a list of texts, not 'a'"),
        (SMALL + "tags: [[a]]\n", "d.yaml:4: tags[0] is a text, not a list"),
        (SMALL + "work_queue: ''\n", "d.yaml:4: work_queue is a text of 1 to 200 characters without /, not ''"),
        (
            SMALL + "concurrency_limit: -1\n",
            "d.yaml:4: concurrency_limit is a whole number from 0, or null for no limit",
        ),
        (
            SMALL + "concurrency_limit: yes\n",
            "d.yaml:4: concurrency_limit is a whole number from 0, or null for no limit",
        ),
        (SMALL + "collision: cancel\n", "d.yaml:4: collision is enqueue or cancel-new, not 'cancel'"),
        (SMALL + "labels: gpu\n", "d.yaml:4: labels is a list of texts, not 'gpu'"),
        (
            "flow: f\nname: a/b\nentrypoint: a:b\n",
            "d.yaml:2: name is a text of 1 to 200 characters without /, not 'a/b'",
        ),
        (
            "flow: f\nname: n\nentrypoint: flow.py\n",
            "d.yaml:3: entrypoint is file.py:function or package.module:function",
        ),
        (
            SMALL + "storage:\n  block: s3\n",
            "d.yaml:5: storage.block is TYPE/NAME of a block, such as s3/dev, or a mapping with type and data, "
            "not 's3'",
        ),
        (SMALL + "storage:\n  paht: x\n", "d.yaml:5: storage.paht is no key of storage; did you mean path?"),
        (SMALL + "storage:\n  snapshot: x\n", "d.yaml:5: storage.snapshot is the hash that"),
        (SMALL + "storage: s3/dev\n", "d.yaml:4: storage is a mapping of keys to values, not 's3/dev'"),
        (SMALL + "results:\n  block: s3/dev\n  path: '{{ env }}'\n", "d.yaml:6: results.path"),
        (SMALL + "notifications: slack/x\n", "d.yaml:4: notifications is a list, not 'slack/x'"),
        (SMALL + "notifications:\n  - on: [failed]\n", "d.yaml:5: notifications[0] needs the key block"),
        (SMALL + "notifications:\n  - block: x\n", "d.yaml:5: notifications[0].block is TYPE/NAME of a block"),
        (
            SMALL + "notifications:\n  - {block: slack/x, on: [Failed]}\n",
            "d.yaml:5: notifications[0].on: 'Failed' is no type of state; did you mean failed?",
        ),
        (SMALL + "infrastructure:\n  overrides: [a]\n", "d.yaml:5: infrastructure.overrides is a mapping"),
        (SMALL + "parameters: {a: .nan}\n", "d.yaml:4: parameters.a holds nan, which JSON cannot hold"),
        (SMALL + "parameters: {a: {1: b}}\n", "d.yaml:4: parameters.a holds the key 1, which JSON cannot hold"),
        (SMALL + "parameters: {a: !!python/object:os.system x}\n", "d.yaml:4: parameters.a: could not determine"),
        (SMALL + "parameters: &x\n  a: *x\n", "d.yaml:5: this is no YAML: *x refers to another place"),
        (SMALL + "schedules: {cron: x}\n", "d.yaml:4: schedules is a list, not a mapping"),
        (SMALL + "schedules:\n  - timezone: UTC\n", "d.yaml:5: schedules[0].cron: give exactly one of cron, interval"),
        (
            SMALL + "schedules:\n  - cron: 0 9 * * *\n    timezone: Europe/Berln\n",
            "d.yaml:6: schedules[0].timezone: 'Europe/Berln' is no IANA time zone; did you mean Europe/Berlin?",
        ),
        (SMALL + "schedules:\n  - cron: 61 * * * *\n", "d.yaml:5: schedules[0].cron: "),
        (SMALL + "schedules:\n  - cron: 1 * * * *\n    activ: 1\n", "d.yaml:6: schedules[0].activ is no key of"),
        (SMALL + "schedules:\n  - cron: 1 * * * *\n    active: 1\n", "d.yaml:6: schedules[0].active is true or false"),
        (
            SMALL + "schedules:\n  - {slug: a, interval: 5m}\n  - {slug: a, interval: 6m}\n",
            "d.yaml:6: schedules[1].slug: 'a' stands there twice",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, message: str) -> None:
    assert problem(text).startswith(message)


def test_all_mistakes_are_told_at_once_up_to_a_handful() -> None:
    assert problem("flow: f\nnam: n\n").count("d.yaml:") == 3
    many = problem(SMALL + "".join(f"bad{number}: 1\n" for number in range(9)))
    assert many.count("d.yaml:") == 5
    assert many.endswith("and 4 more")


def test_the_line_is_that_of_the_second_document() -> None:
    assert problem(SMALL + "---\n" + SMALL + "tag: x\n").startswith("d.yaml:8: tag")


class TestParameters:
    """Parameters are held against the schema beside them before anything runs (pain 49)."""

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ({"parameters": {"minimun": 1}}, "parameters.minimun is no parameter of the flow; did you mean minimum?"),
            (
                {"parameters": {"minimum": "many"}},
                "parameters.minimum does not fit the flow's signature: 'many' is not",
            ),
            (
                {"schedules": [{"cron": "1 1 * * *", "parameters": {"states": 1}}]},
                "schedules[0].parameters.states does not fit",
            ),
        ],
    )
    def test_one_that_does_not_fit_is_named(self, lines: dict[str, Any], message: str) -> None:
        document = {"flow": "f", "name": "n", "entrypoint": "a:b", "parameter_schema": SCHEMA, **lines}
        assert message in problem(yaml.safe_dump(document))

    def test_the_line_is_the_parameters_own(self) -> None:
        text = SMALL + "parameters:\n  states: []\n  minimum: many\n" + yaml.safe_dump({"parameter_schema": SCHEMA})
        assert problem(text).startswith("d.yaml:6: parameters.minimum")

    def test_those_not_given_are_not_missed_and_any_fit_where_any_are_taken(self) -> None:
        schema = {"properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"], "$defs": {"A": {"type": "integer"}}}
        assert deployments.parameter_problems({}, schema) == {}
        assert [*deployments.parameter_problems({"a": "x"}, schema)] == ["a"]
        assert deployments.parameter_problems({"b": 1}, {**schema, "additionalProperties": True}) == {}
        assert deployments.parameter_problems({"b": 1}, {}) == {}


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        deployments.read(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read: "):
        deployments.read(tmp_path / "binary")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = deployments.write(tmp_path / "d.yaml", [whole()])
    before = path.read_text()

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        deployments.write(path, [Document(flow="f", name="n", entrypoint="a:b")])
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["d.yaml"]


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@given(_text, st.lists(_text, max_size=3), st.dictionaries(_text, _json, max_size=4))
def test_any_text_and_any_json_comes_back(description: str, tags: list[str], parameters: dict[str, Any]) -> None:
    document = Document("f", "n", "a.py:b", description=description, tags=tags, version="no", parameters=parameters)
    assert deployments.parse(deployments.render(document)) == [document]


def test_a_block_of_its_own_is_written_in_its_document() -> None:
    text = """\
flow: f
name: d
entrypoint: a.py:f
storage:
  block:
    type: s3
    data: {bucket: flows, key: "********"}
  path: code
infrastructure:
  block: {type: process}
"""
    [document] = deployments.parse(text)
    assert document.body()["storage"]["block"] == {"type": "s3", "data": {"bucket": "flows", "key": "********"}}
    assert document.body()["infrastructure"] == {"block": {"type": "process", "data": {}}}
    assert deployments.parse(deployments.render(document)) == [document]
    with pytest.raises(InvalidInput, match=r":6: storage\.block needs the key type"):
        deployments.parse(text.replace("    type: s3\n", ""))
