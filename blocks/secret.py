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
    _logo: ClassVar[str] = "tabler:lock"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.secret import Secret

        Secret(value="open sesame").save("cave")
        Secret.load("cave").get()
        """

    value: SecretStr = Field(description="The value itself.")

    def get(self) -> str:
        """The value, in clear."""
        return self.value.get_secret_value()
