"""What every kind that holds one secret value promises: it is given to who asks for it, and shown to nobody else."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import interfaces
from orchestrator.block import Block
from orchestrator.blocks.secret import Secret
from orchestrator.errors import BlockError

from .kinds import with_interface

#: By slug: a block of the kind that holds a value.
CASES: dict[str, Callable[[str], Any]] = {"secret": lambda value: Secret(value=value)}
VALUES = ["canary-7f3a", "", "x", "päß wörd\n'\"\\ {{ 1 }} %s", "c" * 100_000]
CANARY = "canary-7f3a"

every_kind = pytest.mark.parametrize("slug", CASES)


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(with_interface(interfaces.Secret))


@every_kind
@pytest.mark.parametrize("value", VALUES, ids=["plain", "empty", "short", "odd", "long"])
def test_the_value_is_given_back_exactly(slug: str, value: str) -> None:
    block = CASES[slug](value)
    assert isinstance(block, interfaces.Secret)
    assert block.get() == value
    document = block.to_document()
    assert document["type"] == slug
    again = Block.from_document(json.loads(json.dumps({**document, "name": "one"})))
    assert type(again) is type(block)
    assert again.get() == value  # type: ignore[attr-defined]


@every_kind
@pytest.mark.parametrize(
    "show",
    [
        repr, str, "{}".format, "{!r:>9}".format, lambda block: f"{[block]} {({'block': block})}",
        lambda block: block.model_dump_json(), lambda block: str(block.model_dump()),
        lambda block: json.dumps(block.model_dump(mode="json")), lambda block: repr(copy.deepcopy(block)),
        lambda block: repr(pickle.loads(pickle.dumps(block))), lambda block: json.dumps(block.type_facts()),
        lambda block: str([*block]), lambda block: repr(vars(block)), lambda block: str(block.test()),
    ],
)  # fmt: skip
def test_the_value_is_masked_wherever_it_is_shown(slug: str, show: Callable[[Any], str]) -> None:
    block = CASES[slug](CANARY)
    assert CANARY not in show(block)
    again = Block.from_document({**block.to_document(), "name": "one"})
    assert CANARY not in show(again)


@every_kind
def test_the_value_is_masked_in_errors(slug: str) -> None:
    """A document that does not fit is refused in words that do not show what it holds."""
    document = CASES[slug](CANARY).to_document()
    wrong = {**document, "name": "one", "data": {key: [[CANARY]] for key in document["data"]}}
    with pytest.raises(BlockError) as caught:
        Block.from_document(wrong)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
