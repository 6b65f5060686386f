"""GitHub: its limits on requests, its credentials, what an issue is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.github_credentials import GitHubCredentials
from orchestrator.blocks.github_issues import GitHubIssues
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, Unavailable

from ...standins import trackers


@pytest.fixture
def service() -> Iterator[trackers.GitHub]:
    with trackers.GitHub() as running:
        yield running


def issues(service: trackers.GitHub, **fields: Any) -> GitHubIssues:
    token = GitHubCredentials(token=service.key, api_url=service.url)
    return GitHubIssues(**{"credentials": token, "repository": "example/warehouse", **fields})


def test_credentials_give_a_client_and_tell_whose_they_are(service: trackers.GitHub) -> None:
    token = GitHubCredentials(token=service.key, api_url=f"{service.url}/")
    assert token.client().call("GET", "/user").json() == {"login": "robot"}
    assert token.test() == "The token is that of robot."
    with pytest.raises(AccessDenied, match="Bad credentials"):
        GitHubCredentials(token="other", api_url=service.url).test()


def test_labels_and_assignees_go_along(service: trackers.GitHub) -> None:
    ticket = issues(service, labels=["load"], assignees=["robot"]).open("t", "b", ["late", "load"])
    assert service.requests[0].json()["labels"] == ["load", "late"]
    assert service.requests[0].json()["assignees"] == ["robot"]
    assert ticket.id == "11"
    assert ticket.url.endswith("/issues/11")
    assert issues(service).is_open("#11")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"message": "API rate limit exceeded for user"}, {"x-ratelimit-remaining": "0"}),
        ({"message": "You have exceeded a secondary rate limit."}, {}),
    ],
)
def test_too_many_requests_are_no_lack_of_rights(service: trackers.GitHub, body: Any, headers: dict[str, str]) -> None:
    service.failing(403, body, **headers)
    with pytest.raises(Unavailable, match="no more requests"):
        issues(service).open("t", "b")
    service.failing(403, {"message": "Resource not accessible by personal access token"})
    with pytest.raises(AccessDenied, match="not accessible"):
        issues(service).open("t", "b")


def test_a_repository_without_issues_or_none_is_told(service: trackers.GitHub) -> None:
    with pytest.raises(NotFound):
        issues(service, repository="example/nothing").test()
    service.failing(200, {"full_name": "example/warehouse", "has_issues": False})
    with pytest.raises(InvalidInput, match="has no issues"):
        issues(service).test()
    service.failing(410, {"message": "Issues are disabled for this repo"})
    with pytest.raises(InvalidInput, match="disabled"):
        issues(service).open("t", "b")


@pytest.mark.parametrize("repository", ["warehouse", "a/b/c", "../x/y", "a b/c", ""])
def test_a_repository_is_an_owner_and_a_name(service: trackers.GitHub, repository: str) -> None:
    with pytest.raises(ValidationError):
        issues(service, repository=repository)
