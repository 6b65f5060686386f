"""Issues of a Jira project as tickets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import urllib3
from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import InvalidInput
from orchestrator.interfaces import Ticket, TicketReference

from .http_messages import Api, HttpAddress, atlassian_document, cut, first_line

# developer.atlassian.com, "The Jira Cloud platform REST API" version 3: POST /rest/api/3/issue -> 201; texts are
# documents (ADF) of at most 32,767 characters, summaries 255, labels have no blanks. An issue is closed by a transition
# to a status of the category "done". 400 has `errorMessages` and `errors` by field.
_BODY, _SUMMARY = 32_000, 255
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*-[0-9]+|[0-9]+")


class Jira(Block, Ticket):
    """Opens, comments and closes issues of a Jira project."""

    _name: ClassVar[str] = "Jira"
    _slug: ClassVar[str] = "jira"
    _logo: ClassVar[str] = "tabler:brand-jira"
    _docs_url: ClassVar[str] = "https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.jira import Jira

        Jira(
            api_url="https://example.atlassian.net", email="robot@example.com", api_token="...", project="OPS"
        ).save("ops")
        ticket = Jira.load("ops").open("The daily load is late", "Nothing came since **noon**.", ["load"])
        """

    api_url: HttpAddress = Field(description="Address of the site, such as https://example.atlassian.net.")
    email: str = Field(
        "", description="Account that the token belongs to; empty: the token is a personal access token."
    )
    api_token: SecretStr = Field(min_length=1, description="API token of the account.")
    project: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Key of the project, such as OPS.")
    issue_type: str = Field("Task", min_length=1, description="Type of the issues, as the project names it.")
    labels: list[str] = Field(default_factory=list, description="Labels that every issue gets.")
    close_by: str = Field(
        "", description="Transition (or status) that closes an issue; empty: the first to a done one."
    )

    def open(self, title: str, body: str, labels: Sequence[str] = ()) -> TicketReference:
        """Open an issue; its id is its key, such as OPS-12. Blanks in labels become hyphens."""
        fields = {
            "project": {"key": self.project},
            "issuetype": {"name": self.issue_type},
            "summary": first_line(title, _SUMMARY) or first_line(body, _SUMMARY),
            "description": atlassian_document(cut(body, _BODY)),
            "labels": [*dict.fromkeys("-".join(label.split()) for label in [*self.labels, *labels] if label.strip())],
        }
        if not fields["summary"]:
            raise InvalidInput("the title of a ticket is empty")
        made = self._api().call("POST", "/issue", payload={"fields": fields}).json()
        return TicketReference(str(made["key"]), f"{self.api_url.rstrip('/')}/browse/{made['key']}")

    def comment(self, ticket_id: str, body: str) -> None:
        """Add a comment."""
        text = {"body": atlassian_document(cut(body, _BODY))}
        self._api().call("POST", f"/issue/{_key(ticket_id)}/comment", payload=text)

    def close(self, ticket_id: str, body: str = "") -> None:
        """Close an issue by a transition; one that is done is left as it is.

        Raises:
            InvalidInput: The issue has no such transition from the status that it is in.
        """
        if not self.is_open(ticket_id):
            return
        path = f"/issue/{_key(ticket_id)}/transitions"
        transitions = self._api().call("GET", path).json()["transitions"]
        chosen = next((item for item in transitions if self._closes(item)), None)
        if chosen is None:
            names = ", ".join(str(item.get("name")) for item in transitions) or "none"
            wanted = f"{self.close_by!r} is not among" if self.close_by else "none leads to a done status among"
            raise InvalidInput(f"{ticket_id} cannot be closed: {wanted} its transitions ({names}); set close_by")
        if body:
            self.comment(ticket_id, body)
        self._api().call("POST", path, payload={"transition": {"id": chosen["id"]}})

    def is_open(self, ticket_id: str) -> bool:
        """Whether the issue's status is of another category than done."""
        issue = self._api().call("GET", f"/issue/{_key(ticket_id)}?fields=status").json()
        return bool(issue["fields"]["status"]["statusCategory"]["key"] != "done")

    def test(self) -> str:
        """Ask Jira who we are, and for the project."""
        person = self._api().call("GET", "/myself").json()
        project = self._api().call("GET", f"/project/{self.project}").json()
        return f"{person.get('displayName', 'The account')} sees the project {project.get('name', self.project)}."

    def _closes(self, transition: dict[str, Any]) -> bool:
        target = transition.get("to") or {}
        if self.close_by:
            names = (str(transition.get("name", "")).lower(), str(target.get("name", "")).lower())
            return self.close_by.strip().lower() in names
        return bool((target.get("statusCategory") or {}).get("key") == "done")

    def _api(self) -> Api:
        token = self.api_token.get_secret_value().strip()
        login = {"authorization": f"Bearer {token}"}
        if self.email:
            login = urllib3.make_headers(basic_auth=f"{self.email}:{token}")
        headers = {"Authorization": login["authorization"], "Accept": "application/json"}
        secrets = (token, login["authorization"].partition(" ")[2])
        return Api("Jira", f"{self.api_url.rstrip('/')}/rest/api/3", headers, secrets)


def _key(ticket_id: str) -> str:
    if not _KEY.fullmatch(str(ticket_id)):
        raise InvalidInput(f"{ticket_id!r} is no issue: write its key, such as OPS-12")
    return str(ticket_id)
