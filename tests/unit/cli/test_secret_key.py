"""``orchestrator secret-key``."""

from __future__ import annotations

from typing import Any

from .api import Api
from .conftest import Cli

KEYS = [{"id": "a1", "blocks": 3}, {"id": "b2", "blocks": 0}]
CLEAN = {"keys": KEYS, "unreadable": [], "unreadable_count": 0, "left": 0}


def test_rotate_goes_on_until_nothing_is_left_and_says_which_key_can_go(api: Api, cli: Cli) -> None:
    steps = [(2, 3), (2, 1), (1, 0)]

    def step(query: Any, body: Any) -> dict[str, Any]:
        rotated, left = steps.pop(0)
        return {"rotated": rotated, "left": left, "unreadable": []}

    api.answers["POST secret-keys/rotate"] = step
    api.answers["GET secret-keys/check"] = CLEAN
    done = cli("secret-key", "rotate")
    assert (done.code, steps) == (0, [])
    assert "5 blocks were encrypted anew" in done.err
    assert "key 2 can be dropped" in done.err


def test_check_names_what_no_key_opens(api: Api, cli: Cli) -> None:
    api.answers["GET secret-keys/check"] = {**CLEAN, "unreadable": ["s3/dev", "s3/prod"], "unreadable_count": 3}
    done = cli("secret-key", "check")
    assert done.code == 1
    assert "no key opens the secrets of s3/dev, s3/prod and 1 more: add the key" in done.err
    done = cli("secret-key", "check", "--output", "json")
    assert (done.code, done.json["unreadable_count"]) == (1, 3)


def test_check_tells_what_is_still_to_be_rotated(api: Api, cli: Cli) -> None:
    older = [{"id": "a1", "blocks": 1}, {"id": "b2", "blocks": 2}]
    api.answers["GET secret-keys/check"] = {**CLEAN, "keys": older, "left": 2}
    done = cli("secret-key", "check")
    assert done.code == 0
    assert "2 blocks need an older key" in done.err
    assert "dropped" not in done.err
