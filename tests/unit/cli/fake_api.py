"""An API in memory, for commands: the routes of deployments, blocks and block types that they call."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.errors import Conflict, InvalidInput, NotFound

AT = "2026-01-31T09:00:00.000000Z"


class FakeApi:
    """Answers what ``Client.request`` asks."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.deployments: dict[str, dict[str, Any]] = {}
        #: What was applied last, by the deployment's id.
        self.documents: dict[str, dict[str, Any]] = {}
        self.types: dict[str, dict[str, Any]] = {}
        self.blocks: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        #: Who uses every block.
        self.usage: dict[str, Any] = {}
        #: States that a run goes through, one more each time it is asked for.
        self.states: list[str] = ["SCHEDULED"]

    def request(self, method: str, path: str, json: Any = None, params: Any = None, headers: Any = None) -> Any:
        """One call."""
        self.calls.append((method, path, json))
        noun, *rest = path.split("/")
        handler: Callable[..., Any] = getattr(self, f"{method.lower()}_{noun.replace('-', '_')}")
        return handler(rest, json, params or {})

    def get_deployments(self, rest: list[str], _: Any, params: dict[str, Any]) -> Any:
        if rest[1:] and rest[-1] == "document":
            return self.documents[self._deployment(rest[:-1])["id"]]
        if rest:
            return self._deployment(rest)
        found = [item for item in self.deployments.values() if params.get("name") in (None, item["name"])]
        return {"items": found, "next": None}

    def post_deployments(self, rest: list[str], body: Any, _: Any) -> Any:
        if rest:
            return self._start(rest[0], body)
        if body["name"] == "refused":
            raise InvalidInput("the storage block s3/none does not exist", {"storage": ["unknown"]})
        address = f"{body['flow']}/{body['name']}"
        old = self.deployments.get(address)
        facts = {"flow": {"id": "f", "name": body["flow"]}, "paused": False, "updated": AT, "work_queue": "default"}
        new = {**facts, **{key: value for key, value in body.items() if key != "flow"}, "id": str(uuid.uuid4())}
        if old:
            new["id"] = old["id"]
        changes = [key for key in new if old and old.get(key) != new[key]]
        self.deployments[address] = new
        self.documents[new["id"]] = body
        return {"deployment": new, "created": old is None, "changes": [f"{key} changed" for key in changes]}

    def patch_deployments(self, rest: list[str], body: Any, _: Any) -> Any:
        self._deployment(rest).update(body)
        return self._deployment(rest)

    def delete_deployments(self, rest: list[str], _: Any, __: Any) -> None:
        found = self._deployment(rest)
        self.deployments = {key: item for key, item in self.deployments.items() if item is not found}

    def _deployment(self, rest: list[str]) -> dict[str, Any]:
        for address, item in self.deployments.items():
            if "/".join(rest) in (address, item["id"]):
                return item
        raise NotFound(f"there is no deployment {'/'.join(rest)}")

    def _start(self, deployment: str, body: Any) -> dict[str, Any]:
        run = {
            "id": str(uuid.uuid4()),
            "name": "brave-eagle",
            "state": state("SCHEDULED"),
            "body": body,
            "result": None,
        }
        self.runs[run["id"]] = {**run, "deployment": deployment, "seen": 0}
        return run

    def get_flow_runs(self, rest: list[str], _: Any, __: Any) -> Any:
        run = self.runs[rest[0]]
        if rest[1:] == ["states"]:
            return {"items": [state(name) for name in self.states[: run["seen"]]], "next": None}
        run["seen"] = min(run["seen"] + 1, len(self.states))
        run["state"] = state(self.states[run["seen"] - 1])
        return run

    def get_logs(self, _: list[str], __: Any, params: dict[str, Any]) -> Any:
        line = {"id": "1", "at": AT, "level": 20, "message": "hello from the run"}
        return {"items": [] if params.get("after") else [line], "next": None}

    def get_block_types(self, rest: list[str], _: Any, params: dict[str, Any]) -> Any:
        if rest and rest[0] not in self.types:
            raise NotFound(f"there is no block type {rest[0]}: `orchestrator block register` makes one known")
        if rest:
            return self.types[rest[0]]
        wanted = params.get("interface")
        found = [item for item in self.types.values() if wanted is None or wanted in item["interfaces"]]
        return {"items": found, "next": None}

    def post_block_types(self, _: list[str], body: Any, __: Any) -> Any:
        self.types[body["slug"]] = body
        return body

    def get_blocks(self, rest: list[str], _: Any, params: dict[str, Any]) -> Any:
        if rest[1:] == ["usage"]:
            return self.usage
        if rest:
            return self._masked(self._block("/".join(rest)))
        found = [item for item in self.blocks.values() if params.get("type") in (None, item["type"])]
        return {"items": [self._masked(item) for item in found], "next": None}

    def post_blocks(self, rest: list[str], body: Any, _: Any) -> Any:
        if rest[1:] == ["rotate"]:
            found = self._block(rest[0])
            found["data"] = {**found["data"], **body["data"]}
            return self._masked(found)
        address = f"{body['type']}/{body['name']}"
        if address in self.blocks:
            raise Conflict(f"there is a block {address} already")
        self.blocks[address] = {**body, "id": str(uuid.uuid4()), "created": AT, "updated": AT}
        return self._masked(self.blocks[address])

    def put_blocks(self, rest: list[str], body: Any, _: Any) -> Any:
        found = self._block("/".join(rest))
        assert [*body] == ["data"]
        kept = {key: found["data"].get(key) for key, value in body["data"].items() if value == "********"}
        found["data"] = {**body["data"], **kept}
        return self._masked(found)

    def delete_blocks(self, rest: list[str], _: Any, params: dict[str, Any]) -> None:
        if any(self.usage.values()) and not params.get("force"):
            raise Conflict("the block is used")
        found = self._block("/".join(rest))
        self.blocks = {key: item for key, item in self.blocks.items() if item is not found}

    def _block(self, ref: str) -> dict[str, Any]:
        for address, item in self.blocks.items():
            if ref in (address, item["id"]):
                return item
        raise NotFound(f"there is no block {ref}")

    def _masked(self, item: dict[str, Any]) -> dict[str, Any]:
        fields = self.types[item["type"]]["schema"]["properties"]
        data = {
            key: "********" if value is not None and fields[key].get("writeOnly") else value
            for key, value in item["data"].items()
        }
        return {**item, "data": data}


def state(name: str) -> dict[str, Any]:
    """A state object."""
    return {"type": name, "name": name.capitalize(), "message": "", "at": AT, "details": None}


@pytest.fixture(name="fake_api")
def fake_api_fixture(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """An API in memory that every client of this process talks to."""
    api = FakeApi()
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(Client, "request", lambda _client, *args, **kwargs: api.request(*args, **kwargs))
    return api
