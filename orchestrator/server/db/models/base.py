"""What every table shares: the registry, naming of constraints, column kinds."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import DateTime, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

from ....ids import uuid7
from ....states import StateType

#: SQL list of the state types, for CHECK constraints.
STATE_TYPES = ", ".join(f"'{kind.value}'" for kind in StateType)

Key = Annotated[uuid.UUID, mapped_column(UUID(as_uuid=True), primary_key=True, default=uuid7)]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Created = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]
Tags = Annotated[list[str], mapped_column(ARRAY(Text), server_default=text("'{}'"), default=list)]
Json = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"), default=dict)]
JsonOrNone = Annotated[Any, mapped_column(JSONB(none_as_null=True), nullable=True)]


class Base(DeclarativeBase):
    """The registry of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, datetime: DateTime(timezone=True)}
