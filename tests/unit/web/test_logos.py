"""Logos of block types: icons of ours, pictures that types bring, and what could do harm."""

from __future__ import annotations

import pytest

from orchestrator.kinds import block_kinds
from orchestrator.web import looks
from orchestrator.web.icons import icon
from orchestrator.web.logos import PLAIN, logo


def test_an_icon_takes_the_colour_of_the_text_around_it() -> None:
    html = logo("tabler:folder", "big")
    assert 'class="logo big"' in html
    assert str(icon("folder")) in html
    assert "currentColor" in html


def test_a_data_url_becomes_a_picture_that_runs_no_script() -> None:
    html = logo("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E".replace(" ", "%20"))
    assert "<img src=" in html
    assert "&#39;" in html


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "tabler:there-is-none",
        "tabler:../../secrets",
        "https://example.com/logo.png",
        "javascript:alert(1)",
        'data:image/png;base64,x" onerror="alert(1)',
        "data:text/html,<script>alert(1)</script>",
        "<script>alert(1)</script>",
    ],
)
def test_anything_else_becomes_the_plain_icon(text: str | None) -> None:
    html = logo(text)
    assert str(icon(PLAIN)) in html
    assert "alert" not in html
    assert "<img" not in html


@pytest.mark.parametrize("slug", sorted(block_kinds.installed()))
def test_every_shipped_kind_has_a_logo_that_is_vendored(slug: str) -> None:
    text = block_kinds.find(slug).type_facts()["logo"]
    assert str(icon(PLAIN)) not in logo(text), text


def test_every_interface_has_a_look_whose_icon_is_vendored() -> None:
    assert all(icon(kind.icon) for kind in [*looks.INTERFACES.values(), looks.VALUES])
    assert looks.interface("time-machine").tag == "Time machine"
    assert looks.home_of(["discoverable", "file-system"]) == "file-system"
    assert looks.home_of(["time-machine"]) == "time-machine"
    assert looks.home_of([]) == ""


def test_interfaces_come_in_the_order_of_the_catalogue() -> None:
    assert looks.in_order(["time-machine", "discoverable", "file-system"]) == [
        "file-system",
        "discoverable",
        "time-machine",
    ]
