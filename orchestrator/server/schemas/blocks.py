"""Block types and blocks."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Mapping, PageQuery, Prose, Strict, Title, page_of

_SLUG = validate.Regexp(r"[a-z0-9]+(-[a-z0-9]+)*\Z", error="Must be small letters, digits and hyphens.")
_NAME = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z", error="Must be letters, digits, '_', '.', '-', a letter or digit first."
)


class BlockTypeInputSchema(Strict):
    """A block type to be made known."""

    slug = fields.String(required=True, validate=[validate.Length(max=128), _SLUG])
    name = Title()
    description = Prose()
    logo = Prose(metadata={"description": "Address of a picture, or a data URL."})
    docs_url = fields.String(validate=validate.Length(max=2000))
    code_example = Prose()
    untested = Prose(metadata={"description": "Why the kind could not be tested, where that is so."})
    import_path = fields.String(required=True, validate=validate.Length(max=500))
    interfaces = fields.List(fields.String(validate=_SLUG), load_default=list)
    schema = Mapping(required=True, metadata={"description": "JSON schema; secrets are `writeOnly`."})


class BlockTypeSchema(Strict):
    """A block type."""

    id = fields.UUID(required=True)
    slug = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    logo = fields.String(required=True)
    docs_url = fields.String(required=True)
    code_example = fields.String(required=True)
    untested = fields.String(required=True)
    import_path = fields.String(required=True)
    interfaces = fields.List(fields.String(), required=True)
    schema = Mapping(required=True)
    block_schema_id = fields.UUID(required=True, allow_none=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class BlockTypeQuery(PageQuery):
    """Which block types to list."""

    interface = fields.String(metadata={"description": "Those that implement it, such as `file-system`."})


class BlockInputSchema(Strict):
    """A block to be saved."""

    type = fields.String(required=True, metadata={"description": "Slug of the block type."})
    block_schema_id = fields.UUID(load_default=None, allow_none=True)
    name = fields.String(load_default=None, allow_none=True, validate=_NAME)
    data = Mapping(required=True)


class BlockChangeSchema(Strict):
    """A block's new values; a secret given as `********` is kept."""

    block_schema_id = fields.UUID(load_default=None, allow_none=True)
    data = Mapping(required=True)


class BlockSchema(Strict):
    """A block; its secrets are shown as `********`."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    data = Mapping(required=True)
    block_schema_id = fields.UUID(required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class LoadedBlockSchema(Strict):
    """A block with its secrets in clear; blocks that it holds are `{"$block": id, "type", "name", "data"}`."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    import_path = fields.String(required=True)
    data = Mapping(required=True)


class BlockQuery(PageQuery):
    """Which blocks to list; newest first."""

    type = fields.String(metadata={"description": "Slug of the block type."})
    name = fields.String(metadata={"description": "Part of the name."})
    interface = fields.String(metadata={"description": "Of types that implement it."})


BlockPage = page_of(BlockSchema)
BlockTypePage = page_of(BlockTypeSchema)
