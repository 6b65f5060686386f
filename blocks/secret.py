"""One secret value, such as a token, by name."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr

from orchestrator import interfaces
from orchestrator.block import Block


class Secret(Block, interfaces.Secret):
    """One value that is encrypted at rest and masked wherever it is shown."""

    _name: ClassVar[str] = "Secret"
    _slug: ClassVar[str] = "secret"
    _logo: ClassVar[str] = (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
        "stroke='%23667382' stroke-width='2'%3E%3Crect x='5' y='11' width='14' height='9'/%3E"
        "%3Cpath d='M8 11V7a4 4 0 0 1 8 0v4'/%3E%3C/svg%3E"
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.secret import Secret

        Secret(value="open sesame").save("cave")
        Secret.load("cave").get()
        """

    value: SecretStr = Field(description="The value itself.")

    def get(self) -> str:
        """The value, in clear."""
        return self.value.get_secret_value()
