"""Any JSON value by name: settings that several flows share."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, JsonValue

from orchestrator.block import Block


class JSON(Block):
    """Any JSON value: an object, a list, a text, a number, true, false or null. No place for secrets."""

    _name: ClassVar[str] = "JSON"
    _slug: ClassVar[str] = "json"
    _logo: ClassVar[str] = "tabler:braces"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.json import JSON

        JSON(value={"airports": ["JFK", "SFO"]}).save("scope")
        JSON.load("scope").get()["airports"]
        """

    value: JsonValue = Field(description="The value itself.")

    def get(self) -> Any:
        """The value."""
        return self.value
