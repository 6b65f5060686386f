"""The base of all interfaces."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Interface(abc.ABC):  # noqa: B024 - the abstract methods are those of each interface
    """Base of all interfaces."""

    #: The name that block types are listed under.
    interface: ClassVar[str] = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A block that names the interface before Block among its bases is still the model it is.
        if issubclass(cls, BaseModel):
            return handler(source)
        schema = {"type": "object", "title": cls.__name__, "x-block": cls.interface}
        functions = [lambda _schema, _handler: schema]
        return core_schema.is_instance_schema(cls, metadata={"pydantic_js_functions": functions})
