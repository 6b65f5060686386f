"""Apprise: addresses of any service, the extra."""

from __future__ import annotations

import pytest

from orchestrator.blocks import apprise
from orchestrator.blocks.apprise import Apprise
from orchestrator.errors import BlockError, InvalidInput

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_the_test_names_the_service() -> None:
    assert "ntfy" in Apprise(url="ntfy://canary-topic").test()


@pytest.mark.parametrize("url", ["nonsense://canary-secret", "no address canary-secret", "json://"])
def test_an_address_that_it_does_not_know_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="no address that Apprise knows") as caught:
        Apprise(url=url).notify("x")
    assert "canary-secret" not in str(caught.value)


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "apprise", None)
    assert Apprise.type_facts()["slug"] == "apprise"
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[apprise\]"'):
        Apprise(url="json://x").notify("x")
