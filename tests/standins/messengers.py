"""Services that take messages, each as its documents describe it; limits and errors are theirs."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from .http_service import HttpService, Refused, Request


@dataclass
class Received:
    """A message that was taken: all its text, and the request's content."""

    text: str
    content: Any


class Messenger(HttpService):
    """A service that keeps the messages it took."""

    #: What it knows: a token, the last part of a webhook's address.
    key = "canary-0123456789abcdef-key"

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Received] = []

    def take(self, text: str, content: Any) -> None:
        self.messages.append(Received(text, content))


class Slack(Messenger):
    """Incoming webhooks at /services/..., the Web API at /api/...."""

    def answer(self, request: Request) -> Any:
        if request.path.startswith("/services/"):
            return self._webhook(request)
        if request.headers["Authorization"] != f"Bearer {self.key}":
            return {"ok": False, "error": "invalid_auth"}
        if request.path == "/api/auth.test":
            return {"ok": True, "team": "Example", "user": "robot"}
        message = request.json()
        if message["channel"] != "#loads":
            return {"ok": False, "error": "channel_not_found"}
        if error := self._wrong(message):
            return {"ok": False, "error": error}
        self.take(self._text(message), message)
        return {"ok": True, "channel": "C1", "ts": "1.2"}

    def _webhook(self, request: Request) -> Any:
        if not request.path.endswith(f"/{self.key}"):
            raise Refused(403, "invalid_token")
        message = request.json()
        if not (message.get("text") or message.get("blocks")):
            raise Refused(400, "no_text")
        if error := self._wrong(message):
            raise Refused(400, error)
        self.take(self._text(message), message)
        return "ok"

    @staticmethod
    def _wrong(message: dict[str, Any]) -> str:
        for block in message.get("blocks", ()):
            known = block["type"] in ("header", "markdown")
            text = block["text"]["text"] if block["type"] == "header" else block["text"]
            if not known or len(text) > {"header": 150, "markdown": 12_000}[block["type"]]:
                return "invalid_blocks"
        return "msg_too_long" if len(message.get("text", "")) > 40_000 else ""

    @staticmethod
    def _text(message: dict[str, Any]) -> str:
        return "\n".join(b["text"]["text"] if b["type"] == "header" else b["text"] for b in message["blocks"])


class Discord(Messenger):
    """Webhooks at /api/webhooks/ID/TOKEN."""

    def answer(self, request: Request) -> Any:
        if request.path != f"/api/webhooks/1/{self.key}":
            raise Refused(401, {"message": "Invalid Webhook Token", "code": 50027})
        if request.method == "GET":
            return {"id": "1", "type": 1, "name": "Robot", "token": self.key}
        message = request.json()
        if not 0 < len(message["content"]) <= 2_000:
            raise Refused(400, {"content": ["Must be 2000 or fewer in length."]})
        self.take(message["content"], message)
        return None


class Mattermost(Messenger):
    """Incoming webhooks at /hooks/KEY."""

    def answer(self, request: Request) -> Any:
        if request.path == "/api/v4/system/ping":
            return {"status": "OK"}
        error = {"detailed_error": "", "request_id": "x", "status_code": 400}
        if request.path != f"/hooks/{self.key}":
            raise Refused(400, {"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook.", **error})
        message = request.json()
        if not message.get("text"):
            raise Refused(400, {"id": "web.incoming_webhook.text.app_error", "message": "No text specified.", **error})
        if len(message["text"]) > 16_383:
            raise Refused(400, {"id": "web.incoming_webhook.text.length.app_error", "message": "Too long.", **error})
        self.take(message["text"], message)
        return "ok"


class Teams(Messenger):
    """A workflow's address, signed by a query parameter."""

    def answer(self, request: Request) -> Any:
        if request.query.get("sig") != self.key:
            error = {"code": "DirectApiAuthorizationRequired", "message": "The request must be authenticated."}
            raise Refused(401, {"error": error})
        message = request.json()
        if len(request.body) > 28 * 1024:
            raise Refused(413, {"error": {"code": "RequestEntityTooLarge", "message": "The message is too large."}})
        (attachment,) = message["attachments"]
        card = attachment["content"]
        if message["type"] != "message" or attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
            raise Refused(400, {"error": {"code": "InvalidRequestContent", "message": "No Adaptive Card."}})
        self.take("\n".join(part["text"] for part in card["body"]), message)
        return 202, b""


class PagerDuty(Messenger):
    """The Events API v2."""

    key = "0123456789abcdef0123456789abcdef"

    def answer(self, request: Request) -> Any:
        event = request.json()
        assert request.path == "/v2/enqueue"
        problems = []
        if event.get("routing_key") != self.key:
            problems.append("Invalid routing key")
        payload = event.get("payload", {})
        if event["event_action"] == "trigger":
            if not 0 < len(payload.get("summary", "")) <= 1_024:
                problems.append("'payload.summary' is missing or too long")
            if payload.get("severity") not in ("critical", "error", "warning", "info") or not payload.get("source"):
                problems.append("'payload.severity' or 'payload.source' is invalid")
        if problems or len(request.body) > 512 * 1024:
            told = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
            raise Refused(400, told)
        if event["event_action"] == "trigger":
            self.take(f"{payload['summary']}\n{payload['custom_details']['body']}", event)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key", "made")}


class Opsgenie(Messenger):
    """The Alert API."""

    def answer(self, request: Request) -> Any:
        if request.headers["Authorization"] != f"GenieKey {self.key}":
            raise Refused(401, {"message": "Could not authenticate", "took": 0.0, "requestId": "x"})
        if request.path == "/v2/alerts/count":
            return {"data": {"count": 7}, "took": 0.0, "requestId": "x"}
        alert = request.json()
        if request.path == "/v2/alerts":
            wrong = len(alert["message"]) > 130 or len(alert["description"]) > 15_000 or len(alert["message"]) == 0
            if wrong or alert["priority"] not in ("P1", "P2", "P3", "P4", "P5"):
                raise Refused(422, {"message": "Request body is not processable.", "errors": {"message": "too long"}})
            self.take(f"{alert['message']}\n{alert['description']}", alert)
        return 202, {"result": "Request will be processed", "took": 0.1, "requestId": "x"}


class Twilio(Messenger):
    """The Messages resource."""

    def answer(self, request: Request) -> Any:
        login = base64.b64encode(f"AC123:{self.key}".encode()).decode()
        if request.headers["Authorization"] != f"Basic {login}":
            raise Refused(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if request.method == "GET":
            return {"sid": "AC123", "friendly_name": "Example", "status": "active"}
        assert request.path == "/2010-04-01/Accounts/AC123/Messages.json"
        form = request.form()
        if form["To"].endswith("0000"):
            raise Refused(400, {"code": 21211, "message": f"The 'To' number {form['To']} is not valid.", "status": 400})
        if not 0 < len(form["Body"]) <= 1_600 or not (form.get("From") or form.get("MessagingServiceSid")):
            raise Refused(400, {"code": 21617, "message": "The body exceeds the 1600 character limit", "status": 400})
        self.take(form["Body"], form)
        return 201, {"sid": "SM1", "status": "queued"}


class Telegram(Messenger):
    """The Bot API."""

    key = "123456:canary-ABC_DEF-0123456789"

    def answer(self, request: Request) -> Any:
        if not request.path.startswith(f"/bot{self.key}/"):
            raise Refused(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        verb = request.path.rpartition("/")[2]
        if verb == "getMe":
            return {"ok": True, "result": {"id": 1, "username": "robot"}}
        message = request.json()
        if message["chat_id"] != "-100":
            raise Refused(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
        if verb == "getChat":
            return {"ok": True, "result": {"id": -100, "title": "Loads"}}
        text = re.sub(r"</?(b|i|s|a|code|pre|blockquote)( href=\"[^\"]*\")?>", "", message["text"])
        if re.search(r"<[a-z/!]", text) or message["parse_mode"] != "HTML":
            told = "Bad Request: can't parse entities: Unsupported start tag"
            raise Refused(400, {"ok": False, "error_code": 400, "description": told})
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        if not 0 < len(text.encode("utf-16-le")) // 2 <= 4_096:
            raise Refused(400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"})
        self.take(text, message)
        return {"ok": True, "result": {"message_id": 1}}


class Endpoint(Messenger):
    """Any endpoint that takes JSON at an address that is a key, or with a login."""

    def answer(self, request: Request) -> Any:
        login = base64.b64encode(f"user:{self.key}".encode()).decode()
        if not request.path.endswith(f"/{self.key}") and request.headers["Authorization"] != f"Basic {login}":
            raise Refused(403, {"error": "unknown hook"})
        text = request.body.decode()
        if request.media_type == "application/json":
            content = request.json()
            parts = [content.get(key) for key in ("title", "subject", "message", "body")]
            text = "\n".join(part for part in parts if part) if isinstance(content, dict) else json.dumps(content)
        self.take(text, request.body)
        return {"taken": len(self.messages)}
