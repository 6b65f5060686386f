"""A process on the agent's own computer: where runs are executed when nothing else is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from orchestrator.block import Block
from orchestrator.interfaces import Infrastructure, LaunchSpec, ProcessHost, Running

from .execution import check_environment


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
    python: str | None = Field(
        None,
        description="Interpreter, or folder of a virtual environment, on the agent's computer; empty: the agent's own.",
        json_schema_extra={"x-placeholder": "/opt/venvs/flows"},
    )
    requirements: Literal["none", "auto"] = Field(
        "none",
        description="auto: what requirements.txt, or else pyproject.toml, of the project requires is installed into an "
        "environment that the agent keeps and uses again for the same requirements.",
    )
    memory_mb: int | None = Field(
        None, ge=64, description="Most megabytes of memory of each of the run's processes; empty: no limit."
    )
    cpu_seconds: int | None = Field(
        None, ge=1, description="Most seconds of processor time of each of the run's processes; empty: no limit."
    )

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        return check_environment(env)

    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Start the run on the agent's computer."""
        return host.start(
            replace(
                spec,
                env={**self.env, **spec.env},
                working_dir=self.working_dir or spec.working_dir,
                python=self.python or spec.python,
                requirements=self.requirements == "auto",
                memory_mb=self.memory_mb,
                cpu_seconds=self.cpu_seconds,
            )
        )
