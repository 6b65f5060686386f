"""Trackers of issues, each as its documents describe it: Jira Cloud, GitHub, monday.com."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .http_service import HttpService, Refused, Request


@dataclass
class Issue:
    """What a tracker keeps of a ticket; texts as they came."""

    title: str
    body: Any = ""
    labels: list[str] = field(default_factory=list)
    comments: list[Any] = field(default_factory=list)
    status: str = "open"


class Tracker(HttpService):
    """A tracker that keeps its issues by number."""

    key = "canary-0123456789abcdef-key"

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[int, Issue] = {}

    def add(self, issue: Issue) -> int:
        self.issues[len(self.issues) + 11] = issue
        return len(self.issues) + 10


class Jira(Tracker):
    """The REST API 3 of Jira Cloud, with one project OPS whose issues go to do -> in progress -> done."""

    STATUSES: ClassVar = {
        "open": ("To Do", "new"),
        "progress": ("In Progress", "indeterminate"),
        "closed": ("Done", "done"),
    }
    MOVES: ClassVar = {"21": ("Start", "progress"), "31": ("Finish", "closed")}

    def answer(self, request: Request) -> Any:
        login = base64.b64encode(f"robot@example.com:{self.key}".encode()).decode()
        if request.headers["Authorization"] not in (f"Basic {login}", f"Bearer {self.key}"):
            raise Refused(401, "Client must be authenticated to access this resource.")
        path = request.path.removeprefix("/rest/api/3")
        if path == "/myself":
            return {"accountId": "1", "displayName": "Robot"}
        if path == "/project/OPS":
            return {"key": "OPS", "name": "Operations"}
        if path == "/issue" and request.method == "POST":
            return self._create(request.json()["fields"])
        found = re.fullmatch(r"/issue/OPS-(\d+)(/\w+)?", path)
        if found and int(found[1]) in self.issues:
            return self._of_issue(self.issues[int(found[1])], found[2] or "", request)
        raise Refused(404, {"errorMessages": ["Issue does not exist or you do not have permission."], "errors": {}})

    def _create(self, fields: dict[str, Any]) -> Any:
        errors = {}
        if fields["project"] != {"key": "OPS"}:
            errors["project"] = "valid project is required"
        if fields["issuetype"] != {"name": "Task"}:
            errors["issuetype"] = "The issue type selected is invalid."
        if not 0 < len(fields["summary"]) <= 255 or "\n" in fields["summary"]:
            errors["summary"] = "Summary must be less than 255 characters."
        if any(" " in label for label in fields["labels"]):
            errors["labels"] = "The label can't contain spaces."
        if not is_document(fields["description"]):
            errors["description"] = "Operation value must be an Atlassian Document"
        if errors:
            raise Refused(400, {"errorMessages": [], "errors": errors})
        number = self.add(Issue(fields["summary"], fields["description"], fields["labels"]))
        return 201, {"id": str(number), "key": f"OPS-{number}", "self": f"{self.url}/rest/api/3/issue/{number}"}

    def _of_issue(self, issue: Issue, part: str, request: Request) -> Any:
        if part == "/comment":
            body = request.json()["body"]
            if not is_document(body):
                raise Refused(400, {"errorMessages": ["Comment body is not valid!"], "errors": {}})
            issue.comments.append(body)
            return 201, {"id": "1"}
        if part == "/transitions" and request.method == "POST":
            move = request.json()["transition"]["id"]
            if move not in self.MOVES:
                raise Refused(400, {"errorMessages": ["Transition id is not valid for this issue."], "errors": {}})
            issue.status = self.MOVES[move][1]
            return None
        if part == "/transitions":
            moves = [{"id": key, "name": name, "to": self._status(to)} for key, (name, to) in self.MOVES.items()]
            return {"transitions": moves}
        return {"fields": {"status": self._status(issue.status)}}

    def _status(self, status: str) -> dict[str, Any]:
        name, category = self.STATUSES[status]
        return {"name": name, "statusCategory": {"key": category}}


class GitHub(Tracker):
    """GitHub's REST API, with the repository example/warehouse."""

    def answer(self, request: Request) -> Any:
        if request.headers["Authorization"] != f"Bearer {self.key}":
            raise Refused(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"})
        if not request.headers["User-Agent"] or "github" not in request.headers["Accept"]:
            raise Refused(403, {"message": "Request forbidden by administrative rules."})
        if request.path == "/user":
            return {"login": "robot"}
        path = request.path.removeprefix("/repos/example/warehouse")
        if path == request.path:
            raise Refused(404, {"message": "Not Found"})
        if not path:
            return {"full_name": "example/warehouse", "has_issues": True, "permissions": {"push": True}}
        if path == "/issues":
            return self._create(request.json())
        found = re.fullmatch(r"/issues/(\d+)(/comments)?", path)
        if not found or int(found[1]) not in self.issues:
            raise Refused(404, {"message": "Not Found"})
        number, issue = int(found[1]), self.issues[int(found[1])]
        if found[2]:
            issue.comments.append(request.json()["body"])
            return 201, {"id": 1}
        if request.method == "PATCH":
            change = request.json()
            assert change["state_reason"] == "completed"
            issue.status = change["state"]
        return self._shown(number)

    def _create(self, fields: dict[str, Any]) -> Any:
        if not 0 < len(fields["title"]) <= 256 or len(fields["body"]) > 65_536:
            error = {"resource": "Issue", "field": "body", "message": "body is too long (maximum is 65536 characters)"}
            raise Refused(422, {"message": "Validation Failed", "errors": [error]})
        number = self.add(Issue(fields["title"], fields["body"], fields["labels"]))
        return 201, self._shown(number)

    def _shown(self, number: int) -> dict[str, Any]:
        url = f"https://github.com/example/warehouse/issues/{number}"
        return {"number": number, "html_url": url, "state": self.issues[number].status}


class Monday(Tracker):
    """The GraphQL API of monday.com, with the board 77; it knows the queries that name these fields."""

    def answer(self, request: Request) -> Any:
        if request.headers["Authorization"] != self.key:
            raise Refused(401, {"errors": [{"message": "Not Authenticated"}]})
        asked = request.json()
        query, given = asked["query"], asked["variables"]
        if "create_item(" in query:
            if given["board"] != "77":
                return refusal("ResourceNotFoundException", "Board not found")
            if not 0 < len(given["name"]) <= 255:
                return refusal("ItemNameTooLongException", "Item name exceeds the maximum length")
            number = self.add(Issue(given["name"]))
            return {
                "data": {"create_item": {"id": str(number), "url": f"https://x.monday.com/boards/77/pulses/{number}"}}
            }
        if "me {" in query:
            boards = [{"name": "Operations", "columns": [{"id": "name"}, {"id": "status"}]}]
            return {"data": {"me": {"name": "Robot"}, "boards": boards if given["board"] == ["77"] else []}}
        if "items(" in query:
            found = [self.issues[int(item)] for item in given["item"] if int(item) in self.issues]
            text = {"open": "", "closed": "Done"}
            values = [[{"id": "status", "text": text[issue.status]}] for issue in found]
            return {"data": {"items": [{"id": "1", "state": "active", "column_values": value} for value in values]}}
        if int(given["item"]) not in self.issues:
            return refusal("ResourceNotFoundException", "Item not found")
        return {"data": {"done": self._change(self.issues[int(given["item"])], query, given)}}

    @staticmethod
    def _change(issue: Issue, query: str, given: dict[str, Any]) -> dict[str, str]:
        if "create_update(" in query:
            if issue.body:
                issue.comments.append(given["body"])
            else:
                issue.body = given["body"]
        else:
            assert (given["board"], given["column"], given["value"]) == ("77", "status", "Done")
            issue.status = "closed"
        return {"id": "1"}


def refusal(code: str, message: str) -> Any:
    """How monday.com refuses: with status 200."""
    return {"data": None, "errors": [{"message": message, "extensions": {"code": code, "status_code": 200}}]}


_INLINE = {"text", "hardBreak"}


def is_document(node: Any) -> bool:
    """Whether it is a document of Atlassian: the nodes that it may hold, where it may hold them."""
    if node.get("type") != "doc" or node.get("version") != 1:
        return False
    return all(_is_block(inner) for inner in node["content"])


def _is_block(node: dict[str, Any]) -> bool:
    kind, content = node["type"], node.get("content", [])
    if kind in ("paragraph", "heading", "codeBlock"):
        return all(inner["type"] in _INLINE and inner.get("text", "x") for inner in content)
    if kind in ("bulletList", "orderedList"):
        return bool(content) and all(inner["type"] == "listItem" and _is_block(inner) for inner in content)
    if kind in ("listItem", "blockquote"):
        fits = all(inner["type"] in ("paragraph", "bulletList", "orderedList", "codeBlock") for inner in content)
        return bool(content) and fits and all(_is_block(inner) for inner in content)
    return kind == "rule"


def text_of(node: Any) -> str:
    """All text of a document, or of what is text already."""
    if isinstance(node, str):
        return node
    return node.get("text", "") + "\n".join(text_of(inner) for inner in node.get("content", ()))
