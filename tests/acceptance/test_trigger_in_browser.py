"""Somebody who writes no code chains two deployments: a trigger made in the browser starts the second when the first
completes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ..chromium import launched
from ..polling import until
from ..stack import Stack
from ..stories import deploy, new_name

pytestmark = pytest.mark.browser

BODY = """(source: str = "nothing") -> str:
    return f"from {source}"
"""


def settled(page: Page) -> None:
    """The server has answered to all that was typed."""
    expect(page.locator("#trigger-form")).to_have_attribute("data-state", "checked", timeout=30_000)


def build(page: Page, name: str, first: str, second: str) -> None:
    """Put the sentence together: when the first completes, the second runs with the first run's id."""
    page.fill("#when-expect-0", "flow-run.completed")
    page.get_by_role("button", name="a deployment", exact=True).click()
    page.select_option("#when-related-0-deployment", label=first)
    page.select_option("#then-kind", "run-deployment")
    page.locator("[data-rows=then]").get_by_role("button", name="Add it").click()
    page.fill("#then-0-deployment", second)
    page.fill("#then-0-parameters", 'source: "{{ flow_run.id }}"')
    page.fill("#name", name)
    settled(page)
    sentence = f"When flow-run.completed happens for deployment {first}: run deployment {second}."
    expect(page.locator("#said .said-text")).to_have_text(sentence)


def test_a_trigger_made_in_the_browser_chains_two_deployments(stack: Stack, tmp_path: Path) -> None:
    name = new_name("chained")
    first, second = f"{name}-a", f"{name}-b"
    folder = tmp_path / "project"
    deploy(stack, folder, first, BODY, work_queue=name)
    follower = deploy(stack, folder, second, BODY, work_queue=name)

    def runs() -> list[dict[str, Any]]:
        return list(stack.client.pages("flow-runs", {"deployment_id": follower}))

    with launched() as browser, stack.agent(name):
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.goto(stack.client.post("logins")["url"])
        page.goto(f"{stack.client.api_url}/triggers/new")
        build(page, name, f"job/{first}", f"job/{second}")
        expect(page.locator("#replay")).to_contain_text("It would not have fired in the last 7 days", timeout=30_000)
        page.get_by_role("button", name="Make it").click()
        trigger = until(
            lambda: next((item for item in stack.client.pages("triggers") if item["name"] == name), None),
            "the trigger to be there",
        )
        page.wait_for_url(f"**/triggers/{trigger['id']}")

        run = stack.client.post(f"deployments/job/{first}/runs", {})
        [follows] = until(runs, "the second deployment to run", 90)
        ended = stack.wait_for_run(follows["id"])
    assert ended["state"]["type"] == "COMPLETED"
    assert ended["parameters"]["source"] == run["id"]
    [firing] = stack.client.pages("firings", {"trigger_id": trigger["id"]})
    [action] = stack.client.pages("actions", {"firing_id": firing["id"]})
    assert action["state"] == "done"
    assert follows["id"] in str(action["result"])
