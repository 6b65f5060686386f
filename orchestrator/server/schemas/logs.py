"""Log lines."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from .base import Instant, PageQuery, Strict, page_of

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Level(fields.Field[int]):
    """A level by Python's number or name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        text = str(value).lower()
        if text in LEVELS:
            return LEVELS[text]
        if text.isascii() and text.isdigit() and len(text) < 4:
            return int(text)
        raise ValidationError(f"Must be one of {', '.join(LEVELS)}, or a number.")


class LogSchema(Strict):
    """A log line."""

    id = fields.UUID(required=True)
    flow_run_id = fields.UUID(required=True)
    task_run_id = fields.UUID(required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    level = fields.Integer(required=True, metadata={"description": "Python's number: 20 is info, 40 error."})
    logger = fields.String(required=True)
    message = fields.String(required=True)
    at = Instant(required=True)


class LogQuery(PageQuery):
    """Which lines of one flow run to list; oldest first."""

    flow_run_id = fields.UUID(required=True)
    task_run_id = fields.UUID()
    level = Level(metadata={"description": "The least level: `warning`, or 30."})
    search = fields.String(validate=validate.Length(max=500), metadata={"description": "Text that the line holds."})
    after = fields.UUID(metadata={"description": "Only lines after the one of this id."})
    attempt = fields.Integer(validate=validate.Range(0, 32_767))


LogPage = page_of(LogSchema)
