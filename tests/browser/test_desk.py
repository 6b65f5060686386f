"""The desk in the browser: sentences with their signs, runs with saved forms, watching and being told."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Watched
from .test_pages import address


def test_the_desk_says_in_sentences_what_needs_a_look_first(admin: Watched) -> None:
    page = admin.open("/desk")
    signs = page.locator("#list .desk > .state").all_inner_texts()
    assert len(signs) == 7
    assert signs[0] == "Failing"
    assert set(signs) >= {"Failing", "Fresh"}
    held = page.locator("#list .desk", has_text="invoices/extract")
    expect(held).to_contain_text("held: row counts are off by half")


def test_one_watches_and_lets_go(admin: Watched) -> None:
    page = admin.open("/resource?id=s3://flights-dev/raw/weather.csv")
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#toasts")).to_contain_text("is on your desk")
    page = admin.open("/desk")
    row = page.locator("#list .desk", has_text="raw/weather.csv")
    expect(row).to_contain_text("changed")
    row.get_by_role("button", name="off my desk").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Watch something").click()
    page.fill("#watch-resource", "s3://not/known")
    page.get_by_role("button", name="Watch this resource").click()
    expect(page.locator("#list .desk", has_text="not seen yet")).to_have_count(1)
    page.get_by_role("button", name="Take s3://not/known off my desk").click()
    expect(page.locator("#list .desk", has_text="not seen yet")).to_have_count(0)


def test_a_notifier_tells_until_it_is_to_tell_no_more(admin: Watched) -> None:
    page = admin.open("/desk")
    row = page.locator("#list .desk", has_text="marts.revenue")
    row.locator("summary").click()
    row.locator(".desk-tellers button").first.click()
    expect(row).to_contain_text("tells you when it fails or is late")
    row.get_by_role("button", name="Tell no more").click()
    expect(row.locator("summary")).to_be_visible()


def test_a_saved_form_is_kept_and_run(admin: Watched) -> None:
    page = admin.open(address("/deployments/{delays-nightly}/run?form=Berlin", admin))
    expect(page.locator("input[name='root[airport]']")).to_have_value("BER")
    page.fill("#keep-as", "Hamburg")
    page.fill("input[name='root[airport]']", "HAM")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("#verdict")).to_be_visible()
    page = admin.open("/desk")
    page.get_by_role("button", name="with the saved form Hamburg").click()
    page.wait_for_url("**/runs/*")
    page = admin.open(page.url.removeprefix(admin.server.url) + "?tab=inputs")
    expect(page.locator("#content")).to_contain_text("HAM")
