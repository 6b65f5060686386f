"""An account of a registry of container images."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError
from orchestrator.interfaces import Credentials

from .containers.engine import connect, explained


class DockerRegistry(Block, Credentials):
    """An account of a registry that container images are fetched from."""

    _name: ClassVar[str] = "Docker registry"
    _slug: ClassVar[str] = "docker-registry"
    _logo: ClassVar[str] = "tabler:brand-docker"
    _docs_url: ClassVar[str] = "https://docs.docker.com/reference/cli/docker/login/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.docker_registry import DockerRegistry

        DockerRegistry(registry="registry.example.com", username="robot", password="...").save("company")
        """

    registry: str = Field(
        "",
        description="Address of the registry; empty: Docker Hub.",
        json_schema_extra={"x-placeholder": "registry.example.com"},
    )
    username: str = Field(min_length=1, description="Name of the account.")
    password: SecretStr = Field(description="Its password, or better an access token that may only read.")

    def auth_config(self) -> dict[str, str]:
        """The account as the engine takes it with a request."""
        return {
            "username": self.username,
            "password": self.password.get_secret_value(),
            "serveraddress": self.registry or "https://index.docker.io/v1/",
        }

    def client(self, **options: Any) -> Any:
        """A ``docker.DockerClient`` that is logged in; ``docker_host`` says at which engine.

        Raises:
            AccessDenied: The registry does not take the account.
            BlockError: The package ``docker`` is missing.
            Unavailable: The engine does not answer.
        """
        address = str(options.pop("docker_host", ""))
        if options:
            raise BlockError("DockerRegistry.client() takes docker_host")
        client = connect(address)
        account = self.auth_config()
        try:
            with explained(address):
                client.login(account["username"], account["password"], registry=account["serveraddress"])
        except BlockError as error:
            client.close()
            raise AccessDenied(f"{self.registry or 'Docker Hub'} does not take {self.username}: {error}") from None
        return client

    def test(self) -> str:
        """Log in by the computer's own engine."""
        self.client().close()
        return f"{self.registry or 'Docker Hub'} takes {self.username}."
