"""Containers, of Docker or of an engine that speaks its API (Podman), as a place to execute runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from orchestrator.block import Block
from orchestrator.errors import BlockError, NotFound, OrchestratorError
from orchestrator.interfaces import (
    Discoverable,
    Infrastructure,
    LaunchSpec,
    ProcessHost,
    Resource,
    Running,
)

from .containers.container import Container
from .containers.engine import connect, explained
from .containers.listing import resources
from .docker_registry import DockerRegistry
from .execution import check_api_url, check_environment, labels, object_name, remote_environment

_MEGABYTE = 1024 * 1024


class DockerContainer(Block, Infrastructure, Discoverable):
    """Executes each run in a container of its own, by Docker or an engine that speaks its API, such as Podman.

    The image has to hold Python with the package ``orchestrator`` and what the flows need. The project's code is
    fetched in the container, by the deployment's storage block.
    """

    _name: ClassVar[str] = "Docker container"
    _slug: ClassVar[str] = "docker-container"
    _logo: ClassVar[str] = "tabler:brand-docker"
    _docs_url: ClassVar[str] = "https://docs.docker.com/reference/cli/docker/container/run/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.docker_container import DockerContainer

        DockerContainer(image="registry.example.com/flows:1", memory_mb=2048).save("flows")
        """

    image: str = Field(
        min_length=1,
        description="Image with Python and the package orchestrator.",
        json_schema_extra={"x-placeholder": "registry.example.com/flows:1"},
    )
    pull_policy: Literal["always", "if-not-present", "never"] = Field(
        "if-not-present", description="When the image is fetched from its registry."
    )
    registry: DockerRegistry | None = Field(None, description="Account to fetch the image with; empty: none.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Environment variables, laid over the image's; no place for secrets."
    )
    volumes: list[str] = Field(
        default_factory=list,
        description="Folders of the engine's computer, or named volumes: SOURCE:TARGET or SOURCE:TARGET:ro.",
    )
    network: str = Field(
        "", description="Network to join; host: the engine's computer's own; empty: the engine's default."
    )
    api_url: str = Field(
        "",
        description="Address of the API as seen from the container; empty: the agent's.",
        json_schema_extra={"x-placeholder": "http://orchestrator.internal:4200"},
    )
    memory_mb: int | None = Field(None, ge=6, description="Most megabytes of memory; empty: no limit.")
    cpus: float | None = Field(None, gt=0, description="Most processors, parts allowed (1.5); empty: no limit.")
    user: str = Field("", description="User, or user:group, to run as; empty: the image's.")
    python: str = Field("python", min_length=1, description="The image's interpreter.")
    command_prefix: list[str] = Field(
        default_factory=list, description="Words before the command, such as conda run -n flows."
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels beside those that name the run.")
    auto_remove: bool = Field(True, description="Whether containers are removed once they ended.")
    docker_host: str = Field(
        "",
        description="Address of the engine; empty: DOCKER_HOST of the agent, else its computer's own.",
        json_schema_extra={"x-placeholder": "unix:///run/podman/podman.sock"},
    )

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        return check_environment(env)

    @field_validator("volumes")
    @classmethod
    def _mounts(cls, volumes: list[str]) -> list[str]:
        for volume in volumes:
            source, _, rest = volume.partition(":")
            target, _, mode = rest.partition(":")
            if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
                raise ValueError(f"{volume!r} is no volume: write SOURCE:/TARGET or SOURCE:/TARGET:ro")
        return volumes

    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Fetch the image where that is needed, and start a container."""
        if self.network != "host":
            check_api_url(spec, self.api_url, "set api_url of the infrastructure block, or its network to host")
        client = connect(self.docker_host)
        try:
            self._provide_image(client, host)
            with explained(self.docker_host):
                container = client.containers.create(**self._options(spec))
            try:
                if not host.wanted():
                    raise BlockError("the run was asked to stop before its container was started")
                with explained(self.docker_host):
                    container.start()
            except BaseException:
                with suppress(OrchestratorError), explained(self.docker_host):
                    container.remove(force=True)
                raise
        except BaseException:
            client.close()
            raise
        host.tell(f"container {container.name} of {self.image} was started")
        return Container(client, self.docker_host, container, self.memory_mb, self.auto_remove)

    def test(self) -> str:
        """Reach the engine, and look for the image."""
        client = connect(self.docker_host)
        try:
            with explained(self.docker_host):
                version = client.version()
                found = self._is_present(client)
        finally:
            client.close()
        name = f"{version.get('Version', '?')} ({version.get('ApiVersion', '?')})"
        if found:
            return f"The engine {name} answers and has the image {self.image}."
        if self.pull_policy == "never":
            raise NotFound(f"the engine {name} answers, but has no image {self.image}, and pull_policy is never")
        return f"The engine {name} answers; the image {self.image} is not there yet, the first run fetches it."

    def discover(self) -> Iterator[Resource]:
        """The engine and its containers, those of runs among them."""
        client = connect(self.docker_host)
        try:
            with explained(self.docker_host):
                yield from resources(client)
        finally:
            client.close()

    def _provide_image(self, client: Any, host: ProcessHost) -> None:
        with explained(self.docker_host):
            present = self._is_present(client)
        if self.pull_policy == "never" and not present:
            raise NotFound(f"there is no image {self.image}, and the block's pull_policy is never")
        if self.pull_policy == "never" or (present and self.pull_policy == "if-not-present"):
            return
        host.tell(f"fetching the image {self.image}")
        name, _, tag = self._split_image()
        account = {"auth_config": self.registry.auth_config()} if self.registry else {}
        with explained(self.docker_host):
            for step in client.api.pull(name, tag=tag, stream=True, decode=True, **account):
                if step.get("error"):
                    raise BlockError(f"the image {self.image} cannot be fetched: {step['error']}")
                if not host.wanted():
                    raise BlockError("the run was asked to stop while its image was fetched")

    def _split_image(self) -> tuple[str, str, str]:
        """The image as name and tag (or digest)."""
        if "@" in self.image:
            return self.image.partition("@")
        name, colon, tag = self.image.rpartition(":")
        return (name, colon, tag) if colon and "/" not in tag else (self.image, ":", "latest")

    def _is_present(self, client: Any) -> bool:
        try:
            with explained(self.docker_host):
                client.images.get(self.image)
        except NotFound:
            return False
        return True

    def _options(self, spec: LaunchSpec) -> dict[str, Any]:
        options: dict[str, Any] = {
            "image": self.image,
            "command": [*self.command_prefix, self.python, *spec.command],
            "name": object_name(spec),
            "environment": remote_environment(spec, self.env, self.api_url),
            "labels": {**self.labels, **labels(spec)},
            "volumes": self.volumes,
            "detach": True,
        }
        if self.memory_mb:
            # Swap is not a second helping.
            options |= {"mem_limit": self.memory_mb * _MEGABYTE, "memswap_limit": self.memory_mb * _MEGABYTE}
        if self.cpus:
            options["nano_cpus"] = int(self.cpus * 1_000_000_000)
        if self.network in ("host", "none"):
            options["network_mode"] = self.network
        elif self.network:
            options["network"] = self.network
        return options | ({"user": self.user} if self.user else {})
