"""A deployment made wholly in the browser: code in a storage, an agent that looks at it, a form, a run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.clock import now
from orchestrator.projects import deployments as files
from orchestrator.server.db import session
from orchestrator.server.db.models import Deployment, FlowRun
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.deploying import block_removal, deployment_documents
from orchestrator.server.services.deploying import deployments as service
from orchestrator.server.services.identity import keys
from orchestrator.server.services.running import agents, work_queues
from tests.polling import until
from tests.standins.s3 import KEYS, new_bucket, s3_client, s3_server

from .blocks import WHO
from .conftest import Watched, profile

FLOW = '''
from orchestrator import flow

@flow(name="Load orders", version="1.4")
def load(table: str, limit: int = 10, dry_run: bool = False) -> str:
    """Load a table into the warehouse."""
    return f"{table} {limit} {dry_run}"

@flow
def clean_up():
    """Remove what nobody needs any more."""
'''
#: Milliseconds that an agent may take, on a machine that does much else.
PATIENCE = 60_000
BROKEN = "import nowhere\nfrom orchestrator import flow\n\n@flow\ndef lost():\n    pass\n"


@contextmanager
def agent(url: str, queue: str, home: Path) -> Iterator[None]:
    """An agent of that queue, by HTTP alone."""
    with session.transaction() as writing:
        key = keys.create(writing, f"agents of {queue}", "agent", now())[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    env = {**inherited, "ORCHESTRATOR_HOME": str(home), "ORCHESTRATOR_API_URL": url, "ORCHESTRATOR_API_KEY": key}
    home.mkdir()
    words = ["-m", "orchestrator", "agent", "start", "-q", queue, "--transport", "http"]
    with (home / "agent.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *words], env=env, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def online() -> bool:
        assert process.poll() is None, (home / "agent.log").read_text()
        with session.reading() as reading:
            return any(queue in row.agent.queues for row in agents.listing(reading, now()))

    try:
        until(online, "the agent")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agent")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A storage with a project in a folder of it."""
    folder = tmp_path / "code"
    (folder / "sales" / "etl").mkdir(parents=True)
    (folder / "sales" / "etl" / "flow.py").write_text(FLOW)
    (folder / "sales" / "etl" / "broken.py").write_text(BROKEN)
    (folder / "sales" / "README.md").write_text("hello")
    return folder


def save(slug: str, name: str, **data: Any) -> uuid.UUID:
    with session.transaction() as writing:
        return blocks.create(writing, slug, data, name=name, actor=WHO, now=now()).id


def found(name: str) -> Deployment:
    with session.reading() as reading:
        return service.get(reading, name)


def step(page: Page, name: str) -> Any:
    return page.locator(f"#step-{name}")


def go_on(page: Page, name: str) -> None:
    step(page, name).get_by_role("button", name="Continue").click()


def press(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True).click()


def run_to_the_end(page: Page, admin: Watched) -> FlowRun:
    """Press "Run now", and wait for the run's end on its page."""
    press(page, "Run now")
    page.wait_for_url("**/runs/*")
    expect(page.locator(".state-completed").first).to_be_visible(timeout=PATIENCE)
    with session.reading() as reading:
        return reading.get_one(FlowRun, uuid.UUID(page.url.rsplit("/", 1)[-1]))


def looks_sound(admin: Watched) -> None:
    assert admin.axe() == []
    assert admin.overflow() == 0


def test_everything_is_done_in_the_browser(admin: Watched, code: Path, home: Path, tmp_path: Path) -> None:
    queue = f"browser-{uuid.uuid4().hex[:8]}"
    page = admin.page
    with agent(admin.server.url, queue, home / queue):
        admin.open("/deployments")
        page.get_by_role("link", name="New deployment").click()
        page.wait_for_selector("#deployment-form[data-ready]")
        chooses_code(page, admin, code, queue)
        chooses_a_flow(page, admin)
        says_the_rest(page, admin, queue)
        press(page, "Save")
        expect(page.locator("h1")).to_have_text("Load orders/every-night")
        looks_sound(admin)
        is_what_was_asked_for(queue)
        run = run_to_the_end(page, admin)
        assert run.result == {"value": "orders 25 False"}
        next_run_takes_what_is_there_then(page, admin, code)
    gives_its_file(page, admin, tmp_path)


def chooses_code(page: Page, admin: Watched, code: Path, queue: str) -> None:
    press(page, "New… storage")
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Type").select_option("local-file-system")
    dialog.locator("input[name='root[basepath]']").fill(str(code))
    dialog.get_by_label("Name").fill(f"code-{queue}")
    page.select_option("#look-queue", queue)
    dialog.get_by_role("button", name="Save and use it").click()
    expect(page.locator("#browser")).to_contain_text("sales", timeout=PATIENCE)
    assert admin.axe() == []
    press(page, "sales")
    expect(page.locator(".files")).to_contain_text("README.md", timeout=PATIENCE)
    press(page, "etl")
    expect(page.locator(".crumbs")).to_have_text(re.compile("sales.*etl"), timeout=PATIENCE)
    press(page, "sales")  # by the breadcrumbs
    expect(page.locator(".files")).to_contain_text("README.md", timeout=PATIENCE)
    press(page, "etl")
    expect(page.locator(".files")).to_contain_text("flow.py", timeout=PATIENCE)
    press(page, "Look for flows in this folder")


def chooses_a_flow(page: Page, admin: Watched) -> None:
    flows = step(page, "flow")
    expect(flows).to_contain_text("Load a table into the warehouse.", timeout=PATIENCE)
    expect(flows).to_contain_text("Takes table, limit, dry_run")
    expect(page.locator("#import-errors")).to_contain_text("broken.py")
    expect(page.locator("#import-errors")).to_contain_text("nowhere")
    assert admin.axe() == []
    page.get_by_role("radio", name=re.compile("Load orders")).check()
    go_on(page, "flow")


def says_the_rest(page: Page, admin: Watched, queue: str) -> None:
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#description-text")).to_have_value("Load a table into the warehouse.")
    expect(page.locator("#version-text")).to_have_value("1.4")
    page.keyboard.type("every-night")
    page.fill("#tags", "sales, nightly")
    assert admin.axe() == []
    go_on(page, "about")
    page.fill("#queue", queue)
    page.select_option("#override-field", "env")
    press(page, "Add")
    page.locator("#override-fields").get_by_role("button", name=re.compile("Add")).click()
    page.fill("input[name='override[env][0][name]']", "STAGE")
    page.fill("input[name='override[env][0][value]']", "test")
    assert admin.axe() == []
    go_on(page, "place")
    page.fill("input[name='root[table]']", "orders")
    page.fill("input[name='root[limit]']", "25")
    assert admin.axe() == []
    go_on(page, "parameters")
    press(page, "Add a schedule")
    page.get_by_label("Cron line", exact=True).fill("30 2 * * *")
    step(page, "schedules").get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.locator(".schedule-preview")).to_contain_text("At 02:30")
    expect(page.locator(".schedule-preview time")).to_have_count(5)
    looks_sound(admin)


def is_what_was_asked_for(queue: str) -> None:
    made = found("Load orders/every-night")
    assert (made.entrypoint, made.storage_path, made.snapshot) == ("flow.py:load", "sales/etl", None)
    assert (made.version, made.tags, made.work_queue.name) == ("1.4", ["sales", "nightly"], queue)
    # What nobody chose follows the flow's own defaults.
    assert made.parameters == {"table": "orders", "limit": 25}
    assert made.infrastructure_overrides == {"env": {"STAGE": "test"}}
    (schedule,) = made.schedules
    assert (schedule.cron, schedule.timezone) == ("30 2 * * *", "Europe/Berlin")
    assert made.parameter_schema["required"] == ["table"]


def next_run_takes_what_is_there_then(page: Page, admin: Watched, code: Path) -> None:
    place = code / "sales" / "etl" / "flow.py"
    place.write_text(place.read_text().replace('return f"', 'return f"changed '))
    admin.open(f"/deployments/{found('Load orders/every-night').id}")
    expect(page.locator("#facts")).to_contain_text("Fetched for every run, as it is then")
    assert run_to_the_end(page, admin).result == {"value": "changed orders 25 False"}


def gives_its_file(page: Page, admin: Watched, folder: Path) -> None:
    made = found("Load orders/every-night")
    admin.open(f"/deployments/{made.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="deployment.yaml").click()
    assert download.value.suggested_filename == "every-night-deployment.yaml"
    download.value.save_as(folder / "deployment.yaml")
    (document,) = files.read(folder / "deployment.yaml")
    with session.transaction() as writing:
        applied = service.apply(writing, document.body(), WHO, now())
        assert (applied.created, applied.changes) == (False, [])


def test_code_in_s3_with_a_block_that_is_there(admin: Watched, home: Path) -> None:
    queue = f"bucket-{uuid.uuid4().hex[:8]}"
    page = admin.page
    with s3_server() as url, agent(admin.server.url, queue, home / queue):
        bucket = new_bucket(url)
        s3_client(url).put_object(Bucket=bucket, Key="jobs/only.py", Body=FLOW.split("@flow\n")[0].encode())
        login = {"access_key_id": KEYS["aws_access_key_id"], "secret_access_key": KEYS["aws_secret_access_key"]}
        save("s3", queue, bucket=bucket, endpoint_url=url, region="us-east-1", **login)
        admin.open("/deployments/new")
        page.wait_for_selector("#deployment-form[data-ready]")
        page.select_option("#storage", label=f"s3/{queue}")
        page.select_option("#look-queue", queue)
        press(page, "Browse")
        press(page, "jobs")
        press(page, "only.py")
        # A file with one flow: it is chosen already.
        expect(page.get_by_role("radio", name=re.compile("Load orders"))).to_be_checked(timeout=PATIENCE)
        go_on(page, "flow")
        page.fill("#name", queue)
        step(page, "place").locator(".step-head").click()
        page.fill("#queue", queue)
        step(page, "parameters").locator(".step-head").click()
        page.fill("input[name='root[table]']", "customers")
        press(page, "Save")
        expect(page.locator("h1")).to_have_text(f"Load orders/{queue}")
        assert run_to_the_end(page, admin).result == {"value": "customers 10 False"}


def test_without_an_agent_the_page_says_so_and_the_wait_can_be_ended(admin: Watched, code: Path) -> None:
    save("local-file-system", "nobody-looks", basepath=str(code))
    with session.transaction() as writing:
        work_queues.ensure(writing, "unserved", now())
    page = admin.open("/deployments/new")
    page.wait_for_selector("#deployment-form[data-ready]")
    page.select_option("#storage", label="local-file-system/nobody-looks")
    page.select_option("#look-queue", "unserved")
    press(page, "Browse")
    expect(page.locator("#looking")).to_contain_text(re.compile("Waiting for an agent.*No agent serves.*unserved"))
    assert admin.axe() == []
    press(page, "Stop")
    expect(page.locator("#looking")).to_contain_text("Stopped.")
    expect(step(page, "flow").locator(".step-head")).to_be_disabled()
    expect(page.locator("#save")).to_be_disabled()


@pytest.fixture
def made(code: Path) -> Iterator[uuid.UUID]:
    """A deployment with a bit of everything; it is gone after the test."""
    save("local-file-system", name := f"kept-{uuid.uuid4().hex[:8]}", basepath=str(code))
    save("secret", f"token-{name}", value="canary")
    save("webhook", name, url="https://hooks.example.com/in")
    document = {
        "flow": "Pack",
        "name": name,
        "entrypoint": "flow.py:pack",
        "description": "Packs.\n",
        "tags": ["a", "b"],
        "storage": {"block": f"local-file-system/{name}", "path": "sales", "snapshot": "f" * 64},
        "results": {"block": f"local-file-system/{name}", "path": "results"},
        "notifications": [{"block": f"webhook/{name}", "on": ["failed", "completed"]}],
        "infrastructure": {"overrides": {"env": {"STAGE": "{{ env.STAGE }}"}}},
        "crash_retries": 1,
        "concurrency_limit": 2,
        "collision": "cancel-new",
        "labels": ["gpu", "region=eu"],
        "parameters": {"table": f"{{{{ blocks.secret.token-{name} }}}}", "limit": "{{ env.LIMIT }}"},
        "parameter_schema": {
            "type": "object",
            "properties": {
                "table": {"type": "string", "title": "Table", "maxLength": 60},
                "limit": {"type": "integer", "title": "Limit", "default": 10, "maximum": 100},
                "mode": {"type": "string", "title": "Mode", "enum": ["fast", "safe"], "default": "safe"},
            },
            "required": ["table"],
        },
        "schedules": [
            {"slug": "often", "interval": 5400, "timezone": "Asia/Tokyo", "parameters": {"limit": 5}},
            {
                "slug": "rule", "rrule": "FREQ=WEEKLY;BYDAY=MO", "active": False, "anchor": "2026-01-31T09:00:00Z",
                "start": "2026-02-01T00:00:00Z", "end": "2036-02-01T00:00:00Z", "calendar": "weekdays",
                "skip_dates": ["12-25", "2027-05-14"], "jitter": 90, "catch_up": "6h", "overlap": "queue-one",
                "pause_on_failure": True, "note": "Ann looks after it",
            },
            {"slug": "cron", "cron": "30 2 1 * 1", "day_or": False},
        ],
    }  # fmt: skip
    with session.transaction() as writing:
        found = service.apply(writing, document, WHO, now()).deployment.id
    yield found
    with session.transaction() as writing:
        for item in service.listing(writing, service.DeploymentFilter(flow="Pack")).items:
            service.delete(writing, item.id, WHO, now())


def document_of(deployment_id: uuid.UUID) -> dict[str, Any]:
    with session.reading() as reading:
        return deployment_documents.of(reading, service.get(reading, deployment_id))


def opened(admin: Watched, path: str) -> Page:
    page = admin.open(path)
    page.wait_for_selector("#deployment-form[data-ready]")
    return page


def test_saving_what_nobody_touched_changes_nothing(admin: Watched, made: uuid.UUID) -> None:
    before = document_of(made)
    page = opened(admin, f"/deployments/{made}/edit")
    expect(page.locator("#code-now")).to_contain_text("a fixed copy")
    expect(page.locator("input[name='root[limit]']")).to_have_value("{{ env.LIMIT }}")
    looks_sound(admin)
    press(page, "Save")
    page.wait_for_url(f"**/deployments/{made}")
    assert document_of(made) == before


def test_a_deployment_is_changed(admin: Watched, made: uuid.UUID) -> None:
    before = document_of(made)
    page = opened(admin, f"/deployments/{made}/edit")
    page.fill("#tags", "b, c")
    page.fill("#queue", "afternoon")
    page.fill("#crash-retries", "2")
    page.fill("input[name='root[limit]']", "7")
    page.select_option("select[name='root[mode]']", "fast")
    press(page, "Remove schedule 2")
    press(page, "Leave Env to the block")
    page.select_option("#results", "")
    told = step(page, "told")
    told.get_by_label("Completed").uncheck()
    told.get_by_label("Cancelled").check()
    press(page, "Save")
    page.wait_for_url(f"**/deployments/{made}")
    after = document_of(made)
    assert after["tags"] == ["b", "c"]
    assert (after["work_queue"], after["infrastructure"]) == ("afternoon", None)
    assert after["parameters"] == {**before["parameters"], "limit": 7, "mode": "fast"}
    assert [item["slug"] for item in after["schedules"]] == ["cron", "rule"]
    assert after["storage"] == before["storage"]
    assert (before["crash_retries"], after["crash_retries"]) == (1, 2)
    limits = ("concurrency_limit", "collision", "labels")
    assert (
        [after[name] for name in limits] == [before[name] for name in limits] == [2, "cancel-new", ["gpu", "region=eu"]]
    )
    expect(page.locator("#facts")).to_contain_text("Crash retries")
    assert after["results"] is None
    assert after["notifications"] == [{**before["notifications"][0], "on": ["failed", "cancelled"]}]
    looked_up = page.locator("#looked-up")
    expect(looked_up.get_by_role("link")).to_have_text(re.compile("^blocks.secret.token-"))
    expect(looked_up).to_contain_text("parameters.table")


def test_what_does_not_fit_is_told_beside_its_field_and_all_else_stays(admin: Watched, made: uuid.UUID) -> None:
    admin.expected = ("422",)
    page = opened(admin, f"/deployments/{made}/edit")
    page.fill("#description-text", "New words.")
    page.fill("input[name='root[limit]']", "1000")
    page.get_by_label("Cron line", exact=True).fill("30 2 * *")
    expect(page.locator(".schedule-preview.wrong")).to_be_visible()
    step(page, "parameters").locator(".step-head").click()
    press(page, "Save")
    summary = page.locator("[data-summary]")
    expect(summary).to_contain_text("It was not saved.")
    page.get_by_label("Cron line", exact=True).fill("30 2 * * *")
    press(page, "Save")
    limit = page.locator("input[name='root[limit]']")
    expect(limit).to_have_attribute("aria-invalid", "true")
    expect(limit).to_be_visible()
    expect(limit).to_be_focused()
    assert admin.axe() == []
    limit.fill("{{ variables.nobody_set_this }}")
    press(page, "Save")
    expect(page.locator("#step-parameters .invalid-feedback")).to_contain_text("There is no variable nobody_set_this")
    limit.fill("{{ env.LIMIT }}")
    press(page, "Save")
    page.wait_for_url(f"**/deployments/{made}")
    assert document_of(made)["description"] == "New words."
    assert {"cron": "30 2 * * *"}.items() <= document_of(made)["schedules"][0].items()


def test_what_somebody_else_changed_is_not_overwritten(admin: Watched, made: uuid.UUID) -> None:
    admin.expected = ("409",)
    page = opened(admin, f"/deployments/{made}/edit")
    page.fill("#description-text", "Mine.")
    with session.transaction() as writing:
        service.change(writing, made, {"tags": ["theirs"]}, WHO, now())
    press(page, "Save")
    expect(page.locator("[data-summary]")).to_contain_text("Somebody changed this deployment")
    expect(page.locator("#description-text")).to_have_value("Mine.")
    assert document_of(made)["tags"] == ["theirs"]


def test_a_duplicate_has_another_name(admin: Watched, made: uuid.UUID) -> None:
    admin.expected = ("422",)
    before = document_of(made)
    page = admin.open(f"/deployments/{made}")
    page.get_by_role("link", name="Duplicate").click()
    page.wait_for_selector("#deployment-form[data-ready]")
    expect(page.locator("#name")).to_have_value(f"{before['name']}-copy")
    page.fill("#name", before["name"])
    press(page, "Save")
    expect(page.locator("#name")).to_have_attribute("aria-invalid", "true")
    expect(step(page, "about")).to_contain_text("choose another name")
    page.fill("#name", "second")
    press(page, "Save")
    expect(page.locator("h1")).to_have_text("Pack/second")
    assert document_of(found("Pack/second").id) == {**before, "name": "second"}
    assert document_of(made) == before


def test_the_page_tells_why_no_run_starts(admin: Watched, made: uuid.UUID) -> None:
    block = found(f"Pack/{document_of(made)['name']}").storage_block_id
    assert block is not None
    with session.transaction() as writing:
        block_removal.delete(writing, block, WHO, now(), force=True)
    page = admin.open(f"/deployments/{made}")
    expect(page.locator("#not-ready")).to_contain_text("was deleted")
    page.get_by_role("link", name="Edit").click()
    page.wait_for_selector("#deployment-form[data-ready]")
    expect(page.locator(".verdict")).to_contain_text("was deleted")


def test_viewers_change_nothing_but_may_keep_the_file(chromium: Browser, admin: Watched, made: uuid.UUID) -> None:
    context = profile(chromium)
    page = context.new_page()
    page.goto(admin.server.login_url("viewer"))
    page.goto(f"{admin.server.url}/deployments/{made}")
    expect(page.get_by_role("link", name="deployment.yaml")).to_be_visible()
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    for path in ("/deployments/new", f"/deployments/{made}/edit", f"/deployments/{made}/duplicate"):
        answer = page.goto(admin.server.url + path)
        assert answer is not None
        assert answer.status == 403
    context.close()
