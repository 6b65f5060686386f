"""Blocks: the list of documents, the catalogue of types, and what a field may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.server.db.models import Block, BlockType
from orchestrator.server.services.configuring import block_types, blocks
from orchestrator.server.services.configuring.blocks import BlockFilter
from orchestrator.server.services.paging import LIMIT_MAX, Page

from ..looks import VALUES, Kind, home_of, in_order, interface

#: Most documents that a field offers to choose from.
CHOICES_MAX = 1000
ANY = "*"


@dataclass(frozen=True)
class Asked:
    """How a list of blocks or of types is narrowed; empty does not narrow."""

    text: str = ""
    type: str = ""
    interface: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.text or self.type or self.interface)


@dataclass(frozen=True)
class BlocksPage:
    """One page of documents, and what its filters offer."""

    rows: Page[Block]
    types: list[tuple[str, str]]
    interfaces: list[tuple[str, Kind]]


@dataclass(frozen=True)
class Card:
    """A type as the catalogue shows it."""

    slug: str
    name: str
    description: str
    logo: str
    interfaces: list[str]
    #: Why it could not be tested; empty when it was.
    untested: str = ""
    #: Why it cannot be used here; empty when it can.
    broken: str = ""


@dataclass(frozen=True)
class Shelf:
    """The cards of one interface."""

    slug: str
    kind: Kind
    cards: list[Card]


@dataclass(frozen=True)
class CataloguePage:
    """The catalogue: shelves with cards on them, and the interfaces to choose from, with how many types each has."""

    shelves: list[Shelf]
    interfaces: list[tuple[str, Kind, int]]
    found: int


def asked(arguments: Mapping[str, str]) -> Asked:
    """Read the filters out of a page's address."""
    return Asked(*(arguments.get(name, "").strip() for name in ("q", "type", "interface")))


def listing(session: Session, wanted: Asked, cursor: str | None) -> BlocksPage:
    """Read one page of documents."""
    narrowed = BlockFilter(type=wanted.type or None, name=wanted.text or None, interface=wanted.interface or None)
    types = block_types.listing(session)
    names = sorted(((kind.slug, str(kind.name or kind.slug)) for kind in types), key=lambda pair: pair[1].lower())
    present = {slug for kind in types for slug in _interfaces(kind)}
    return BlocksPage(
        blocks.listing(session, narrowed, 50, cursor), names, [(slug, interface(slug)) for slug in in_order(present)]
    )


def catalogue(session: Session, wanted: Asked) -> CataloguePage:
    """Read the catalogue. A type that is broken, or that nobody can make sense of, has a card that says so."""
    cards = [card(kind) for kind in block_types.listing(session)]
    counts: dict[str, int] = {}
    for item in cards:
        for slug in item.interfaces:
            counts[slug] = counts.get(slug, 0) + 1
    fitting = [item for item in cards if _fits(item, wanted)]
    return CataloguePage(
        shelves=_shelves(fitting, wanted.interface),
        interfaces=[(slug, interface(slug), counts[slug]) for slug in in_order(set(counts))],
        found=len(fitting),
    )


def card(kind: BlockType) -> Card:
    """A type's card, whatever is stored of it."""
    return Card(
        slug=kind.slug,
        name=str(kind.name or kind.slug),
        description=str(kind.description or ""),
        logo=str(kind.logo or ""),
        interfaces=_interfaces(kind),
        untested=str(kind.untested or ""),
        broken=str(kind.broken or ""),
    )


def choices(session: Session, of: str) -> dict[str, Any]:
    """What a field that holds a block may choose from.

    Args:
        of: Slug of a type, name of an interface, or ``*`` for any block.

    Returns:
        ``{"types": [{slug, name}], "blocks": [{id, label}]}``, both sorted.
    """
    types = [kind for kind in block_types.listing(session) if of in (ANY, kind.slug) or of in _interfaces(kind)]
    exact = any(kind.slug == of for kind in types)
    narrowed = BlockFilter() if of == ANY else BlockFilter(type=of) if exact else BlockFilter(interface=of)
    found: list[Block] = []
    cursor: str | None = None
    while len(found) < CHOICES_MAX:
        page = blocks.listing(session, narrowed, LIMIT_MAX, cursor)
        found += [item for item in page.items if item.name is not None]
        if (cursor := page.next) is None:
            break
    return {
        "types": [{"slug": kind.slug, "name": kind.name} for kind in types],
        "blocks": sorted(({"id": str(item.id), "label": blocks.label(item)} for item in found), key=_label),
    }


def _label(choice: dict[str, str]) -> str:
    return choice["label"]


def _fits(item: Card, wanted: Asked) -> bool:
    text = " ".join([item.slug, item.name, item.description, *item.interfaces]).lower()
    words = wanted.text.lower().split()
    return all(word in text for word in words) and (not wanted.interface or wanted.interface in item.interfaces)


def _shelves(cards: list[Card], only: str) -> list[Shelf]:
    if only:
        return [Shelf(only, interface(only), _sorted(cards))] if cards else []
    by_home: dict[str, list[Card]] = {}
    for item in cards:
        by_home.setdefault(home_of(item.interfaces), []).append(item)
    order = [*in_order(set(by_home) - {""}), *([""] if "" in by_home else [])]
    return [Shelf(slug, interface(slug) if slug else VALUES, _sorted(by_home[slug])) for slug in order]


def _sorted(cards: list[Card]) -> list[Card]:
    return sorted(cards, key=lambda item: (bool(item.broken), item.name.lower()))


def _interfaces(kind: BlockType) -> list[str]:
    return [str(item) for item in kind.interfaces] if isinstance(kind.interfaces, (list, tuple)) else []
