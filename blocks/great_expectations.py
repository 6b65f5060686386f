"""Checkpoints of Great Expectations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, JobFailed, NotFound
from orchestrator.interfaces import Job, JobRun

from .programs import Program, ProgramRun, find_program, last_line, removed_on_error, run_checkpoint, scratch_folder
from .programs.checks import judged


class GreatExpectations(Block, Job):
    """Runs a checkpoint of a Great Expectations 1 project, and fails where an expectation is not met."""

    _name: ClassVar[str] = "Great Expectations"
    _slug: ClassVar[str] = "great-expectations"
    _logo: ClassVar[str] = "tabler:zoom-check"
    _docs_url: ClassVar[str] = "https://docs.greatexpectations.io/docs/core/introduction/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.great_expectations import GreatExpectations

        GreatExpectations(project="/srv/quality", checkpoint="nightly", interpreter="/srv/gx-venv").save("nightly")
        result = GreatExpectations.load("nightly").trigger(fail=False).result()
        print(len(result["passed"]), result["failed"])
        """

    project: str = Field(
        min_length=1, description="Folder that holds the project's gx folder, on the agent's computer."
    )
    checkpoint: str = Field(min_length=1, max_length=255, description="Which of its checkpoints is run.")
    interpreter: str = Field(
        "python3",
        min_length=1,
        description="What executes it: a Python, or the folder of a virtual environment, with great_expectations.",
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="Environment variables, for the project's ${NAME}; no place for secrets."
    )
    timeout_s: float | None = Field(3600, gt=0, description="Seconds until a run is ended; empty: never.")

    def trigger(
        self,
        batch_parameters: Mapping[str, Any] | None = None,
        expectation_parameters: Mapping[str, Any] | None = None,
        fail: bool = True,
        **unknown: Any,
    ) -> JobRun:
        """Start the checkpoint, in a process of its own.

        Args:
            batch_parameters: Which batch is validated, such as a year and a month.
            expectation_parameters: Values for the suite's ``$PARAMETER``.
            fail: Whether the result raises JobFailed where a check fails. A checkpoint that breaks always does.
            unknown: Nothing else is taken.

        Returns:
            The run. Its result is ``{passed, failed, warned, unknown}``: lists of ``{name, table, column, ...}``;
            expectations of the severities warning and info warn.
        """
        if unknown:
            raise InvalidInput(f"Great Expectations does not take {', '.join(unknown)}: see its parameters")
        asked = {"batch_parameters": batch_parameters, "expectation_parameters": expectation_parameters}
        return self._start(asked, lambda answer: judged("Great Expectations", answer["checks"], fail), self.timeout_s)

    def test(self) -> str:
        """Open the project, and look for the checkpoint; nothing is validated."""
        answer = self._start({"only_look": True}, dict, 120).result()
        return f"Great Expectations {answer['version']} has the checkpoint {self.checkpoint}"

    def _start(self, asked: Mapping[str, Any], finish: Any, timeout: float | None) -> ProgramRun:
        project = Path(self.project).expanduser().absolute()
        if not (project / "gx").is_dir():  # to open what is not there is to make it
            raise NotFound(f"there is no Great Expectations project (a folder gx) in {self.project}")
        request = {"project": str(project), "checkpoint": self.checkpoint, "only_look": False,
                   "batch_parameters": None, "expectation_parameters": None, **asked}  # fmt: skip
        with removed_on_error(scratch_folder()) as scratch:
            try:
                (scratch / "request.json").write_text(json.dumps(request), "utf-8")
            except (TypeError, ValueError):
                raise InvalidInput("batch_parameters and expectation_parameters: give JSON values") from None
            answer = scratch / "answer.json"
            python = find_program(self.interpreter, "python", "great_expectations")
            script = str(Path(run_checkpoint.__file__).resolve())
            command = [python, "-W", "ignore", script, str(scratch / "request.json"), str(answer)]
            env = {**self.env, "GX_ANALYTICS_ENABLED": "false", "PYTHONPATH": ""}
            program = Program("great-expectations", command, env, project, scratch, (), timeout)
            return ProgramRun(program, lambda code, lines: finish(_answer(code, lines, answer)))


def _answer(code: int, lines: str, path: Path) -> dict[str, Any]:
    if code != 0 or not path.is_file():
        raise JobFailed(f"Great Expectations broke: {last_line(lines)}")
    answer: dict[str, Any] = json.loads(path.read_bytes())
    if "error" in answer:
        raise JobFailed(f"Great Expectations broke: {answer['error']}")
    return answer
