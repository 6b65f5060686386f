"""Issues of a repository on GitHub as tickets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import InvalidInput
from orchestrator.interfaces import Ticket, TicketReference

from .github_credentials import GitHubApi, GitHubCredentials
from .http_messages import cut, first_line

# docs.github.com, "REST API endpoints for issues": POST /repos/{owner}/{repo}/issues -> 201; bodies have at most 65,536
# characters, titles 256. 410: the repository has no issues; 422: a field is wrong.
_BODY, _TITLE = 65_536, 256


class GitHubIssues(Block, Ticket):
    """Opens, comments and closes issues of a repository on GitHub."""

    _name: ClassVar[str] = "GitHub issues"
    _slug: ClassVar[str] = "github-issues"
    _logo: ClassVar[str] = "tabler:brand-github"
    _docs_url: ClassVar[str] = "https://docs.github.com/rest/issues/issues"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.github_credentials import GitHubCredentials
        from orchestrator.blocks.github_issues import GitHubIssues

        robot = GitHubCredentials.load("robot")
        GitHubIssues(credentials=robot, repository="example/warehouse").save("warehouse")
        ticket = GitHubIssues.load("warehouse").open("The daily load is late", "Nothing came since noon.", ["load"])
        """

    credentials: GitHubCredentials = Field(description="The token to work with; it needs the right to write issues.")
    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", description="Owner and name: owner/name.")
    labels: list[str] = Field(default_factory=list, description="Labels that every issue gets.")
    assignees: list[str] = Field(default_factory=list, max_length=10, description="Users that issues are given to.")

    def open(self, title: str, body: str, labels: Sequence[str] = ()) -> TicketReference:
        """Open an issue; its id is its number."""
        issue = {
            "title": first_line(title, _TITLE) or first_line(body, _TITLE),
            "body": cut(body, _BODY),
            "labels": [*dict.fromkeys([*self.labels, *labels])],
            "assignees": self.assignees,
        }
        if not issue["title"]:
            raise InvalidInput("the title of a ticket is empty")
        made = self._api().call("POST", "/issues", payload=issue).json()
        return TicketReference(str(made["number"]), str(made["html_url"]))

    def comment(self, ticket_id: str, body: str) -> None:
        """Add a comment."""
        self._api().call("POST", f"/issues/{_number(ticket_id)}/comments", payload={"body": cut(body, _BODY)})

    def close(self, ticket_id: str, body: str = "") -> None:
        """Close an issue, as completed; one that is closed is left as it is."""
        if not self.is_open(ticket_id):
            return
        if body:
            self.comment(ticket_id, body)
        change = {"state": "closed", "state_reason": "completed"}
        self._api().call("PATCH", f"/issues/{_number(ticket_id)}", payload=change)

    def is_open(self, ticket_id: str) -> bool:
        """Whether the issue is open."""
        return bool(self._api().call("GET", f"/issues/{_number(ticket_id)}").json()["state"] == "open")

    def test(self) -> str:
        """Ask GitHub for the repository."""
        found = self._api().call("GET").json()
        if not found.get("has_issues", True):
            raise InvalidInput(f"{self.repository} has no issues: switch them on in its settings")
        may = (found.get("permissions") or {}).get("push")
        return f"{found.get('full_name', self.repository)} has issues" + (", and the token may write." if may else ".")

    def _api(self) -> GitHubApi:
        base = self.credentials.client()
        return GitHubApi("GitHub", f"{base.base_url}/repos/{self.repository}", base.headers, base.secrets)


def _number(ticket_id: str) -> int:
    text = str(ticket_id).lstrip("#")
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput(f"{ticket_id!r} is no issue: write its number")
    return int(text)
