"""The stack map in a real browser: how long until 5,000 resources are drawn and answer, and what a click costs then.

The resources are told by events, as everything else that is watched. Each round is a new browser profile, with nothing
in its cache. It needs Playwright and a Chromium on the PATH.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from orchestrator.client import Client

from .figures import Figure
from .stack import running

BAR = "a map of 5,000 resources is drawn and answers within 2 s of being opened; a click on it within 0.2 s"
ROUNDS = 5
RESOURCES, BATCH = 5_000, 1_000
#: Kinds, and how many of each hundred resources are of them.
KINDS = (("s3.object", 40), ("sql.table", 30), ("kafka.topic", 8), ("dbt.model", 12), ("report", 6), ("service", 4))
_WAIT_S = 120.0
_NAMES = ("chromium", "chromium-browser", "google-chrome")

_CLICK = """async () => {
  const graph = document.getElementById("map").graph, start = performance.now();
  const node = graph.nodes(".item")[%d];
  node.emit("tap");
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return (performance.now() - start) / 1000;
}"""


def run() -> Iterable[Figure]:
    """Raises RuntimeError when no browser is there, or not all resources come onto the map."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise RuntimeError(f"no browser: none of {', '.join(_NAMES)} is on the PATH")
    with running() as stack, sync_playwright() as playwright:
        client = stack.client()
        fill(client)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        rounds = [_round(browser, client) for _ in range(ROUNDS)]
        browser.close()
    for name in ("open", "click"):
        yield Figure.of(f"map_page_{name}", [found[name] for found in rounds], "s")


def fill(client: Client) -> None:
    """Tell of all resources, and wait until they are known."""
    for first in range(0, RESOURCES, BATCH):
        client.post("events", json=[event(index) for index in range(first, min(first + BATCH, RESOURCES))])
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if sum(1 for _ in client.pages("resources", {"limit": 200})) >= RESOURCES:
            return
        time.sleep(0.5)
    raise RuntimeError(f"not all of {RESOURCES:,} resources were known within {_WAIT_S:g} s")


def event(index: int) -> dict[str, Any]:
    """What tells of one resource: it reads one or two of those before it, mostly of the kind before its own."""
    relations = [{"target": identifier(at), "role": "reads"} for at in {index // 2, index * 7 // 10} if at != index]
    labels = {"resource.id": identifier(index), "resource.name": f"thing {index}", "resource.kind": kind(index)}
    return {"event": "thing.seen", "resource": labels, "relations": relations, "kind": "relationship"}


def identifier(index: int) -> str:
    """The id of the resource at a place."""
    return f"bench://{kind(index)}/{index}"


def kind(index: int) -> str:
    """The kind of the resource at a place: the same share of each kind throughout."""
    rest = index % 100
    for name, share in KINDS:
        if rest < share:
            return name
        rest -= share
    raise AssertionError("the shares make a hundred")


def _round(browser: Browser, client: Client) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(str(client.post("logins")["url"]))
    address = f"{page.url.split('?')[0].rstrip('/')}/map"
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#map[data-ready=yes]", timeout=_WAIT_S * 1000)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    opened = time.perf_counter() - start
    drawn = page.evaluate("document.getElementById('map').graph.nodes('.item').length")
    if drawn < RESOURCES:
        raise RuntimeError(f"{drawn:,} of {RESOURCES:,} resources are on the map")
    click = float(page.evaluate(_CLICK % (RESOURCES // 3)))
    context.close()
    return {"open": opened, "click": click}
