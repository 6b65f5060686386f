"""Blocks: typed configuration with behaviour, saved on the server and loaded by name.

A kind of block is a subclass of :class:`Block`: pydantic fields, facts for people (``_name``, ``_description``, ...)
and verbs. ``SecretStr`` and :data:`SecretDict` fields are secrets: encrypted on the server, masked everywhere.
A field typed as another block, or as an interface, holds a *reference*: the block in it must have been saved, and
whoever changes that one document changes what every block that refers to it sees.

:mod:`orchestrator.kinds.block_kinds` finds kinds, :mod:`orchestrator.kinds.block_schemas` tells forms of their fields.
"""

from __future__ import annotations

import importlib
import inspect
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, Secret, SecretBytes, SecretStr, ValidationError, WithJsonSchema
from pydantic_core import PydanticUndefined

from .errors import BlockError
from .interfaces import Interface
from .kinds import block_kinds
from .kinds.block_schemas import json_schema

B = TypeVar("B", bound="Block")

REFERENCE = "$block"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FACTS = ("_name", "_slug", "_description", "_logo", "_docs_url", "_code_example", "_untested_here", "_field_order")

#: A dictionary whose values are all secret.
SecretDict = Annotated[Secret[dict[str, Any]], WithJsonSchema({"type": "object", "writeOnly": True})]


class BlockStore(Protocol):
    """Where documents lie: the API for clients, the database for services."""

    def register(self, type_facts: dict[str, Any]) -> str:
        """Make a block type known, or bring it up to date; returns its schema's id. Idempotent."""

    def save(self, slug: str, name: str | None, data: dict[str, Any], overwrite: bool) -> str:
        """Save a document, secrets in clear; returns its id. Raises Conflict where the name is taken."""

    def load(self, ref: str) -> dict[str, Any]:
        """The document that ``slug/name`` or an id names, secrets in clear: ``{id, type, name, data}``."""

    def delete(self, ref: str) -> None:
        """Delete a document. Raises NotFound."""


_store: ContextVar[BlockStore | None] = ContextVar("block_store", default=None)
_default_store: list[Callable[[], BlockStore]] = []


@contextmanager
def use_store(store: BlockStore) -> Iterator[BlockStore]:
    """Save and load by ``store`` inside the ``with``."""
    token = _store.set(store)
    try:
        yield store
    finally:
        _store.reset(token)


def set_default_store(factory: Callable[[], BlockStore]) -> None:
    """What gives the store where no :func:`use_store` does; the client sets it."""
    _default_store[:] = [factory]


def current_store() -> BlockStore:
    """The store in use. Raises BlockError where no API is configured."""
    if (store := _store.get()) is not None:
        return store
    if not _default_store:
        # The client is a floor above, and `from orchestrator.blocks.s3 import S3` alone does not bring it.
        importlib.import_module("orchestrator.stored.block_store")
    if not _default_store:
        raise BlockError("blocks are saved and loaded by the API: set ORCHESTRATOR_API_URL and ORCHESTRATOR_API_KEY")
    return _default_store[0]()


class Block(BaseModel):
    """Base of all kinds of block."""

    # Values never stand in a validation error: one of them may be the secret.
    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    #: What people call the kind; the class's name when empty.
    _name: ClassVar[str] = ""
    #: What it is addressed by; the class's name in kebab-case when empty.
    _slug: ClassVar[str] = ""
    #: A sentence; the head of the class's docstring when empty.
    _description: ClassVar[str] = ""
    #: ``tabler:<icon>``, one of the Tabler icons that the dashboard brings, or a small picture as a data URL.
    _logo: ClassVar[str] = ""
    _docs_url: ClassVar[str] = ""
    _code_example: ClassVar[str] = ""
    #: Where no stand-in for the kind's other side exists: a sentence that says so, and what is tested all the same.
    _untested_here: ClassVar[str] = ""
    #: Fields that forms show first, in this order; the others follow as the class and those above it define them.
    _field_order: ClassVar[tuple[str, ...]] = ()

    _document_id: str | None = PrivateAttr(None)
    _document_name: str | None = PrivateAttr(None)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        # pydantic makes private attributes of names with an underscore; the facts are the class's.
        for fact in _FACTS:
            private = cls.__private_attributes__.pop(fact, None)
            if private is not None and private.default is not PydanticUndefined:
                setattr(cls, fact, private.default)
        if "_slug" not in vars(cls):
            cls._slug = _kebab(cls.__name__)
        if not _SLUG.fullmatch(cls._slug):
            raise BlockError(f"{cls.__name__}._slug is {cls._slug!r}: write small letters, digits and hyphens")
        if not inspect.isabstract(cls):
            block_kinds.classes[cls._slug] = cls

    @property
    def document_id(self) -> str | None:
        """The document's id, once saved or loaded."""
        return self._document_id

    @property
    def document_name(self) -> str | None:
        """The document's name, once saved or loaded by one."""
        return self._document_name

    @classmethod
    def type_facts(cls) -> dict[str, Any]:
        """All that the server and its forms know of the kind, ready for JSON."""
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise BlockError(f"{block_kinds.import_path(cls)} is no whole block type: it lacks {missing}")
        return {
            "slug": cls._slug,
            "name": vars(cls).get("_name") or cls.__name__,
            "description": vars(cls).get("_description") or _headline(cls),
            "logo": cls._logo,
            "docs_url": cls._docs_url,
            "code_example": inspect.cleandoc(cls._code_example),
            "import_path": block_kinds.import_path(cls),
            "interfaces": cls._interfaces(),
            "untested": cls._untested_here,
            "schema": json_schema(cls, Block),
        }

    @classmethod
    def _interfaces(cls) -> list[str]:
        """Names of the interfaces that the kind implements."""
        names = {vars(base).get("interface", "") for base in cls.__mro__ if issubclass(base, Interface)}
        return sorted(names - {""})

    def test(self) -> str:
        """Try whether the block works, changing nothing; returns a sentence that says what was seen.

        Kinds override it. It is called on an agent, by the page's *Test* and by ``orchestrator block test``.

        Raises:
            OrchestratorError: It does not work; the message says why and what to do.
        """
        return "The values are complete; this kind has nothing to try."

    @classmethod
    def register(cls) -> str:
        """Tell the server of the kind; returns the id of its schema. Idempotent."""
        return current_store().register(cls.type_facts())

    def save(self, name: str, overwrite: bool = False) -> str:
        """Save under a name, registering the kind; returns the document's id.

        Raises:
            BlockError: The name cannot be used, or a field holds a block that was never saved.
            Conflict: The name is taken, and ``overwrite`` is not set.
        """
        if not _NAME.fullmatch(name):
            raise BlockError(
                f"{name!r} cannot name a block: use letters, digits, '_', '.', '-', a letter or digit first"
            )
        data = self.to_document()["data"]
        if any((held._slug, held._document_name) == (self._slug, name) for held in _blocks_in(vars(self))):
            raise BlockError(f"{self._slug}/{name} would hold itself, by one of the blocks in it")
        store = current_store()
        store.register(self.type_facts())
        self._document_id = str(store.save(self._slug, name, data, overwrite))
        self._document_name = name
        return self._document_id

    @classmethod
    def load(cls: type[B], name: str) -> B:
        """Load a block: ``S3.load("dev")``, ``Block.load("s3/dev")``, or by a document's id.

        Raises:
            NotFound: There is no such document.
            BlockError: Its kind is unknown in this process, is another than the class asked, or lacks a value.
        """
        return cls.from_document(current_store().load(cls._reference(name)))

    @classmethod
    def delete_saved(cls, name: str) -> None:
        """Delete a saved document; addressed as in :meth:`load`."""
        current_store().delete(cls._reference(name))

    @classmethod
    def _reference(cls, name: str) -> str:
        if _is_id(name) or "/" in name:
            slug, slash, rest = name.partition("/")
            if slash and not (_SLUG.fullmatch(slug) and _NAME.fullmatch(rest)):
                raise BlockError(f"{name!r} names no block: write TYPE/NAME, for example s3/dev")
            return name
        if cls is Block or inspect.isabstract(cls):
            raise BlockError(
                f"{name!r} does not tell the block's type: write TYPE/NAME, for example s3/{name or 'dev'}"
            )
        return f"{cls._slug}/{name}"

    def to_document(self) -> dict[str, Any]:
        """The document as it is saved: ``{type, name, data}``; secrets in clear, blocks as ``{"$block": id}``.

        Raises:
            BlockError: A field holds a block that was never saved.
        """
        dumped = self.model_dump(mode="json")
        data = {field: _to_data(getattr(self, field), dumped.get(field), (self, field)) for field in dumped}
        return {"type": self._slug, "name": self._document_name, "data": data}

    @classmethod
    def from_document(cls: type[B], document: Mapping[str, Any]) -> B:
        """Make the block out of a loaded document, whatever version of the class saved it.

        Fields that the class no longer has are ignored; new ones take their defaults.

        Raises:
            BlockError: The kind is unknown or another; or a required field has no value, or one that does not fit.
        """
        slug, label = str(document["type"]), _label(document)
        # The class that is asked wins over one defined later under the same slug: the same file, imported twice.
        asked = cls is not Block and cls._slug == slug and not inspect.isabstract(cls)
        kind = cls if asked else block_kinds.find(slug, document.get("import_path"))
        if not issubclass(kind, cls):
            raise BlockError(f"block {label} is a {block_kinds.import_path(kind)}, not a {cls.__name__}")
        data = {key: _from_data(value) for key, value in document["data"].items() if kind._takes(key)}
        try:
            block = kind.model_validate(data)
        except ValidationError as error:
            raise BlockError(f"block {label}: {_explain(error, kind, label)}") from None
        block._document_id = str(document["id"]) if document.get("id") else None
        block._document_name = document.get("name")
        return block

    @classmethod
    def _takes(cls, key: str) -> bool:
        if cls.model_config.get("extra") == "allow" or key in cls.model_fields:
            return True
        return any(key in (item.alias, item.validation_alias) for item in cls.model_fields.values())


def _to_data(value: Any, dumped: Any, place: tuple[Block, str]) -> Any:
    """The saved form of a value; ``dumped`` is what pydantic makes of it, with secrets masked."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        clear = value.get_secret_value()
        return clear.decode() if isinstance(clear, bytes) else clear
    if isinstance(value, Block):
        return _to_reference(value, place)
    if isinstance(value, BaseModel):
        return {key: _to_data(getattr(value, key), item, place) for key, item in dumped.items()}
    if isinstance(value, Mapping):
        return {
            key: _to_data(inner, item, place) for inner, (key, item) in zip(value.values(), dumped.items(), strict=True)
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_to_data(inner, item, place) for inner, item in zip(value, dumped, strict=True)]
    return dumped


def _to_reference(value: Block, place: tuple[Block, str]) -> dict[str, str]:
    holder, field = place
    if value._document_id is None:
        kind = type(value).__name__
        raise BlockError(
            f"the field {field!r} of {type(holder).__name__} holds a {kind} that is not saved: "
            f"save it first, for example {field}.save('dev'), so that it can be referred to"
        )
    return {REFERENCE: value._document_id}


def _blocks_in(value: Any) -> Iterator[Block]:
    """All blocks inside a value, those inside them too."""
    if isinstance(value, Block):
        yield value
    if isinstance(value, BaseModel):
        value = vars(value)
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, Iterable) and not isinstance(inner, (str, bytes)):
        for item in inner:
            yield from _blocks_in(item)


def _from_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        if REFERENCE in value:
            document = value if "data" in value else current_store().load(str(value[REFERENCE]))
            return Block.from_document({**document, "id": value[REFERENCE]})
        return {key: _from_data(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_data(item) for item in value]
    return value


def _explain(error: ValidationError, kind: type[Block], label: str) -> str:
    problems = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(str(part) for part in item["loc"]) or "block"
        if item["type"] == "missing":
            problems.append(
                f"the field {field!r}, which {block_kinds.import_path(kind)} requires, has no saved value: "
                f"`orchestrator block register {kind.__module__}` and "
                f"`orchestrator block create {label} --overwrite --set {field}=...`, or save it again from code"
            )
        else:
            problems.append(f"the field {field!r}: {item['msg']}")
    return "; ".join(problems)


def _kebab(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")


def _headline(kind: type) -> str:
    text = vars(kind).get("__doc__") or ""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def _label(document: Mapping[str, Any]) -> str:
    return f"{document['type']}/{document.get('name') or document.get('id') or '?'}"


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
