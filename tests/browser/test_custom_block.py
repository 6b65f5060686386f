"""The class of the tutorial on one's own kinds of block: once it is registered, a document is made in the browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.services.configuring import block_types, blocks
from orchestrator.server.services.configuring.blocks import BlockFilter
from orchestrator.server.services.deploying import block_removal

from .blocks import WHO
from .conftest import Watched

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom-blocks.md"


@pytest.fixture
def partner(admin: Watched, tmp_path: Path) -> Iterator[None]:
    """What ``orchestrator block register partner.py`` tells the server; it is forgotten after the test."""
    (code,) = re.findall(r'^```python title="partner.py"\n(.*?)^```', PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "partner.py").write_text(code)
    program = "import json, partner; print(json.dumps(partner.Partner.type_facts()))"
    told = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    with session.transaction() as writing:
        block_types.register(writing, json.loads(told.stdout), WHO, now())
    yield
    with session.transaction() as writing:
        for block in blocks.listing(writing, BlockFilter(type="partner")).items:
            block_removal.delete(writing, block.id, WHO, now())
        block_types.delete(writing, "partner", WHO, now())


def test_the_tutorials_kind_is_in_the_catalogue_and_a_document_is_made_of_it(admin: Watched, partner: None) -> None:
    page = admin.open("/blocks/catalogue?q=partner")
    expect(page.locator("#type-partner")).to_contain_text("A partner who takes our files")
    admin.open("/blocks/new/partner")
    page.wait_for_selector("#fields[data-ready]")
    names = [item.get_attribute("name") for item in page.locator("input[name^='root[']").all()]
    assert names == ["root[contact]", "root[key]"], "in the order of the class"
    page.fill("#name", "acme")
    page.fill("input[name='root[contact]']", "ops@acme.example")
    page.fill("input[name='root[key]']", "short")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("input[name='root[key]']")).to_have_attribute("aria-invalid", "true")
    page.fill("input[name='root[key]']", "a-shared-key")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("partner/acme")
    assert "a-shared-key" not in page.content()
    with session.transaction() as writing:
        data = blocks.load(writing, "partner/acme", WHO, now())["data"]
    assert data == {"contact": "ops@acme.example", "key": "a-shared-key"}
