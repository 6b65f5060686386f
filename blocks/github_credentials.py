"""A token of GitHub, or of a GitHub Enterprise server."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, OrchestratorError, Unavailable
from orchestrator.interfaces import Credentials

from .http_messages import Answer, Api, HttpAddress


class GitHubApi(Api):
    """GitHub's REST API: 403 is what it answers to too many requests as well."""

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """What to raise for an answer (docs.github.com, "Rate limits for the REST API", "Troubleshooting")."""
        said = self.said(answer)
        spent = answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in said.lower()
        if answer.status == 403 and spent:
            return Unavailable(f"{self.service} takes no more requests for now: {said}")
        if answer.status == 410:
            return InvalidInput(f"{self.service} answered 410: {said}")
        return super().refusal(answer, why)


class GitHubCredentials(Block, Credentials):
    """A token of GitHub: a fine-grained or classic one, or an app's."""

    _name: ClassVar[str] = "GitHub credentials"
    _slug: ClassVar[str] = "github-credentials"
    _logo: ClassVar[str] = "tabler:brand-github"
    _docs_url: ClassVar[str] = "https://docs.github.com/rest/authentication/authenticating-to-the-rest-api"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.github_credentials import GitHubCredentials

        GitHubCredentials(token="github_pat_...").save("robot")
        GitHubCredentials.load("robot").client().call("GET", "/user").json()["login"]
        """

    token: SecretStr = Field(min_length=1, description="The token; give it only the rights that it is used for.")
    api_url: HttpAddress = Field(
        "https://api.github.com",
        description="Address of the API; that of an Enterprise server is https://HOST/api/v3.",
    )

    def client(self, **options: Any) -> GitHubApi:
        """GitHub's REST API: ``client().call("GET", "/user").json()``; ``options`` are those of ``Api``."""
        token = self.token.get_secret_value().strip()
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return GitHubApi("GitHub", self.api_url.rstrip("/"), headers, (token,), **options)

    def test(self) -> str:
        """Ask GitHub whose token it is."""
        user = self.client().call("GET", "/user").json()
        return f"The token is that of {user.get('login')}."
