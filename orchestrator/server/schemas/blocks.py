"""Block types and blocks."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import ActorSchema, Instant, Json, Mapping, PageQuery, Prose, Strict, Title, page_of

_SLUG = validate.Regexp(r"[a-z0-9]+(-[a-z0-9]+)*\Z", error="Must be small letters, digits and hyphens.")
_NAME = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z", error="Must be letters, digits, '_', '.', '-', a letter or digit first."
)


_THROUGH = {"description": "The block by which it is used; null: it is used itself."}

#: ``GET blocks/TYPE/usage`` and the like would be taken for what is asked of a block with the id TYPE.
_NOT_A_ROUTE = validate.NoneOf(["usage", "history", "discovery"], error="{input} cannot name a block.")


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
    broken = fields.String(
        required=True, metadata={"description": "Why an installed package's kind cannot be used; empty: it can."}
    )
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
    name = fields.String(load_default=None, allow_none=True, validate=[_NAME, _NOT_A_ROUTE])
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
    secrets = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Places of secrets in `data`, such as `credentials/data/key`."},
    )


class BlockSecretsSchema(Strict):
    """New secrets of a block, at their places, and fields that change with them; what is left out is kept."""

    data = Mapping(required=True)


class BlockDeletionQuery(Strict):
    """How to delete."""

    force = fields.Boolean(
        load_default=False,
        metadata={"description": "Also a block in use; deployments that refer to it are not ready then."},
    )


class BlockHolderSchema(Strict):
    """A block that holds another one."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    field = fields.String(required=True)
    through = fields.String(required=True, allow_none=True, metadata=_THROUGH)


class BlockDeploymentSchema(Strict):
    """A deployment that refers to a block."""

    id = fields.UUID(required=True)
    flow = fields.String(required=True)
    name = fields.String(required=True)
    as_ = fields.String(
        required=True,
        data_key="as",
        validate=validate.OneOf(("storage", "infrastructure", "results", "notifications", "template")),
    )
    through = fields.String(required=True, allow_none=True, metadata=_THROUGH)


class BlockTriggerSchema(Strict):
    """A trigger that acts by a block."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    deployment = fields.String(required=True, allow_none=True, metadata={"description": "Its owner."})
    through = fields.String(required=True, allow_none=True, metadata=_THROUGH)


class LoaderSchema(Strict):
    """Who loaded."""

    type = fields.String(required=True)
    name = fields.String(required=True)


class BlockLoadSchema(Strict):
    """Loads of a block by one loader; the runs of a deployment (or flow) count together."""

    who = fields.Nested(LoaderSchema, required=True)
    flow = fields.String(required=True, allow_none=True)
    deployment = fields.String(required=True, allow_none=True)
    last = Instant(required=True)
    count = fields.Integer(required=True)


class BlockUsageSchema(Strict):
    """Who uses a block, itself or through blocks that hold it, and who loaded it in the last 30 days."""

    blocks = fields.List(fields.Nested(BlockHolderSchema), required=True)
    deployments = fields.List(fields.Nested(BlockDeploymentSchema), required=True)
    triggers = fields.List(fields.Nested(BlockTriggerSchema), required=True)
    loads_ = fields.List(fields.Nested(BlockLoadSchema), required=True, data_key="loads")


class BlockFieldChangeSchema(Strict):
    """A field that was changed; of a secret only that it was."""

    field = fields.String(required=True)
    secret = fields.Boolean(required=True)
    before = Json(required=True, allow_none=True)
    after = Json(required=True, allow_none=True)


class BlockChangeRecordSchema(Strict):
    """A change of a block."""

    id = fields.UUID(required=True)
    at = Instant(required=True)
    by = fields.Nested(ActorSchema, required=True)
    verb = fields.String(required=True, validate=validate.OneOf(("created", "updated", "rotated")))
    fields_ = fields.List(fields.Nested(BlockFieldChangeSchema), required=True, data_key="fields")


class BlockQuery(PageQuery):
    """Which blocks to list; newest first."""

    type = fields.String(metadata={"description": "Slug of the block type."})
    name = fields.String(metadata={"description": "Part of the name."})
    interface = fields.String(metadata={"description": "Of types that implement it."})


BlockHistoryPage = page_of(BlockChangeRecordSchema)
BlockPage = page_of(BlockSchema)
BlockTypePage = page_of(BlockTypeSchema)
