"""A text by name: a setting that several flows share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.block import Block


class String(Block):
    """A text. No place for secrets."""

    _name: ClassVar[str] = "String"
    _slug: ClassVar[str] = "string"
    _logo: ClassVar[str] = "tabler:letter-case"
    _docs_url: ClassVar[str] = "https://docs.python.org/3/library/stdtypes.html#text-sequence-type-str"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.string import String

        String(value="eu-central-1").save("region")
        String.load("region").get()
        """

    value: str = Field(description="The text itself.", json_schema_extra={"x-multiline": True})

    def get(self) -> str:
        """The text."""
        return self.value
