"""Webhooks and their deliveries."""

from __future__ import annotations

from marshmallow import fields, validate

from ..webhook_presets import PRESETS
from .base import Instant, Json, Mapping, Name, PageQuery, Prose, Strict, page_of

_SCHEMES = ("hmac-sha256", "hmac-sha1", "hmac-sha512", "monte-carlo", "token", "sns")
_OUTCOMES = ("accepted", "ignored", "confirmed", "failed", "refused")


class SignatureSchema(Strict):
    """How deliveries are signed."""

    scheme = fields.String(required=True, validate=validate.OneOf(_SCHEMES))
    header = fields.String(load_default="", validate=validate.Length(max=200))
    prefix = fields.String(
        load_default="", validate=validate.Length(max=100), metadata={"description": "What stands before it."}
    )


def _preset(**more: object) -> fields.String:
    return fields.String(validate=validate.OneOf(list(PRESETS)), **more)  # type: ignore[arg-type]


def _template() -> fields.String:
    text = {"description": "Jinja; left out: the preset's."}
    return fields.String(validate=validate.Length(min=1, max=50_000), metadata=text)


def _secret() -> fields.String:
    text = {"description": "What deliveries are signed with; never shown again."}
    return fields.String(load_only=True, validate=validate.Length(min=1, max=1000), metadata=text)


def _minute_max() -> fields.Integer:
    return fields.Integer(validate=validate.Range(1, 100_000))


class WebhookInputSchema(Strict):
    """A webhook to be made."""

    name = Name(required=True)
    description = Prose()
    active = fields.Boolean()
    preset = _preset()
    template = _template()
    signature = fields.Nested(SignatureSchema, allow_none=True)
    secret = _secret()
    minute_max = _minute_max()


class WebhookChangeSchema(Strict):
    """What of a webhook shall be otherwise; what is left out stays."""

    name = Name()
    description = Prose()
    active = fields.Boolean()
    preset = _preset()
    template = _template()
    signature = fields.Nested(
        SignatureSchema, allow_none=True, metadata={"description": "null: deliveries are not signed."}
    )
    secret = _secret()
    minute_max = _minute_max()


class WebhookSchema(Strict):
    """A webhook."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    active = fields.Boolean(required=True)
    preset = fields.String(required=True)
    template = fields.String(required=True)
    signature = fields.Nested(SignatureSchema, required=True, allow_none=True)
    minute_max = fields.Integer(required=True, metadata={"description": "Most deliveries a minute."})
    address_end = fields.String(required=True, metadata={"description": "The last characters of its address."})
    rotated = Instant(required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class AddressedWebhookSchema(Strict):
    """A webhook with its address, which is shown this once."""

    webhook = fields.Nested(WebhookSchema, required=True)
    url = fields.String(required=True)


class WebhookQuery(PageQuery):
    """Which webhooks to list, by name."""

    name = fields.String(metadata={"description": "Part of the name."})
    preset = _preset()
    active = fields.Boolean()


class DeliveryQuery(PageQuery):
    """Which deliveries to list, newest first."""

    outcome = fields.String(load_default=None, validate=validate.OneOf(_OUTCOMES))


class DeliverySchema(Strict):
    """A delivery, and what became of it."""

    id = fields.UUID(required=True)
    received = Instant(required=True)
    method = fields.String(required=True)
    content_type = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "Bytes of the body."})
    outcome = fields.String(required=True, validate=validate.OneOf(_OUTCOMES))
    status = fields.Integer(required=True, metadata={"description": "HTTP status of the answer."})
    reason = fields.String(required=True)
    events = fields.List(fields.UUID(), required=True)


class WholeDeliverySchema(DeliverySchema):
    """A delivery with what came."""

    headers = Mapping(required=True)
    query = Mapping(required=True)
    body = Json(required=True, allow_none=True, metadata={"description": "As the template sees it."})


class RenderSchema(Strict):
    """What to try."""

    template = fields.String(validate=validate.Length(max=50_000), metadata={"description": "Left out: its own."})
    delivery_id = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "Left out: the newest; where there is none, the preset's example."},
    )


class TrialSchema(Strict):
    """What a template makes of a delivery."""

    events = fields.List(Mapping(), required=True)
    reason = fields.String(required=True, metadata={"description": "Why it fails; empty when it does not."})
    rendered = fields.String(required=True)
    delivery_id = fields.UUID(required=True, allow_none=True)


class PresetSchema(Strict):
    """What is known of a system that sends deliveries."""

    slug = fields.String(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    setup = fields.String(required=True)
    template = fields.String(required=True)
    signature = fields.Nested(SignatureSchema, required=True, allow_none=True)
    example = Json(required=True, allow_none=True)


WebhookPage = page_of(WebhookSchema)
DeliveryPage = page_of(DeliverySchema)
PresetPage = page_of(PresetSchema)
