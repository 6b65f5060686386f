"""Items of a monday.com board as tickets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import Ticket, TicketReference

from .http_messages import Answer, Api, HttpAddress, cut, first_line, html

# developer.monday.com: POST of GraphQL to /v2, the token as it is in `Authorization`. Refused queries are answered 200
# with `errors` (`extensions.code`), or by older versions with `error_code`. Names of items have at most 255 characters.
_NAME, _BODY = 255, 60_000
_DENIED = {"UserUnauthorizedException", "USER_UNAUTHORIZED", "NotAuthenticated", "UNAUTHORIZED", "USER_ACCESS_DENIED"}
_PASSING = {
    "ComplexityException", "COMPLEXITY_BUDGET_EXHAUSTED", "maxComplexityExceeded", "RATE_LIMIT_EXCEEDED",
    "IP_RATE_LIMIT_EXCEEDED", "maxConcurrencyExceeded", "DAILY_LIMIT_EXCEEDED", "INTERNAL_SERVER_ERROR",
    "InternalServerError", "API_TEMPORARILY_BLOCKED",
}  # fmt: skip
_MISSING = {"ResourceNotFoundException", "RESOURCE_NOT_FOUND", "InvalidItemIdException", "INVALID_ITEM_ID"}

_CREATE = """mutation ($board: ID!, $group: String, $name: String!) {
  create_item(board_id: $board, group_id: $group, item_name: $name) { id url } }"""
_UPDATE = "mutation ($item: ID!, $body: String!) { create_update(item_id: $item, body: $body) { id } }"
_SET = """mutation ($board: ID!, $item: ID!, $column: String!, $value: String!) {
  change_simple_column_value(board_id: $board, item_id: $item, column_id: $column, value: $value) { id } }"""
_LOOK = """query ($item: [ID!], $column: [String!]) {
  items(ids: $item) { id state column_values(ids: $column) { id text } } }"""
_TEST = "query ($board: [ID!]) { me { name } boards(ids: $board) { name columns { id } } }"


class MondayApi(Api):
    """The GraphQL API: refusals are mostly answers with status 200."""

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Send a query; returns its data."""
        answer = self.call("POST", payload={"query": text, "variables": variables})
        found = answer.json()
        if not isinstance(found, dict) or found.get("errors") or found.get("error_code") or not found.get("data"):
            raise self.refusal(answer)
        data: dict[str, Any] = found["data"]
        return data

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """What to raise for an answer, by the code of its error."""
        codes, said = _codes(answer.json()), self.said(answer)
        for known, kind in ((_DENIED, AccessDenied), (_PASSING, Unavailable), (_MISSING, NotFound)):
            if codes & known:
                return kind(f"monday.com refuses ({', '.join(sorted(codes & known))}): {said}")
        if answer.status == 200:
            return InvalidInput(f"monday.com refuses the request: {said}")
        return super().refusal(answer, why)


class Monday(Block, Ticket):
    """Opens, comments and closes items of a board of monday.com."""

    _name: ClassVar[str] = "Monday"
    _slug: ClassVar[str] = "monday"
    _logo: ClassVar[str] = "tabler:brand-monday"
    _docs_url: ClassVar[str] = "https://developer.monday.com/api-reference/reference/items"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.monday import Monday

        Monday(api_token="...", board="1234567890").save("ops")
        ticket = Monday.load("ops").open("The daily load is late", "Nothing came since **noon**.")
        """

    api_token: SecretStr = Field(min_length=1, description="Token of an account or app that may write to the board.")
    board: str = Field(pattern=r"^[0-9]+$", description="Id of the board: the number in its address.")
    group: str = Field("", description="Id of the group that new items are put into; empty: the topmost.")
    status_column: str = Field("status", min_length=1, description="Id of the column that says how far an item is.")
    done_label: str = Field("Done", min_length=1, description="The column's value once an item is done.")
    api_url: HttpAddress = Field("https://api.monday.com/v2", description="Address of the API.")

    def open(self, title: str, body: str, labels: Sequence[str] = ()) -> TicketReference:
        """Open an item, its text as its first update. Boards have no labels of their own: they stand below the text."""
        name = first_line(title, _NAME) or first_line(body, _NAME)
        if not name:
            raise InvalidInput("the title of a ticket is empty")
        api = self._api()
        made = api.query(_CREATE, board=self.board, group=self.group or None, name=name)["create_item"]
        text = body + (f"\n\nLabels: {', '.join(labels)}" if labels else "")
        if text.strip():
            api.query(_UPDATE, item=str(made["id"]), body=html(cut(text, _BODY)))
        return TicketReference(str(made["id"]), str(made.get("url") or ""))

    def comment(self, ticket_id: str, body: str) -> None:
        """Add an update to an item."""
        self._api().query(_UPDATE, item=_item(ticket_id), body=html(cut(body, _BODY)))

    def close(self, ticket_id: str, body: str = "") -> None:
        """Set an item's status to done; one that is done or archived is left as it is."""
        if not self.is_open(ticket_id):
            return
        if body:
            self.comment(ticket_id, body)
        change = {"board": self.board, "column": self.status_column, "value": self.done_label}
        self._api().query(_SET, item=_item(ticket_id), **change)

    def is_open(self, ticket_id: str) -> bool:
        """Whether the item is neither done, nor archived, nor deleted."""
        items = self._api().query(_LOOK, item=[_item(ticket_id)], column=[self.status_column])["items"]
        if not items:
            raise NotFound(f"there is no item {ticket_id} on monday.com, or the token may not see it")
        values = {value["id"]: value.get("text") for value in items[0]["column_values"]}
        if self.status_column not in values:
            raise InvalidInput(
                f"the board {self.board} has no column {self.status_column!r}: set status_column to its id"
            )
        return bool(items[0].get("state", "active") == "active" and values[self.status_column] != self.done_label)

    def test(self) -> str:
        """Ask who we are, and for the board and its columns."""
        found = self._api().query(_TEST, board=[self.board])
        if not found["boards"]:
            raise NotFound(f"there is no board {self.board} on monday.com, or the token may not see it")
        board = found["boards"][0]
        if self.status_column not in {column["id"] for column in board["columns"]}:
            raise InvalidInput(
                f"the board {self.board} has no column {self.status_column!r}: set status_column to its id"
            )
        return f"{found['me']['name']} sees the board {board['name']}."

    def _api(self) -> MondayApi:
        token = self.api_token.get_secret_value().strip()
        headers = {"Authorization": token, "API-Version": "2025-04"}
        return MondayApi("monday.com", self.api_url, headers, (token,))


def _codes(data: Any) -> set[str]:
    if not isinstance(data, dict):
        return set()
    errors = data.get("errors")
    items = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    codes = [data.get("error_code"), *((item.get("extensions") or {}).get("code") for item in items)]
    return {str(code) for code in codes if code}


def _item(ticket_id: str) -> str:
    if not (str(ticket_id).isascii() and str(ticket_id).isdigit()):
        raise InvalidInput(f"{ticket_id!r} is no item: write its number")
    return str(ticket_id)
