"""API keys and login links."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, PageQuery, Strict, Title, page_of

ROLES = ("admin", "editor", "viewer", "agent")


class ApiKeyQuery(PageQuery):
    """Which keys to list."""

    revoked = fields.Boolean(load_default=False, metadata={"description": "Also those that were revoked."})


class ApiKeySchema(Strict):
    """A key, without its secret."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    prefix = fields.String(required=True, metadata={"description": "Its first characters, to tell keys apart."})
    created = Instant(required=True)
    expires = Instant(required=True, allow_none=True)
    revoked = Instant(required=True, allow_none=True)
    last_used = Instant(required=True, allow_none=True, metadata={"description": "To the minute."})


class ApiKeyCreateSchema(Strict):
    """A key to be made."""

    name = Title(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    expires = Instant(load_default=None, allow_none=True)


class ApiKeyCreatedSchema(ApiKeySchema):
    """A new key; its secret is shown this once."""

    key = fields.String(required=True)


class LoginSchema(Strict):
    """A link that opens the dashboard once."""

    url = fields.String(required=True)
    expires = Instant(required=True)


ApiKeyPage = page_of(ApiKeySchema)
