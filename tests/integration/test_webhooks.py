"""Webhooks: made and changed by REST, delivered to, kept, rendered anew."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from orchestrator import settings as settings_table
from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.app import create_app
from orchestrator.server.db.models import Webhook, WebhookDelivery
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.loops import retention
from orchestrator.server.services.configuring import secret_keys
from orchestrator.server.services.identity import secrets
from orchestrator.server.services.receiving import deliveries, sns, webhooks
from orchestrator.server.services.receiving.incoming import BODY_MAX
from orchestrator.server.webhook_presets import PRESETS

from ..api import ClientAs

STATIC = '{"event": "it.happened", "resource": {"resource.id": "a"}, "payload": {"body": {{ body|tojson }}}}'
Made = tuple[dict[str, Any], str]


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


@pytest.fixture
def make(editor: FlaskClient) -> Callable[..., Made]:
    """Makes a webhook; gives it with the path of its address."""

    def made(name: str = "hook", **more: Any) -> Made:
        answer = editor.post("/api/v1/webhooks", json={"name": name, **more})
        assert answer.status_code == 201, answer.json
        return answer.json["webhook"], urlsplit(answer.json["url"]).path

    return made


@pytest.fixture
def outside(app: Flask) -> FlaskClient:
    """Somebody without a key."""
    return app.test_client()


def events_of(editor: FlaskClient, name: str) -> list[dict[str, Any]]:
    return list(editor.get(f"/api/v1/events?event={name}").json["items"])


def deliveries_of(editor: FlaskClient, name: str = "hook") -> list[dict[str, Any]]:
    return list(editor.get(f"/api/v1/webhooks/{name}/deliveries").json["items"])


def test_a_webhook_is_made_changed_rotated_deleted(editor: FlaskClient, outside: FlaskClient) -> None:
    made = editor.post("/api/v1/webhooks", json={"name": "hook", "preset": "github", "secret": "s3cret"}).json
    hook, path = made["webhook"], urlsplit(made["url"]).path
    assert made["url"].startswith("http://localhost/hooks/")
    assert path.endswith(hook["address_end"])
    assert hook["signature"] == {"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256="}
    assert "s3cret" not in json.dumps(editor.get("/api/v1/webhooks/hook").json)
    changed = editor.patch("/api/v1/webhooks/hook", json={"template": STATIC, "signature": None, "minute_max": 5}).json
    assert (changed["template"], changed["signature"], changed["minute_max"]) == (STATIC, None, 5)
    assert outside.post(path, json={}).status_code == 204
    rotated = editor.post("/api/v1/webhooks/hook/rotate").json
    assert outside.post(path, json={}).status_code == 404
    assert outside.post(urlsplit(rotated["url"]).path, json={}).status_code == 204
    assert editor.patch(f"/api/v1/webhooks/{hook['id']}", json={"active": False}).json["active"] is False
    assert outside.post(urlsplit(rotated["url"]).path, json={}).status_code == 404
    assert [item["name"] for item in editor.get("/api/v1/webhooks?active=false&preset=github").json["items"]] == [
        "hook"
    ]
    assert editor.delete("/api/v1/webhooks/hook").status_code == 204
    assert editor.get("/api/v1/webhooks/hook").status_code == 404
    told = [item["event"].partition(".")[2] for item in events_of(editor, "webhook.*")]
    assert told == ["deleted", "updated", "rotated", "updated", "created"]
    assert "s3cret" not in json.dumps(events_of(editor, "webhook.*"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a/b"}, "name"),
    ({"name": "a", "preset": "none"}, "preset"),
    ({"name": "a", "template": "{{ body"}, "template"),
    ({"name": "a", "template": "  "}, "template"),
    ({"name": "a", "signature": {"scheme": "hmac-sha256", "header": "X-S"}}, "secret"),
    ({"name": "a", "signature": {"scheme": "hmac-sha256"}, "secret": "x"}, "signature"),
    ({"name": "a", "signature": None, "secret": "x"}, "signature"),
    ({"name": "a", "minute_max": 0}, "minute_max"),
    ({"name": "a", "token": "mine"}, "token"),
]


def test_what_cannot_be_is_refused_by_field(editor: FlaskClient) -> None:
    for document, field in WRONG:
        answer = editor.post("/api/v1/webhooks", json=document)
        assert (answer.status_code, list(answer.json["errors"])) == (422, [field]), document


def test_names_are_taken_once(editor: FlaskClient, make: Callable[..., Made]) -> None:
    make("one")
    make("two")
    assert editor.post("/api/v1/webhooks", json={"name": "one"}).status_code == 409
    assert editor.patch("/api/v1/webhooks/two", json={"name": "one"}).status_code == 409
    assert editor.patch("/api/v1/webhooks/two", json={"name": "two"}).status_code == 200


def test_viewers_read_and_nobody_else_writes(client_as: ClientAs, make: Callable[..., Made]) -> None:
    make()
    viewer, agent = client_as("viewer"), client_as("agent")
    assert viewer.get("/api/v1/webhooks").json["items"][0]["name"] == "hook"
    assert viewer.get("/api/v1/webhooks/hook/deliveries").status_code == 200
    for client in (viewer, agent):
        assert client.post("/api/v1/webhooks", json={"name": "x"}).status_code == 403
        assert client.post("/api/v1/webhooks/hook/rotate").status_code == 403
        assert client.post("/api/v1/webhooks/hook/render", json={}).status_code == 403
    assert agent.get("/api/v1/webhooks").status_code == 403


def test_a_delivery_of_each_preset_becomes_its_events(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    for slug, preset in PRESETS.items():
        example = preset.example
        hook, path = make(slug, preset=slug, signature=None)
        said = outside.post(path, data=example.data(), headers=example.headers, content_type=example.content_type)
        assert said.status_code == 204, (slug, said.json)
        [kept] = deliveries_of(editor, slug)
        assert kept["outcome"] == "accepted"
        assert kept["events"]
        for identifier in kept["events"]:
            related = editor.get(f"/api/v1/events/{identifier}").json["related"]
            roles = {entry["resource.id"]: entry["resource.role"] for entry in related}
            assert roles[f"orchestrator.webhook.{hook['id']}"] == "webhook"


def test_what_is_sent_again_is_one_event(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    told = '"id": "{{ body.id }}", "occurred": "{{ body.at }}"'
    _, path = make(template=f'{{{told}, "event": "x.y", "resource": {{"resource.id": "a"}}}}')
    at = (now() - timedelta(hours=2)).isoformat()
    for _ in range(2):
        assert outside.post(path, json={"id": "7", "at": at}).status_code == 204
    assert outside.post(path, json={"id": "8", "at": at}).status_code == 204
    assert len(events_of(editor, "x.y")) == 2
    old = {"id": "7", "at": "1999-01-01T00:00:00Z"}
    assert outside.post(path, json=old).status_code == 204
    assert events_of(editor, "x.y")[0]["occurred"].startswith("1999")


def test_the_ways_to_send(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    template = (
        '{"event": "x.y", "resource": {"resource.id": "a"}, "payload": {"method": "{{ method }}", "query":'
        ' {{ query|tojson }}, "body": {{ body|tojson }}, "kind": "{{ headers["Content-Type"]|default("") }}"}}'
    )
    _, path = make(template=template)
    outside.get(f"{path}?a=1&b=2&b=3&token=hidden")
    outside.put(path, json=[1, {"x": None}])
    outside.post(path, data={"f": "1", "g": ["2", "3"]})
    outside.post(path, data="just \x00 text é".encode(), content_type="text/plain")
    outside.post(path, data='{"almost": ', content_type="application/json")
    payloads = [event["payload"] for event in reversed(events_of(editor, "x.y"))]
    assert (payloads[0]["method"], payloads[0]["query"]) == ("GET", {"a": "1", "b": ["2", "3"]})
    assert [payload["body"] for payload in payloads[:3]] == [None, [1, {"x": None}], {"f": "1", "g": ["2", "3"]}]
    assert payloads[1]["kind"] == "application/json"
    assert [item["outcome"] for item in deliveries_of(editor)] == ["accepted", "failed", *["accepted"] * 3]
    assert "U+0000" in deliveries_of(editor)[1]["reason"]
    assert payloads[3]["body"] == '{"almost": '
    assert outside.head(path).status_code == 204
    assert outside.delete(path).status_code == 405
    assert len(deliveries_of(editor)) == 5


def test_secrets_in_headers_are_not_kept(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    template = '{"event": "x.y", "resource": {"resource.id": "a"}, "payload": {{ headers|tojson }}}'
    _, path = make(
        template=template, secret="open sesame", signature={"scheme": "token", "header": "X-Check", "prefix": ""}
    )
    hidden = {"X-Check": "open sesame", "Authorization": "Bearer abc", "Cookie": "a=abc", "X-Hub-Signature": "abc"}
    assert outside.post(path, json={}, headers={**hidden, "X-Shown": "yes"}).status_code == 204
    [kept] = deliveries_of(editor)
    whole = editor.get(f"/api/v1/webhooks/hook/deliveries/{kept['id']}").json
    [event] = events_of(editor, "x.y")
    for headers in (whole["headers"], event["payload"]):
        assert headers["x-shown"] == "yes"
        assert not {"x-check", "authorization", "cookie", "x-hub-signature"} & set(headers)


def test_a_wrong_address_is_not_found_whatever_the_reason(outside: FlaskClient, make: Callable[..., Made]) -> None:
    _, path = make(active=False)
    answers = [outside.post(address, json={}) for address in (path, path[:-1], "/hooks/x", "/hooks/%F0%9F%98%80")]
    assert [(answer.status_code, answer.json["message"]) for answer in answers] == [
        (404, "there is no such address")
    ] * 4


def test_an_address_agrees_to_deliveries_and_keeps_none_of_the_asking(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    _, path = make(minute_max=90)
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Callback": "http://127.0.0.1:1/granted"}
    answer = outside.options(path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "90"
    assert "POST" in answer.headers["Allow"]
    assert "WebHook-Allowed-Origin" not in outside.options(path).headers
    assert outside.options(path, headers={"WebHook-Request-Origin": "no name"}).status_code == 400
    assert editor.get("/api/v1/webhooks/hook/deliveries").json["items"] == []  # type: ignore[index]
    unknown = outside.options("/hooks/none", headers=asked)
    assert (unknown.status_code, unknown.json["message"]) == (404, "there is no such address")  # type: ignore[index]
    assert "WebHook-Allowed-Origin" not in unknown.headers
    editor.patch("/api/v1/webhooks/hook", json={"active": False})
    assert outside.options(path, headers=asked).status_code == 404


def test_addresses_follow_the_public_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    public = "https://tower.example.com/orchestrator"
    monkeypatch.setenv("ORCHESTRATOR_PUBLIC_URL", public)
    proxied = create_app(settings_table.load())
    proxied.config["BACKGROUND"] = False
    with transaction() as session:
        _, token = webhooks.create(session, {"name": "hook", "template": STATIC}, Actor("a", "b", "c"), now())
    address = webhooks.address(token, "http://elsewhere")
    assert address == f"{public}/hooks/{token}"
    client, there = proxied.test_client(), {"Host": "tower.example.com"}
    assert client.post(urlsplit(address).path, json={}, headers=there).status_code == 204
    assert client.post("/orchestrator/hooks/none", json={}, headers=there).status_code == 404


def signed(algorithm: str, body: bytes) -> bytes:
    return hmac.new(b"s3cret", body, algorithm).digest()


SIGNED: dict[str, Callable[[bytes], str]] = {
    "hmac-sha256": lambda body: signed("sha256", body).hex(),
    "hmac-sha1": lambda body: signed("sha1", body).hex().upper(),
    "hmac-sha512": lambda body: b64encode(signed("sha512", body)).decode(),
    "token": lambda _body: "s3cret",
    "monte-carlo": lambda body: signed("sha512", urlencode(json.loads(body)).encode()).hex(),
}


def test_signatures_are_checked(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    body = json.dumps({"a": [1, True, None], "ö": "x y"}).encode()
    for scheme, sign in SIGNED.items():
        signature = {"scheme": scheme, "header": "X-Sig", "prefix": "sha256="}
        _, path = make(scheme, template=STATIC, secret="s3cret", signature=signature)
        right = f"sha256={sign(body)}"
        tries = (right, right[:-3] + "0_0", sign(body), "sha256=", None)
        answers = [
            outside.post(path, data=body, content_type="application/json", headers={"X-Sig": text} if text else {})
            for text in tries
        ]
        assert [answer.status_code for answer in answers] == [204, 401, 401, 401, 401], scheme
        assert "secret the same" in answers[1].json["message"]
        assert "X-Sig" in answers[4].json["message"]
        assert [item["outcome"] for item in deliveries_of(editor, scheme)] == ["refused"] * 4 + ["accepted"]
    assert len(events_of(editor, "it.happened")) == len(SIGNED)
    told = events_of(editor, "webhook.failed")
    assert len(told) == 4 * len(SIGNED)
    assert told[0]["payload"]["delivery"] == deliveries_of(editor, scheme)[0]["id"]
    assert "s3cret" not in json.dumps(told)


FAILING = [
    ("not json", "did not write JSON"),
    ("5", "neither an event nor a list"),
    ("[5]", "neither an event nor a list"),
    ('{"event": "{{ body.nothing }}"}', "line 1"),
    ('{"event": "x.y"}', "resource"),
    ('{"event": "x.y", "resource": {"resource.id": "a"}, "colour": 1}', "colour"),
    ('[{"event": "x.y", "resource": {"resource.id": "a"}}, {"event": "x.y"}]', "event 2: resource"),
    ('{"event": "x.y", "resource": {"resource.id": "a"}, "related": 5}', "related"),
    ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ("{{ ''.__class__ }}", "unsafe"),
]


def test_what_fails_is_told_and_nothing_half_written(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    for number, (template, reason) in enumerate(FAILING):
        _, path = make(f"hook-{number}", template=template)
        answer = outside.post(path, json={})
        assert answer.status_code == 400
        assert reason in answer.json["message"]
        [kept] = deliveries_of(editor, f"hook-{number}")
        assert (kept["outcome"], kept["status"], kept["events"]) == ("failed", 400, [])
        assert reason in events_of(editor, "webhook.failed")[0]["payload"]["reason"]
    assert len(events_of(editor, "webhook.failed")) == len(FAILING)
    assert events_of(editor, "x.y") == []


def test_a_template_that_writes_nothing_ignores(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    _, path = make(preset="github", signature=None)
    assert outside.post(path, json={"zen": "Keep it"}, headers={"X-GitHub-Event": "ping"}).status_code == 204
    assert deliveries_of(editor)[0]["outcome"] == "ignored"


def test_no_value_breaks_out_of_its_quotes(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    _, path = make(template='{"event": "x.y", "resource": {"resource.id": "{{ body.id }}"}}')
    nasty = 'a", "resource.name": "b\n\\ \u2028 {{ 7*7 }}'
    assert outside.post(path, json={"id": nasty}).status_code == 204
    assert events_of(editor, "x.y")[0]["resource"] == {"resource.id": nasty}


def test_chains_go_on(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    _, path = make(template=STATIC)
    chain = uuid.uuid4()
    for header in (f"{chain};3", "nonsense", f"{chain};-1"):
        assert outside.post(path, json={}, headers={"X-Orchestrator-Chain": header}).status_code == 204
    last, middle, first = events_of(editor, "it.happened")
    entry = {"resource.id": f"orchestrator.chain.{chain}", "resource.role": "chain", "chain.depth": "3"}
    assert entry in first["related"]
    assert all(len(event["related"]) == 1 for event in (middle, last))


def test_bodies_and_rates_are_capped(editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]) -> None:
    _, path = make(template=STATIC, minute_max=3)
    assert outside.post(path, data=b"x" * (BODY_MAX + 1)).status_code == 413
    codes = [outside.post(path, json={}).status_code for _ in range(6)]
    assert codes == [204] * 3 + [429] * 3
    assert len(deliveries_of(editor)) == 3
    [told] = events_of(editor, "webhook.failed")
    assert "more than 3 deliveries" in told["payload"]["reason"]


def test_a_kept_delivery_is_rendered_with_an_edited_template(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made]
) -> None:
    _, path = make(template=STATIC)
    example = editor.post("/api/v1/webhooks/hook/render", json={}).json
    assert (example["delivery_id"], example["events"][0]["payload"]["body"]["order"]) == (None, 4711)
    for number in (1, 2):
        outside.post(path, json={"n": number})
    second, first = (item["id"] for item in deliveries_of(editor))
    edited = '{"event": "n.{{ body.n }}", "resource": {"resource.id": "a"}}'
    asked = {"template": edited, "delivery_id": first}
    trial = editor.post("/api/v1/webhooks/hook/render", json=asked).json
    assert (trial["events"][0]["event"], trial["reason"]) == ("n.1", "")
    newest = editor.post("/api/v1/webhooks/hook/render", json={"template": edited}).json
    assert (newest["events"][0]["event"], newest["delivery_id"]) == ("n.2", second)
    wrong = editor.post("/api/v1/webhooks/hook/render", json={"template": "{{ body.m }}"}).json
    assert "m" in wrong["reason"]
    refused = editor.post("/api/v1/webhooks/hook/render", json={"template": '{"event": "x"}'}).json
    assert "event 1: resource" in refused["reason"]
    assert editor.post("/api/v1/webhooks/hook/render", json={"delivery_id": str(uuid.uuid4())}).status_code == 404
    assert events_of(editor, "n.*") == []


def test_deliveries_go_after_a_week_and_beyond_a_number(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = make(template=STATIC)
    _, other = make("other", template=STATIC)
    for number in range(4):
        outside.post(path, json={"n": number})
    outside.post(other, data=b"x" * 100)
    monkeypatch.setattr(deliveries, "KEPT_COUNT", 3)
    kept = [item["id"] for item in deliveries_of(editor)]
    with transaction() as session:
        retention.step(session, now())
    assert [item["id"] for item in deliveries_of(editor)] == kept[:3]
    monkeypatch.setattr(deliveries, "KEPT_BYTES", 20)
    with transaction() as session:
        deliveries.forget(session, now())
    assert (len(deliveries_of(editor)), len(deliveries_of(editor, "other"))) == (2, 0)
    with transaction() as session:
        session.execute(update(WebhookDelivery).values(received=now() - deliveries.KEPT - timedelta(hours=1)))
        assert deliveries.forget(session, now()) == 2


def test_secrets_follow_the_rotation_of_the_key(app: Flask, make: Callable[..., Made], outside: FlaskClient) -> None:
    _, path = make(template=STATIC, secret="s3cret", signature={"scheme": "token", "header": "X-Check"})
    secrets.configure("another key,a secret of the tests")
    actor = Actor("test", "test", "test")
    with transaction() as session:
        assert secret_keys.check(session).left == 1
        assert secret_keys.rotate(session, actor, now()).rotated == 1
    secrets.configure("another key")
    assert outside.post(path, json={}, headers={"X-Check": "s3cret"}).status_code == 204
    secrets.configure("a third one")
    with reading() as session:
        assert secret_keys.check(session).unreadable == ["webhook/hook"]
    assert outside.post(path, json={}, headers={"X-Check": "s3cret"}).status_code == 503


def test_only_the_hash_of_an_address_is_kept(make: Callable[..., Made]) -> None:
    _, path = make()
    token = path.rpartition("/")[2]
    with reading() as session:
        hook = session.query(Webhook).one()
    assert hook.token_hash == hashlib.sha256(token.encode()).digest()
    assert not any(isinstance(value, str) and token in value for value in vars(hook).values())


def test_a_subscription_to_sns_is_confirmed_at_amazon_alone(
    editor: FlaskClient, outside: FlaskClient, make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[str] = []
    monkeypatch.setattr(sns, "visit", lambda address: visited.append(address) or b"")
    _, path = make(preset="sns", signature=None)
    good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"
    for address in (good, "https://sns.eu-central-1.amazonaws.com.evil.example/", "http://169.254.169.254/"):
        body = {"Type": "SubscriptionConfirmation", "SubscribeURL": address, "TopicArn": "arn:aws:sns:x"}
        outside.post(path, data=json.dumps(body), content_type="text/plain")
    assert visited == [good]
    assert [item["outcome"] for item in deliveries_of(editor)] == ["failed", "failed", "confirmed"]
