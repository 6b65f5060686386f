"""An app's token of Slack: what the Slack block sends by."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput, OrchestratorError, Unavailable
from orchestrator.interfaces import Credentials

from .http_messages import Answer, Api, HttpAddress, masked

# Slack answers 200 to refused calls too; its `error` says why (docs.slack.dev, "Using the Slack Web API").
_DENIED = {
    "access_denied", "account_inactive", "ekm_access_denied", "enterprise_is_restricted", "invalid_auth",
    "missing_scope", "no_permission", "not_allowed_token_type", "not_authed", "org_login_required", "token_expired",
    "token_revoked", "two_factor_setup_required", "team_access_not_granted",
}  # fmt: skip
_PASSING = {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable", "rate_limited"}


class SlackApi(Api):
    """Slack's Web API: calls raise what its answers mean."""

    def ask(self, method: str, path: str = "", **options: Any) -> Answer:
        """Send a request; an answer that says ``"ok": false`` is an error."""
        answer = super().ask(method, path, **options)
        data = answer.json()
        if answer.status == 200 and not (isinstance(data, dict) and data.get("ok")):
            raise self._refused(str(data.get("error", "")) if isinstance(data, dict) else "no JSON")
        return answer

    def _refused(self, error: str) -> OrchestratorError:
        error = masked(error, self.secrets)
        if error in _DENIED:
            return AccessDenied(f"{self.service} refuses the token: {error} (install the app again, with its scopes)")
        if error in _PASSING:
            return Unavailable(f"{self.service} cannot do it now: {error}")
        return InvalidInput(f"{self.service} refuses the request: {error}")


class SlackCredentials(Block, Credentials):
    """The token of an app that is installed in a Slack workspace."""

    _name: ClassVar[str] = "Slack credentials"
    _slug: ClassVar[str] = "slack-credentials"
    _logo: ClassVar[str] = "tabler:brand-slack"
    _docs_url: ClassVar[str] = "https://docs.slack.dev/authentication/tokens"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.slack_credentials import SlackCredentials

        SlackCredentials(token="xoxb-...").save("data-team")
        SlackCredentials.load("data-team").client().call("POST", "/conversations.list").json()
        """

    token: SecretStr = Field(
        min_length=1,
        description="Bot token of the app (xoxb-...); to send messages it needs the scope chat:write.",
    )
    api_url: HttpAddress = Field("https://slack.com/api", description="Address of Slack's Web API.")

    def client(self, **options: Any) -> SlackApi:
        """Slack's Web API: ``client().call("POST", "/auth.test").json()``; ``options`` are those of ``Api``."""
        token = self.token.get_secret_value().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return SlackApi("Slack", self.api_url.rstrip("/"), headers, (token,), **options)

    def test(self) -> str:
        """Ask Slack whose token it is."""
        found = self.client().call("POST", "/auth.test").json()
        return f"The token is that of {found.get('user', 'an app')} in the workspace {found.get('team', '?')}."
