"""The batches that flows, agents and the SDK report: each item is checked by itself, refused by itself."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from ...errors import InvalidInput
from ...states import StateType
from .events import Refusal, explain

#: Most items a request may hold, over all its batches.
ITEMS_MAX = 20_000
#: What addresses of images look like, and the longest, in characters: that of one that is held in it.
IMAGE_URL = re.compile(r"https?://\S+\Z|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
IMAGE_URL_MAX = 360_000

Text = Annotated[str, Field(max_length=1024)]
Tag = Annotated[str, Field(max_length=256)]


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore")


class StateIn(_Item):
    """One state, as the process saw it."""

    type: StateType
    name: Text = ""
    message: str = ""
    at: AwareDatetime
    details: dict[str, Any] | None = None


class FlowRunItem(_Item):
    """A run that was started by hand, or a subflow: it begins with attempt 1, and no agent holds it."""

    kind: Literal["flow-run"]
    id: uuid.UUID
    flow: Annotated[str, Field(min_length=1, max_length=1024)]
    name: Text
    parameters: dict[str, Any] = {}
    tags: list[Tag] = []
    parent_flow_run_id: uuid.UUID | None = None
    parent_task_run_id: uuid.UUID | None = None
    #: Where it runs, as ``host:pid``.
    process: Text = ""
    state: StateIn


class FlowRunStateItem(_Item):
    """A flow run took a state."""

    kind: Literal["flow-run-state"]
    id: uuid.UUID
    attempt: Annotated[int, Field(ge=0, lt=2**31)]
    state: StateIn
    result: dict[str, Any] | None = None
    #: Of a subflow: what later attempts of the run above know its call by.
    call_key: Annotated[str, Field(max_length=64)] | None = None


class FlowRunHooksItem(_Item):
    """The hooks that the flow of a run has for its end: somebody has to call them if its process cannot."""

    kind: Literal["flow-run-hooks"]
    id: uuid.UUID
    attempt: Annotated[int, Field(ge=1, lt=2**31)]
    names: Annotated[list[Literal["on_completion", "on_failure", "on_crashed", "on_cancellation"]], Field(max_length=4)]


class TaskRunItem(_Item):
    """A task run as it is after a change of its state."""

    kind: Literal["task-run"]
    id: uuid.UUID
    flow_run_id: uuid.UUID
    flow_attempt: Annotated[int, Field(ge=0, lt=2**31)] = 0
    name: Text
    task_key: Text
    attempt: Annotated[int, Field(ge=0, lt=2**31)] = 0
    tags: list[Tag] = []
    upstream: list[uuid.UUID] = []
    parent_id: uuid.UUID | None = None
    state: StateIn
    #: What it returned: ``{"value"}`` or where it lies, ``{"block", "path", "size"}``.
    result: dict[str, Any] | None = None
    #: What later attempts of the flow run know the call by.
    call_key: Annotated[str, Field(max_length=64)] | None = None


class LogItem(_Item):
    """A log line."""

    kind: Literal["log"]
    flow_run_id: uuid.UUID
    task_run_id: uuid.UUID | None = None
    attempt: Annotated[int, Field(ge=0, lt=2**15)] = 0
    level: Annotated[int, Field(ge=0, lt=2**15)] = 20
    logger: Text = ""
    message: str
    at: AwareDatetime


class EventItem(_Item):
    """An event of the user's own; checked as those that come by ``POST events``."""

    kind: Literal["event"]
    event: dict[str, Any]


class ArtifactItem(_Item):
    """An artifact: markdown (text), table (list of objects), link (``{"url", "text"}``), progress (0 to 100; told again
    under its id it moves on) or image (``{"url"}``).
    """

    kind: Literal["artifact"]
    id: uuid.UUID
    key: Text | None = None
    type: Literal["markdown", "table", "link", "progress", "image"]
    description: str = ""
    data: Any = None
    flow_run_id: uuid.UUID | None = None
    task_run_id: uuid.UUID | None = None
    at: AwareDatetime

    @model_validator(mode="after")
    def _fits(self) -> ArtifactItem:
        data = self.data
        if self.type == "progress" and not (
            isinstance(data, (int, float)) and not isinstance(data, bool) and 0 <= data <= 100
        ):
            raise ValueError("the data of a progress is a number from 0 to 100")
        if self.type == "image":
            url = data.get("url") if isinstance(data, dict) else None
            if not isinstance(url, str) or len(url) > IMAGE_URL_MAX or not IMAGE_URL.match(url):
                raise ValueError(
                    "the data of an image is an object with its url: https://, http://, or a small data: one"
                )
        return self


class AliveItem(_Item):
    """Runs that were started by hand still go on; those that agents hold are kept by the agent's heartbeat."""

    kind: Literal["alive"]
    ids: Annotated[list[uuid.UUID], Field(max_length=ITEMS_MAX)]


AnyItem = (
    FlowRunItem | FlowRunStateItem | FlowRunHooksItem | TaskRunItem | LogItem | EventItem | ArtifactItem | AliveItem
)
Item = Annotated[AnyItem, Field(discriminator="kind")]


class Batch(BaseModel):
    """Items of one producer: ``items[0]`` has the sequence ``first``, and none is left out between them."""

    model_config = ConfigDict(extra="forbid")

    producer: uuid.UUID
    first: Annotated[int, Field(ge=1, lt=2**31)]
    items: list[Any]


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    batches: list[Batch]


_REPORT = TypeAdapter(_Report)
_ITEMS: TypeAdapter[list[AnyItem]] = TypeAdapter(list[Item])
_ITEM: TypeAdapter[AnyItem] = TypeAdapter(Item)


def read_batches(body: bytes | str) -> list[Batch]:
    """Read the body of a report; items stay raw until :func:`read_items`. Raises InvalidInput."""
    text = body.encode() if isinstance(body, str) else body
    try:
        if b"\\u0000" in text:
            batches = _REPORT.validate_python(without_nulls(from_json(text))).batches
        else:
            batches = _REPORT.validate_json(text).batches
    except ValidationError as error:
        message = explain(error)
        raise InvalidInput(f"the report cannot be read: {message}", {"batches": [message]}) from None
    except ValueError as error:
        raise InvalidInput(f"the report is no JSON: {error}") from None
    if sum(len(batch.items) for batch in batches) > ITEMS_MAX:
        message = f"at most {ITEMS_MAX:,} items are taken at once: send less at a time"
        raise InvalidInput(message, {"batches": [message]})
    return batches


def read_items(raw: list[Any]) -> list[AnyItem | Refusal]:
    """Check items: all at once, and one by one when any of them is wrong."""
    try:
        return list(_ITEMS.validate_python(raw))
    except ValidationError:
        return [_read_item(item) for item in raw]


def _read_item(raw: Any) -> AnyItem | Refusal:
    try:
        return _ITEM.validate_python(raw)
    except ValidationError as error:
        return Refusal("invalid", explain(error))


def without_nulls(value: Any) -> Any:
    """A decoded JSON value with U+0000, which Postgres cannot store, replaced by U+FFFD wherever it lies."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {without_nulls(key): without_nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
