"""YAML as people mean it."""

from __future__ import annotations

import pytest
import yaml

from orchestrator.documents import yaml_texts


def test_words_and_times_are_texts() -> None:
    [found] = yaml_texts.load_all("on: {by: 09:15, day: 2026-01-31}\nactive: true\nanswer: yes\nnumber: 5\n---\n")
    assert found == {"on": {"by": "09:15", "day": "2026-01-31"}, "active": True, "answer": "yes", "number": 5}


def test_references_are_for_those_who_are_trusted() -> None:
    text = "a: &one [1, 2]\nb: *one\n"
    assert yaml_texts.load_all(text) == [{"a": [1, 2], "b": [1, 2]}]
    with pytest.raises(yaml.MarkedYAMLError, match="one refers to another place") as caught:
        yaml_texts.load_all(text, references=False)
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line == 1
