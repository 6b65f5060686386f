"""What people do with blocks: find a type, fill in its form, choose and make others in place, change, delete."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.clock import now
from orchestrator.kinds import block_kinds
from orchestrator.kinds.kind_facts import Installed
from orchestrator.server.db import session
from orchestrator.server.db.models import Deployment, FlowRun
from orchestrator.server.services.configuring import block_types
from orchestrator.server.services.configuring import blocks as service
from orchestrator.server.services.mapping import discovery
from orchestrator.states import DISPLAY_NAMES, TERMINAL, StateType

from .blocks import CANARY, WHO
from .conftest import Watched, profile, watched


def saved(ref: str) -> dict[str, Any]:
    """A document's values with secrets in clear."""
    with session.transaction() as writing:
        return dict(service.load(writing, ref, WHO, now())["data"])


def make(slug: str, name: str, **data: Any) -> uuid.UUID:
    with session.transaction() as writing:
        return service.create(writing, slug, data, name=name, actor=WHO, now=now()).id


def field(page: Page, name: str, tag: str = "input") -> Any:
    return page.locator(f"#fields {tag}[name='root[{name}]']")


@pytest.fixture
def viewer(chromium: Browser, admin: Watched) -> Iterator[Watched]:
    context = profile(chromium)
    made = watched(context, admin.server)
    one = next(made)
    one.page.goto(admin.server.login_url("viewer"))
    yield one
    next(made, None)
    context.close()


def test_the_catalogue_is_searched_while_one_types(admin: Watched) -> None:
    page = admin.open("/blocks/catalogue")
    expect(page.locator("#type-s3")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("team warehouse")
    expect(page.locator(".type-card")).to_have_count(1)
    expect(page.locator("#type-team-warehouse")).to_be_visible()
    expect(page).to_have_url(re.compile("catalogue.q=team(%20|[+])warehouse&interface=$"))
    page.fill("[data-search]", "")
    page.select_option("select[name=interface]", "file-system")
    expect(page.locator("#type-team-warehouse")).to_have_count(0)
    expect(page.locator("#type-s3")).to_be_visible()
    page.click("#type-s3 h3 a")
    expect(page.locator("h1")).to_have_text("New S3")


def test_broken_types_have_cards_and_hide_no_other(admin: Watched) -> None:
    with session.transaction() as writing:
        broken = Installed(broken={"ghost": "No module named 'no_such_package'"})
        assert block_types.register_installed(writing, broken) == []
    page = admin.open("/blocks/catalogue")
    expect(page.locator("#type-odd-type h3")).to_have_text("Odd <b>type</b>")
    expect(page.locator("#type-bare-type h3")).to_have_text("bare-type")
    expect(page.locator("#shelf-time-machine h2")).to_have_text("Time machine")
    expect(page.locator("#type-s3")).to_be_visible()
    ghost = page.locator("#type-ghost")
    expect(ghost).to_contain_text("Cannot be used here.")
    expect(ghost).to_contain_text("No module named 'no_such_package'")
    expect(page.locator("#type-cloud-warehouse")).to_contain_text("untested here")
    assert admin.axe() == []
    assert page.locator("[src^='javascript'], [href^='javascript']").count() == 0


def test_the_keyboard_goes_to_blocks_and_saves_one(admin: Watched) -> None:
    page = admin.open("/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/blocks")
    admin.open("/blocks/new/secret")
    page.wait_for_selector("#fields[data-ready]")
    page.focus("#name")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type("open sesame")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("secret/by-keyboard")
    assert saved("secret/by-keyboard") == {"value": "open sesame"}
    assert "open sesame" not in page.content()


def test_a_block_is_made_with_another_made_in_place(admin: Watched) -> None:
    page = admin.open("/blocks/new/team-warehouse")
    page.wait_for_selector("#fields[data-ready]")
    page.fill("#name", "marts")
    field(page, "host").fill("db")
    field(page, "port").fill("70000")
    page.get_by_role("button", name="Save", exact=True).click()
    host = field(page, "host")
    expect(host).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{host.get_attribute('aria-describedby')}")).to_have_text("Must have at least 3 characters.")
    expect(page.locator("[id='error-fields-port']")).to_have_text("Must be at most 65535.")
    expect(page.locator("[id='error-fields-credentials']")).to_have_text("Choose a block, or make one.")
    assert admin.axe() == []
    host.fill("db.internal")
    field(page, "port").fill("")
    page.get_by_role("button", name="New… block for Credentials").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Type").select_option("team-vault")
    expect(dialog.locator("h2")).to_have_text("New Team vault")
    login = dialog.locator("input[name='root[login]']")
    login.fill("reader")
    dialog.get_by_role("button", name="Save and use it").click()
    expect(dialog.locator("[data-summary]")).to_contain_text("It was not saved.")
    assert admin.axe() == []
    dialog.locator("[data-field=name] input").fill("reader")
    dialog.locator("input[name='root[password]']").fill("a-new-secret")
    dialog.get_by_role("button", name="Save and use it").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(host).to_have_value("db.internal")
    chosen = field(page, "credentials", "select")
    expect(chosen.locator("option:checked")).to_have_text("team-vault/reader")
    expect(chosen).to_be_focused()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("team-warehouse/marts")
    expect(page.locator("#value-credentials")).to_have_text("team-vault/reader")
    data = saved("team-warehouse/marts")
    assert data["host"] == "db.internal"
    assert "port" not in data
    assert data["credentials"]["data"] == {"login": "reader", "password": "a-new-secret"}
    assert data["security"] == "tls"
    assert "bastion" not in data
    assert data["read_only"] is True


def test_every_shipped_type_has_a_form_with_all_its_fields(admin: Watched) -> None:
    for slug in sorted(block_kinds.installed()):
        page = admin.open(f"/blocks/new/{slug}")
        page.wait_for_selector("#fields[data-ready]")
        drawn = set(
            page.eval_on_selector_all("#fields [data-schemapath]", "all => all.map(one => one.dataset.schemapath)")
        )
        wanted = {f"root.{name}" for name in block_kinds.find(slug).type_facts()["schema"].get("properties", {})}
        assert wanted <= drawn, slug
        unnamed = (
            page.locator("#fields")
            .locator("input:not([type=hidden]), select, textarea")
            .evaluate_all(
                "all => all.filter(one => !one.labels?.length && !one.getAttribute('aria-label')).map(one => one.name)"
            )
        )
        assert not unnamed, slug


def test_fields_are_shown_only_where_they_matter(admin: Watched) -> None:
    page = admin.open("/blocks/new/team-warehouse")
    page.wait_for_selector("#fields[data-ready]")
    expect(field(page, "certificate", "textarea")).to_be_visible()
    expect(field(page, "bastion")).to_be_hidden()
    field(page, "security", "select").select_option("ssh-tunnel")
    expect(field(page, "bastion")).to_be_visible()
    expect(field(page, "certificate", "textarea")).to_be_hidden()
    order = page.eval_on_selector_all(
        "#fields [data-schemapath]", "all => all.map(one => one.dataset.schemapath.split('.')[1])"
    )
    assert [name for name in order if name][:4] == ["host", "port", "credentials", "landing"]
    field(page, "host").fill("unsaved")
    page.evaluate("window.addEventListener('beforeunload', event => event.stopImmediatePropagation(), true)")


def test_lists_maps_and_json_are_read_as_they_are_drawn(admin: Watched) -> None:
    page = admin.open(f"/blocks/{admin.server.seeded.blocks['reports']}/edit")
    page.wait_for_selector("#fields[data-ready]")
    page.get_by_role("button", name="Add item").click()
    page.get_by_label("Schemas 3").fill("staging")
    page.get_by_role("button", name="Add entry").click()
    page.get_by_label("Options Name 2").fill("sslmode")
    page.get_by_label("Options Value 2").fill("require")
    extra = field(page, "extra", "textarea")
    extra.fill("{nothing")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[id='error-fields-extra']")).to_contain_text("This is no JSON")
    expect(extra).to_be_focused()
    extra.fill('{"a": [1, 2]}')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("team-warehouse/reports")
    data = saved("team-warehouse/reports")
    assert data["schemas"] == ["public", "marts", "staging"]
    assert data["options"] == {"application_name": "orchestrator", "sslmode": "require"}
    assert data["extra"] == {"a": [1, 2]}
    assert data["port"] == 5439
    assert data["token"] == CANARY  # nobody touched it


def test_a_secret_is_kept_replaced_or_removed_and_never_shown(admin: Watched) -> None:
    vault = str(make("team-vault", "rotating", login="me", password="first"))
    ref = make("team-warehouse", "keeping", host="host", credentials={"$block": vault}, token="first")
    page = admin.open(f"/blocks/{ref}/edit")
    page.wait_for_selector("#fields[data-ready]")
    token = field(page, "token")
    expect(token).to_have_value("")
    expect(token).to_have_attribute("placeholder", "Saved. Type to replace it.")
    assert "first" not in page.content()
    token.fill("second")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#value-token")).to_contain_text("••••••••")
    assert saved(f"{ref}")["token"] == "second"
    admin.open(f"/blocks/{ref}/edit")
    page.get_by_role("button", name="Remove it: Token").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#value-token")).to_have_text("–")
    assert saved(f"{ref}")["token"] is None


def test_what_the_server_refuses_stands_beside_the_field_and_nothing_is_lost(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open("/blocks/new/team-warehouse")
    page.wait_for_selector("#fields[data-ready]")
    page.fill("#name", "reports")
    field(page, "host").fill("db.internal")
    field(page, "token").fill("typed-once")
    field(page, "timeout").fill("7")
    field(page, "credentials", "select").select_option(label="team-vault/machine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#name-error")).to_contain_text("There is a block team-warehouse/reports already")
    page.fill("#name", "reports-2")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[id='error-fields-timeout']")).to_have_text("Does not fit: multipleOf 5.")
    expect(field(page, "timeout")).to_be_focused()
    expect(field(page, "token")).to_have_value("typed-once")
    field(page, "timeout").fill("10")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("team-warehouse/reports-2")
    assert saved("team-warehouse/reports-2")["token"] == "typed-once"


def test_two_people_do_not_overwrite_each_other(admin: Watched) -> None:
    admin.expected = ("409",)
    ref = make("s3", "shared", bucket="one-bucket")
    page = admin.open(f"/blocks/{ref}/edit")
    page.wait_for_selector("#fields[data-ready]")
    with session.transaction() as writing:
        service.update(writing, ref, {"bucket": "another"}, actor=WHO, now=now())
    field(page, "bucket").fill("mine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody changed this block meanwhile")
    assert saved(str(ref))["bucket"] == "another"
    page.evaluate("window.addEventListener('beforeunload', event => event.stopImmediatePropagation(), true)")


def test_filters_of_the_list(admin: Watched) -> None:
    page = admin.open("/blocks")
    page.select_option("select[name=interface]", "credentials")
    page.wait_for_url("**/blocks?q=&interface=credentials&type=")
    expect(page.locator("#list")).to_contain_text("team-vault/machine")
    expect(page.locator("#list")).not_to_contain_text("s3/dev")
    admin.open("/blocks?type=s3&q=DE")
    expect(page.locator("#list")).to_contain_text("s3/dev")


def test_a_document_tells_how_to_use_it(admin: Watched) -> None:
    page = admin.open(f"/blocks/{admin.server.seeded.blocks['dev']}")
    expect(page.locator("#same")).to_contain_text('S3.load("dev")')
    expect(page.locator("#same")).to_contain_text("orchestrator block inspect s3/dev")
    expect(page.locator("#users")).to_contain_text("flights/delays-nightly")
    expect(page.locator("#users")).to_contain_text("team-warehouse/reports")
    expect(page.locator("#events")).to_contain_text("block.created")


def test_deleting_asks_first(admin: Watched) -> None:
    ref = make("json", "short-lived", value=1)
    page = admin.open(f"/blocks/{ref}")
    page.get_by_role("button", name="Delete…").click()
    dialog = page.locator("#delete")
    expect(dialog).to_contain_text("Nothing refers to it")
    assert admin.axe() == []
    dialog.get_by_role("button", name="No, leave it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/blocks")
    expect(page.get_by_role("alert")).to_contain_text("Deleted json/short-lived")


def test_secrets_are_rotated_by_themselves(admin: Watched) -> None:
    ref = make("team-vault", "to-rotate", login="loader", password="the-old-one")
    page = admin.open(f"/blocks/{ref}")
    page.get_by_role("button", name="Rotate…").click()
    dialog = page.locator("#rotate")
    expect(dialog.locator("[data-schemapath='root.password'] input")).to_have_attribute(
        "placeholder", "Saved. Type to replace it."
    )
    expect(dialog.locator("[data-schemapath='root.login']")).to_have_count(0)
    assert admin.axe() == []
    dialog.get_by_role("button", name="Rotate").click()
    expect(dialog).to_contain_text("give at least one new secret")
    dialog.locator("input[type=password]").fill("thrown-away")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Rotate…").click()
    expect(dialog.locator("input[type=password]")).to_have_value("")
    dialog.locator("input[type=password]").fill("the-new-one")
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_role("alert").first).to_contain_text("Rotated the secrets of team-vault/to-rotate")
    assert saved(str(ref)) == {"login": "loader", "password": "the-new-one"}
    expect(page.locator("#history")).to_contain_text("admin of the tests rotated it")
    assert "the-new-one" not in page.content()


def test_what_belongs_to_a_secret_is_rotated_with_it(admin: Watched) -> None:
    ref = make("s3", "keyed", bucket="a-bucket", access_key_id="old-id", secret_access_key="the-old-one")
    page = admin.open(f"/blocks/{ref}")
    page.get_by_role("button", name="Rotate…").click()
    dialog = page.locator("#rotate")
    identifier = dialog.locator("[data-schemapath='root.access_key_id'] input")
    expect(identifier).to_have_value("old-id")
    expect(dialog.locator("[data-schemapath='root.bucket']")).to_have_count(0)
    identifier.fill("new-id")
    dialog.locator("[data-schemapath='root.secret_access_key'] input[type=password]").fill("the-new-one")
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_role("alert").first).to_contain_text("Rotated the secrets of s3/keyed")
    found = saved(str(ref))
    assert (found["access_key_id"], found["secret_access_key"], found["bucket"]) == (
        "new-id",
        "the-new-one",
        "a-bucket",
    )


def test_pages_tell_where_large_results_lie(admin: Watched) -> None:
    ref = make("local-file-system", "large-results", basepath="/srv/results")
    run_id = admin.server.seeded.runs["done"]
    deployment_id = admin.server.seeded.deployments["delays-hourly"]
    with session.transaction() as writing:
        run = writing.get_one(FlowRun, run_id)
        before, run.result = run.result, {"block": str(ref), "path": f"kept/{run_id}-1.json", "size": 34_567}
        writing.get_one(Deployment, deployment_id).results_block_id = ref
    page = admin.open(f"/runs/{run_id}?tab=inputs")
    shown = page.locator("#inputs")
    expect(shown.get_by_role("link", name="local-file-system/large-results")).to_be_visible()
    for text in (f"kept/{run_id}-1.json", "33.8 KiB", f"orchestrator flow-run result {run_id}"):
        expect(shown).to_contain_text(text)
    assert admin.axe() == []
    page = admin.open(f"/deployments/{deployment_id}")
    expect(page.locator("#facts").get_by_role("link", name="local-file-system/large-results")).to_be_visible()
    page = admin.open(f"/blocks/{ref}")
    expect(page.locator("main")).to_contain_text("large results of its runs lie there")
    with session.transaction() as writing:
        writing.get_one(FlowRun, run_id).result = before
        writing.get_one(Deployment, deployment_id).results_block_id = None


def test_the_form_of_a_deployment_keeps_where_its_results_go(admin: Watched) -> None:
    ref = make("local-file-system", "kept-results", basepath="/srv/results")
    deployment_id = admin.server.seeded.deployments["delays-hourly"]
    with session.transaction() as writing:
        found = writing.get_one(Deployment, deployment_id)
        found.results_block_id, found.results_path = ref, "kept"
    page = admin.open(f"/deployments/{deployment_id}/edit")
    page.locator("#description-text").fill("Changed in the browser.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#facts").get_by_role("link", name="local-file-system/kept-results")).to_be_visible()
    with session.transaction() as writing:
        found = writing.get_one(Deployment, deployment_id)
        assert (found.description, found.results_block_id, found.results_path) == (
            "Changed in the browser.",
            ref,
            "kept",
        )
        found.results_block_id, found.results_path = None, ""


def test_the_history_tells_what_changed(admin: Watched) -> None:
    ref = make("s3", "changing", bucket="first-bucket")
    with session.transaction() as writing:
        service.update(writing, ref, {"bucket": "second-bucket"}, actor=WHO, now=now())
    page = admin.open(f"/blocks/{ref}")
    expect(page.locator("#history del")).to_have_text('"first-bucket"')
    expect(page.locator("#history ins")).to_have_text('"second-bucket"')
    expect(page.locator("#history")).to_contain_text("maria@team.example updated it")


def test_a_used_block_is_deleted_only_when_one_says_so(admin: Watched) -> None:
    vault = make("team-vault", "in-use", login="me", password="secret")
    holder = make("team-warehouse", "holder", host="host", credentials={"$block": str(vault)})
    page = admin.open(f"/blocks/{vault}")
    page.get_by_role("button", name="Delete…").click()
    dialog = page.locator("#delete")
    expect(dialog).to_contain_text("block team-warehouse/holder")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_be_visible()  # the box must be ticked
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/blocks")
    admin.open(f"/blocks/{holder}")
    expect(page.locator("#value-credentials")).to_have_text("–")


def move(run_id: uuid.UUID, kind: StateType, message: str = "", value: Any = None) -> None:
    """What an agent would report of an errand."""
    with session.transaction() as writing:
        run = writing.get_one(FlowRun, run_id)
        run.state_type, run.state_name, run.state_message = kind.value, DISPLAY_NAMES[kind], message
        run.state_at, run.result = now(), {"value": value}
        run.started, run.ended = now(), now() if kind in TERMINAL else None


def errand_of(page: Page) -> uuid.UUID:
    link = page.locator("#errand a").get_attribute("href") or ""
    return uuid.UUID(link.rsplit("/", 1)[-1])


def test_a_test_tells_how_it_goes(admin: Watched) -> None:
    page = admin.open(f"/blocks/{admin.server.seeded.blocks['code']}")
    page.select_option("#try-queue", "gpu")
    page.get_by_role("button", name="Test").click()
    expect(page.locator("#errand")).to_contain_text("Waiting for an agent No agent serves work queue gpu")
    assert admin.axe() == []
    run_id = errand_of(page)
    move(run_id, StateType.RUNNING)
    expect(page.locator("#errand")).to_contain_text("Testing… An agent is at it.")
    move(run_id, StateType.COMPLETED, value="/srv/flows has 12 files.")
    expect(page.locator("#errand")).to_contain_text("It works. /srv/flows has 12 files.")
    page.select_option("#try-queue", "default")
    page.get_by_role("button", name="Test").click()
    expect(page.locator("#errand")).not_to_contain_text("It works")
    move(errand_of(page), StateType.FAILED, "there is no folder /srv/flows: make it on the agent")
    expect(page.locator("#errand")).to_contain_text("It does not work. there is no folder /srv/flows")
    with page.expect_response(lambda answer: answer.request.url == page.url):
        pass  # the page's own refresh leaves the verdict where it is
    expect(page.locator("#errand")).to_contain_text("It does not work.")


def test_discovery_is_set_and_asked_for(admin: Watched) -> None:
    ref = admin.server.seeded.blocks["reports"]
    page = admin.open(f"/blocks/{ref}")
    part = page.locator("#discovery")
    expect(part).to_contain_text("found 24 resources")
    expect(part).to_contain_text("marts.orders")
    expect(part).to_contain_text("and 20 more")
    part.get_by_label("every").select_option("900")
    expect(page.locator("#toasts")).to_contain_text("Looked through every 15 minutes, on the queue default")
    part.get_by_label("on queue").select_option("heavy")
    expect(page.locator("#toasts")).to_contain_text("on the queue heavy")
    part.get_by_role("switch").click()
    expect(part.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    expect(part).to_contain_text("off: only when somebody asks")
    with session.reading() as reading:
        standing = discovery.get(reading, ref, now())
    assert (standing.row.active, standing.row.interval_s, standing.work_queue) == (False, 900, "heavy")
    part.get_by_role("button", name="Discover now").click()
    expect(page.locator("#look")).to_contain_text("Waiting for an agent")
    assert admin.axe() == []
    link = page.locator("#look a").get_attribute("href") or ""
    move(uuid.UUID(link.rsplit("/", 1)[-1]), StateType.COMPLETED, value={"resources": 25, "events": 1, "notice": ""})
    expect(page.locator("#look")).to_contain_text("Looked through it. events: 1, resources: 25")


def test_a_viewer_reads_and_changes_nothing(viewer: Watched) -> None:
    viewer.expected = ("403",)
    ref = viewer.server.seeded.blocks["reports"]
    page = viewer.open(f"/blocks/{ref}")
    expect(page.locator("#value-token")).to_contain_text("secret")
    assert page.get_by_role("link", name="Edit").count() == 0
    assert page.get_by_role("button", name="Delete…").count() == 0
    token = page.get_attribute("meta[name=csrf-token]", "content") or ""
    for path in (
        f"/blocks/{ref}/edit",
        f"/blocks/{ref}/delete",
        f"/blocks/{ref}/test",
        f"/blocks/{ref}/rotate",
        "/blocks/new/secret",
    ):
        answer = page.request.post(f"{viewer.server.url}{path}", form={"csrf": token, "name": "x", "data": "{}"})
        assert answer.status == 403, path
    viewer.open("/blocks/new/secret")
    expect(page.locator("h1")).to_have_text("Not with this key")


def test_no_page_holds_a_secret(admin: Watched) -> None:
    seeded = admin.server.seeded.blocks
    paths = ["/blocks", "/blocks/catalogue", "/blocks/choices?of=*"]
    paths += [f"/blocks/{ref}{tail}" for ref in seeded.values() for tail in ("", "/edit")]
    for path in paths:
        answer = admin.page.request.get(admin.server.url + path)
        assert answer.status == 200, path
        assert CANARY not in answer.text(), path
