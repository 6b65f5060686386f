"""Pictures of the rooms for docs/images: in light and dark, on a desk and on a phone. Look at them before a release.

``ORCHESTRATOR_TEST_SCREENSHOTS=docs/images pytest tests/browser/test_screenshots.py`` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from orchestrator.server.db import session

from . import blocks
from .conftest import Server, Watched, profile, watched
from .test_pages import address

FOLDER = os.environ.get("ORCHESTRATOR_TEST_SCREENSHOTS")

pytestmark = pytest.mark.skipif(not FOLDER, reason="ORCHESTRATOR_TEST_SCREENSHOTS names no folder to write to")

ROOMS = {
    "login": ("/login", "#key"),
    "tower": ("/", "#chart-runs canvas"),
    "runs": ("/runs", "#chart-points canvas"),
    "run": ("/runs/{done}", ".log"),
    "run-failed": ("/runs/{broken}?tab=states", ".path"),
    "run-artifacts": ("/runs/{done}?tab=artifacts", ".written"),
    "deployments": ("/deployments", "#list .spark"),
    "deployment": ("/deployments/{delays-nightly}", "#schedules"),
    "deployment-edit": ("/deployments/{delays-nightly}/edit", "#deployment-form[data-ready]"),
    "backfill-new": ("/deployments/{delays-nightly}/backfill", "#would"),
    "launch": ("/deployments/{delays-nightly}/run", "input[name='root[airport]']"),
    "blocks": ("/blocks", "#list"),
    "catalogue": ("/blocks/catalogue", "#type-s3"),
    "block-new": ("/blocks/new/team-warehouse", "#fields[data-ready]"),
    "block": ("/blocks/{reports}", "#discovery"),
    "queues": ("/queues", "#list"),
    "agents": ("/agents", "#list"),
    "expectations": ("/expectations", ".expected-sign"),
    "expectation": ("/expectations/{files-of-all-stations}", "#occurrences .state"),
    "expectation-new": ("/expectations/new", "#expectation-form"),
    "suggestions": ("/expectations/suggestions", "#list"),
    "pings": ("/pings", "#list"),
    "triggers": ("/triggers", "#list .week"),
    "trigger": ("/triggers/{stale-tables-wait}?event={failed-check}", "#explained"),
    "firings": ("/firings", "#list .state"),
    "firing": ("/firings/{stale}", "#actions .told-error"),
    "actions": ("/actions", "#list .state"),
    "chain-new": ("/chains/new", "#chain-form[data-ready=yes]"),
    "events": ("/events?within=6h", "#histogram[data-ready=yes]"),
    "resources": ("/resources", "#list"),
    "resource": ("/resource?id=postgres://warehouse.internal/marts.revenue", "#about"),
    "map": ("/map", "#map[data-ready=yes]"),
    "map-focus": ("/map?focus=postgres://warehouse.internal/marts.revenue", "#map[data-ready=yes]"),
    "desk": ("/desk", "#list .desk"),
    "trigger-new": (
        "/triggers/new?event=table.*&resource=postgres://warehouse.internal/*",
        "#replay .replay-mark",
    ),
    "limits": ("/limits", "#list"),
    "limit-new": ("/limits/new", "#limit-form"),
    "variables": ("/variables", "#list"),
    "artifacts": ("/artifacts", "#list"),
    "artifact": ("/artifacts/late-flights", "#versions"),
    "holds": ("/holds", "#list .hold"),
    "hold-new": ("/holds/new?resource=s3://flights-dev/raw/arrivals.csv", "#would"),
    "audit": ("/audit", "#stream"),
}


@pytest.fixture(scope="module", autouse=True)
def tidied(server: Server) -> None:
    with session.transaction() as writing:
        blocks.tidy(writing)


@pytest.fixture(params=["light", "dark"])
def visitor(chromium: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Watched]:
    context = profile(chromium, color_scheme=request.param, reduced_motion="reduce")
    made = watched(context, server)
    one = next(made)
    yield one
    next(made, None)
    context.close()


def test_pictures(visitor: Watched) -> None:
    page, server = visitor.page, visitor.server
    theme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    for name, (path, sign) in ROOMS.items():
        if name == "tower":
            page.goto(server.login_url("admin"))
        for width, height in ((1440, 900), (400, 860)):
            page.set_viewport_size({"width": width, "height": height})
            visitor.open(address(path, visitor))
            page.wait_for_selector(sign)
            page.wait_for_load_state("networkidle" if name == "launch" else "load")
            picture = Path(str(FOLDER)) / f"{name}-{theme}-{width}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            assert len(page.screenshot(path=picture)) > 5_000
