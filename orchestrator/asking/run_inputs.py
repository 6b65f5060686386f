"""Typed input of running flows: what they ask people for, and messages that they are sent."""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import pydantic

from .. import context
from ..client import Client
from ..context import FlowRun
from ..errors import Conflict, InputTimedOut, InvalidInput
from . import awaiting, input_types
from .awaiting import Stop

T = TypeVar("T")
M = TypeVar("M", bound="RunInput")

#: How the id of a flow run begins where it is a sender.
_RUN = "orchestrator.flow-run."
#: Messages that are fetched at a time.
_BATCH = 100


class RunInputMetadata(pydantic.BaseModel):
    """Where an input comes from: its key, who sent it, and the run that received it."""

    key: str
    sender: str | None = None
    receiver: str = ""


class RunInput(pydantic.BaseModel):
    """Base of models that flows ask people for, or that are sent to running flows: its fields are those of the form."""

    model_config = pydantic.ConfigDict(extra="forbid")

    #: What stands above the form, in markdown; the docstring where it is None.
    _description: ClassVar[str | None] = None
    _metadata: RunInputMetadata | None = pydantic.PrivateAttr(default=None)

    @property
    def metadata(self) -> RunInputMetadata | None:
        """Where it came from; None for one that was made here."""
        return self._metadata

    @classmethod
    def with_initial_data(cls: type[M], description: str | None = None, **values: Any) -> type[M]:
        """The same model with a description, and with values that its form begins with.

        Args:
            description: What stands above the form, in markdown.
            values: By field; they become its defaults.

        Raises:
            InvalidInput: There is no such field.
        """
        fields: dict[str, Any] = {}
        for name, value in values.items():
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields) or "none"
                raise InvalidInput(f"{cls.__name__} has no field {name}; its fields are {known}", {name: ["unknown"]})
            own = copy.copy(cls.model_fields[name])
            own.default, own.default_factory = value, None
            fields[name] = (own.annotation, own)
        made: type[M] = pydantic.create_model(cls.__name__, __base__=cls, **fields)
        made.__doc__ = cls.__doc__
        if description is not None:
            made._description = description
        return made

    def respond(self, run_input: Any, sender: str | None = None, key_prefix: str | None = None) -> Any:
        """Send something to the flow run that this came from; to be awaited in ``async`` code.

        Args:
            run_input, sender, key_prefix: As :func:`send_input`.

        Raises:
            InvalidInput: It came from no flow run.
        """
        told = self.metadata.sender if self.metadata is not None else None
        if told is None or not told.startswith(_RUN):
            raise InvalidInput(
                f"nobody can respond to {type(self).__name__}: no flow run sent it, but {told or 'nobody'}"
            )
        return send_input(run_input, told.removeprefix(_RUN), sender, key_prefix)

    def send_to(self, flow_run_id: uuid.UUID | str, sender: str | None = None, key_prefix: str | None = None) -> Any:
        """Send this to a flow run; as :func:`send_input`."""
        return send_input(self, flow_run_id, sender, key_prefix)

    @classmethod
    def receive(cls: type[M], timeout: float | None = 3600, **options: Any) -> Receiver[M]:
        """Receive such messages; as :func:`receive_input`."""
        return receive_input(cls, timeout, **options)


class AutomaticRunInput(RunInput):
    """A message whose value is of a type that has no fields: ``value`` holds it."""

    value: Any = None


def send_input(
    run_input: Any, flow_run_id: uuid.UUID | str, sender: str | None = None, key_prefix: str | None = None
) -> Any:
    """Send a message to a flow run, from wherever there is a key; to be awaited in ``async`` code.

    It is kept with the run, and received by :func:`receive_input` in the order in which messages came.

    Args:
        run_input: A :class:`RunInput`, or anything else that JSON can hold; 64 KiB of it at most.
        flow_run_id: Whom to send it to.
        sender: Whom an answer goes to; the flow run that sends it, when not given.
        key_prefix: By which receivers choose; what goes with its type, when not given.

    Raises:
        InvalidInput: It has no JSON form, or is too large.
        NotFound: There is no such run.
        Conflict: The run has ended.
    """
    run = context.owner()
    if sender is None and run is not None:
        sender = f"{_RUN}{run.id}"
    value = run_input.value if isinstance(run_input, AutomaticRunInput) else run_input
    body = {
        "value": input_types.plain(value),
        "key_prefix": key_prefix or input_types.key_prefix(type(value)),
        "sender": sender,
    }
    client = Client.from_settings()

    def post(stop: Stop) -> None:
        client.post(f"flow-runs/{flow_run_id}/messages", body)

    return awaiting.either(post)


def receive_input(
    input_type: type[T],
    timeout: float | None = 3600,
    poll_interval: float = 10,
    raise_timeout_error: bool = False,
    exclude_keys: Iterable[str] = (),
    key_prefix: str | None = None,
    flow_run_id: uuid.UUID | str | None = None,
    with_metadata: bool = False,
) -> Receiver[T]:
    """Receive messages of a type in a running flow: ``for``, ``async for``, or ``.next()``.

    Each message is received once by a try of the run, in the order of arrival, whichever receiver of its key prefix
    asks first. A new attempt begins with the first message again, as its code begins anew.

    Args:
        input_type: A :class:`RunInput`, another pydantic model, a dataclass, or any type with a JSON schema.
        timeout: Seconds to wait for each message; None: for ever. Then the loop ends.
        poll_interval: Of no effect: messages arrive at once. It is there for code that gives it.
        raise_timeout_error: Whether the loop raises InputTimedOut in place of ending.
        exclude_keys: Keys of messages to leave out.
        key_prefix: Only messages that were sent with it; what goes with the type, when not given.
        flow_run_id: Whose messages; those of the present run, when not given.
        with_metadata: Whether values of plain types come as :class:`AutomaticRunInput`, which knows its sender.

    Raises:
        Conflict: No flow run goes on here, or it is not tracked.
        InvalidInput: The type has no JSON schema, or could be several types and there is no key prefix. In the loop: a
            message does not fit the type; the next one may.
    """
    run = context.owner()
    if flow_run_id is None and run is None:
        raise Conflict("no flow run goes on here: give flow_run_id, or call receive_input in a flow")
    if run is not None and run.drawn is not None:
        drawn: Receiver[T] = run.drawn.messages(f"receive {getattr(input_type, '__name__', None) or input_type}")
        return drawn
    own = run if flow_run_id is None or (run is not None and str(flow_run_id) == run.id) else None
    return Receiver(
        kind=input_types.input_type(input_type),
        client=awaiting.client_of("receive_input", own),
        flow_run_id=str(own.id if own is not None else flow_run_id),
        run=own,
        key_prefix=key_prefix or input_types.key_prefix(input_type),
        timeout=timeout,
        raises=raise_timeout_error,
        excluded=frozenset(exclude_keys),
        with_metadata=with_metadata,
    )


@dataclass
class Receiver(Generic[T]):
    """Messages as they come; :func:`receive_input` makes it."""

    kind: input_types.InputType[T]
    client: Client
    flow_run_id: str
    run: FlowRun | None
    key_prefix: str
    timeout: float | None
    raises: bool
    excluded: frozenset[str]
    with_metadata: bool
    _own: awaiting.Waits = field(default_factory=awaiting.Waits)

    def next(self) -> Any:
        """The next message; to be awaited in ``async`` code. Raises InputTimedOut where none comes in time."""
        return awaiting.either(self._next)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._next(Stop())
        except InputTimedOut:
            if self.raises:
                raise
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await awaiting.in_thread(self._next)
        except InputTimedOut:
            if self.raises:
                raise
            raise StopAsyncIteration from None

    def _next(self, stop: Stop) -> T:
        waits = awaiting.waits_of(self.run) if self.run is not None else self._own
        while True:
            message = self._claimed(waits, stop)
            if message["key"] not in self.excluded:
                value: T = self._read(message)
                return value

    def _claimed(self, waits: awaiting.Waits, stop: Stop) -> dict[str, Any]:
        """The next message that no other receiver of this try has had."""
        look: Callable[[float], list[dict[str, Any]]] = lambda wait_s: self._look(waits, wait_s)  # noqa: E731
        while True:
            found = awaiting.polled(look, bool, stop, self.timeout)
            if not found:
                told = f"flow run {self.flow_run_id} was sent no message {self.key_prefix} within {self.timeout:g} s"
                raise InputTimedOut(told)
            with waits.lock:
                for message in found:
                    if message["position"] > waits.read.get(self.key_prefix, 0):
                        waits.read[self.key_prefix] = message["position"]
                        return message

    def _look(self, waits: awaiting.Waits, wait_s: float) -> list[dict[str, Any]]:
        after = waits.read.get(self.key_prefix, 0)
        path = f"flow-runs/{self.flow_run_id}/messages"
        given = {"key_prefix": self.key_prefix, "after": after, "limit": _BATCH}
        if self.run is None:
            found = awaiting.get(self.client, path, wait_s, **given)
        else:
            found = awaiting.known(self.run, lambda: awaiting.get(self.client, path, wait_s, **given), Stop())
        items: list[dict[str, Any]] = found["items"]
        return items

    def _read(self, message: dict[str, Any]) -> Any:
        try:
            value: Any = self.kind.read({input_types.VALUE: message["value"]} if self.kind.wraps else message["value"])
        except InvalidInput as error:
            raise InvalidInput(f"message {message['key']} does not fit: {error}", error.errors) from None
        if self.with_metadata and not isinstance(value, RunInput):
            value = AutomaticRunInput(value=value)
        if isinstance(value, RunInput):
            told = RunInputMetadata(key=message["key"], sender=message["sender"], receiver=self.flow_run_id)
            value._metadata = told
        return value
