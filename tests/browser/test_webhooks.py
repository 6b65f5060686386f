"""Webhooks in the browser: made from a preset, delivered to, their templates tried while they are written."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db.session import transaction
from orchestrator.server.services.receiving import webhooks
from orchestrator.server.webhook_presets import PRESETS

from .conftest import Server, Watched

SHOTS = os.environ.get("ORCHESTRATOR_TEST_SCREENSHOTS")


def send(address: str, preset: str = "generic", body: object = None) -> int:
    """Deliver as the system would, or some other body."""
    example = PRESETS[preset].example
    data = example.data() if body is None else json.dumps(body).encode()
    headers = {**example.headers, "Content-Type": example.content_type}
    with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=30) as answer:
        return int(answer.status)


@pytest.fixture(scope="module")
def seeded(server: Server) -> dict[str, str]:
    """Paths of three webhooks: one that was used, one that is off, one to which nothing came."""
    actor, paths = Actor("test", "test", "tests"), {}
    wanted = (
        {"name": "lake", "preset": "sns", "signature": None, "description": "Files that land in the lake."},
        {"name": "alerts", "preset": "alertmanager", "secret": "s", "active": False},
        {"name": "quality", "preset": "great-expectations", "template": "{{ body.nothing }}"},
    )
    for document in wanted:
        with transaction() as session:
            made, token = webhooks.create(session, document, actor, now())
        paths[made.name] = f"/webhooks/{made.id}"
        if made.name == "lake":
            send(server.url + webhooks.PATH + token, "sns")
            send(
                server.url + webhooks.PATH + token,
                "sns",
                {"Type": "Notification", "Message": '{"Event": "s3:TestEvent"}'},
            )
            with pytest.raises(urllib.error.HTTPError):
                send(server.url + webhooks.PATH + token, "sns", {"Type": "Notification"})
    return paths


def test_the_pages_are_sound(admin: Watched, seeded: dict[str, str]) -> None:
    pages = {"webhooks": "/webhooks", "webhook-new": "/webhooks/new", "webhook": seeded["lake"]}
    pages |= {
        "webhook-empty": seeded["quality"],
        "webhook-off": seeded["alerts"],
        "webhook-none": "/webhooks?q=nothing",
    }
    for name, path in pages.items():
        admin.page.emulate_media(color_scheme="light")
        admin.page.set_viewport_size({"width": 1440, "height": 900})
        page = admin.open(path)
        if path.startswith("/webhooks/") and name != "webhook-new":
            page.wait_for_selector("#becomes")
        assert admin.axe() == [], name
        assert len([url for url in admin.asked if "/static/" not in url]) <= 6
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_selector(f"html[data-bs-theme={theme}]")
            for width in (1440, 400):
                page.set_viewport_size({"width": width, "height": 900})
                assert admin.overflow() == 0, (name, width)
                if SHOTS:
                    page.screenshot(path=Path(SHOTS) / f"{name}-{theme}-{width}.png", full_page=width == 400)
        assert admin.axe() == [], name


def test_a_webhook_is_made_tried_and_changed(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open("/webhooks/new")
    page.get_by_text("GitHub", exact=True).click()
    page.click("text=Make it")
    expect(page.locator(".alert-danger")).to_contain_text("Give it a name")
    expect(page.locator("#preset-github")).to_be_checked()
    page.fill("#name", "code")
    page.click("button:has-text('Make it')")
    address = page.locator("#address code").inner_text()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/hooks/[\w-]{43}", address)
    page.reload()
    expect(page.locator("#template")).to_be_visible()
    assert page.locator("#address").count() == 0
    expect(page.locator("#becomes")).to_contain_text("github.push")
    assert send(address, "github") == 204
    expect(page.locator("#deliveries .rows > li")).to_have_count(1)
    expect(page.locator("#deliveries")).to_contain_text("Accepted")
    page.click("text=Try on it")
    page.fill("#template", '{"event": "code.changed", "resource": {"resource.id": "{{ body.repository.full_name }}"}}')
    expect(page.locator("#becomes")).to_contain_text("acme/warehouse")
    expect(page.locator("[data-unsaved]")).to_be_visible()
    page.fill("#template", "{{ body.repository")
    expect(page.locator("#becomes")).to_contain_text("line 1")
    page.click("text=Save the template")
    expect(page.locator("#template-error")).to_contain_text("It was not saved: line 1")
    page.select_option("#start", "generic")
    expect(page.locator("#becomes")).to_contain_text("delivery.received")
    page.click("text=Save the template")
    expect(page.locator(".alert-success")).to_contain_text("The template of code is saved")
    assert send(address, body={"a": 1}) == 204
    expect(page.locator("#deliveries .rows > li")).to_have_count(2)


def test_settings_rotation_switch_deletion(admin: Watched, seeded: dict[str, str]) -> None:
    admin.expected = ("422",)
    page = admin.open(seeded["quality"])
    page.select_option("#scheme", "token")
    page.click("text=Save settings")
    expect(page.locator("#settings .alert-danger")).to_contain_text("secret")
    page.fill("#secret", "open sesame")
    page.click("text=Save settings")
    expect(page.locator(".alert-success")).to_contain_text("saved")
    assert "open sesame" not in page.content()
    expect(page.locator("#secret")).to_have_attribute("placeholder", re.compile("saved"))
    page.click("#deliveries .toggle")
    expect(page.locator("#deliveries")).to_contain_text("Off: senders find nothing")
    page.click("button:has-text('Rotate…')")
    page.click("#confirm [data-confirm-yes]")
    expect(page.locator("#address code")).to_contain_text("/hooks/")
    page.click("button:has-text('Delete…')")
    page.click("#confirm [data-confirm-yes]")
    expect(page.locator("h1")).to_have_text("Webhooks")
    expect(page.locator("#list")).not_to_contain_text("quality")
