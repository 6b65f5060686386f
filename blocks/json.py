"""Any JSON value by name: settings that several flows share."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, JsonValue

from orchestrator.block import Block


class JSON(Block):
    """Any JSON value: an object, a list, a text, a number, true, false or null. No place for secrets."""

    _name: ClassVar[str] = "JSON"
    _slug: ClassVar[str] = "json"
    _logo: ClassVar[str] = (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
        "stroke='%23667382' stroke-width='2'%3E"
        "%3Cpath d='M9 4H7v6l-3 2 3 2v6h2M15 4h2v6l3 2-3 2v6h-2'/%3E%3C/svg%3E"
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.json import JSON

        JSON(value={"airports": ["JFK", "SFO"]}).save("scope")
        JSON.load("scope").get()["airports"]
        """

    value: JsonValue = Field(description="The value itself.")

    def get(self) -> Any:
        """The value."""
        return self.value
