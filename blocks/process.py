"""A process on the agent's own computer: where runs are executed when nothing else is asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar

from pydantic import Field, field_validator

from orchestrator.block import Block
from orchestrator.interfaces import Infrastructure, LaunchSpec, ProcessHost, Running


class Process(Block, Infrastructure):
    """Executes runs as processes of the agent's computer, with an environment of their own."""

    _name: ClassVar[str] = "Process"
    _slug: ClassVar[str] = "process"
    _logo: ClassVar[str] = "tabler:terminal-2"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.process import Process

        Process(env={"TZ": "UTC"}).save("utc")
        """

    env: dict[str, str] = Field(
        default_factory=dict, description="Environment variables, laid over the agent's; no place for secrets."
    )
    working_dir: str | None = Field(None, description="Folder to execute in; empty: the run's copy of the project.")

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"{name!r} cannot name an environment variable")
            if "\0" in value:
                raise ValueError(f"the value of {name} holds a null character")
        return env

    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Start the run on the agent's computer."""
        return host.start(replace(spec, env={**self.env, **spec.env}, working_dir=self.working_dir or spec.working_dir))
