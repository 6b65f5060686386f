"""Checks of data in Soda's language."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import Field, field_validator, model_validator

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, JobFailed, NotFound
from orchestrator.interfaces import Job, JobRun

from .database_credentials import DatabaseCredentials
from .programs import Program, ProgramRun, ask, find_program, last_line, removed_on_error, scratch_folder
from .programs.accounts import PASSWORD, password_of, soda_source
from .programs.checks import judged


class Soda(Block, Job):
    """Runs the checks of a SodaCL file with Soda Core 3, and fails where one of them does."""

    _name: ClassVar[str] = "Soda checks"
    _slug: ClassVar[str] = "soda"
    _logo: ClassVar[str] = "tabler:checklist"
    _docs_url: ClassVar[str] = "https://docs.soda.io/soda-v3/soda-cl-overview"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.database_credentials import DatabaseCredentials
        from orchestrator.blocks.soda import Soda

        checks = '''
        checks for orders:
          - row_count > 0
          - missing_count(price) = 0
        '''
        Soda(checks=checks, credentials=DatabaseCredentials.load("shop")).save("orders")
        print(Soda.load("orders").trigger().result()["passed"])
        """

    checks: str | None = Field(None, description="The checks, in SodaCL.", json_schema_extra={"x-multiline": True})
    checks_file: str | None = Field(None, description="In place of checks: a file on the agent's computer.")
    credentials: DatabaseCredentials | None = Field(None, description="The database that is checked.")
    schema_name: str | None = Field(None, description="The schema that is checked, where credentials are given.")
    configuration_file: str | None = Field(None, description="In place of credentials: Soda's configuration.yml.")
    data_source: str = Field(
        "main", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the data source in the configuration."
    )
    executable: str = Field(
        "soda", min_length=1, description="The program, its path, or the folder of the virtual environment it is in."
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables; no place for secrets.")
    timeout_s: float | None = Field(3600, gt=0, description="Seconds until a scan is ended; empty: never.")

    @field_validator("checks")
    @classmethod
    def _yaml(cls, checks: str | None) -> str | None:
        if not checks or not checks.strip():
            return None
        try:
            read = yaml.safe_load(checks)
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
            raise ValueError(f"line {line} is no YAML") from None
        if not isinstance(read, dict):
            raise ValueError("write checks as `checks for TABLE:` and a list below it")
        return checks

    @model_validator(mode="after")
    def _one_of_each(self) -> Soda:
        if (self.checks is None) == (not self.checks_file):
            raise ValueError("give either checks or checks_file")
        if (self.credentials is None) == (not self.configuration_file):
            raise ValueError("give either credentials or configuration_file")
        return self

    def trigger(self, variables: Mapping[str, Any] | None = None, fail: bool = True, **unknown: Any) -> JobRun:
        """Start a scan.

        Args:
            variables: For ``${name}`` in the checks.
            fail: Whether the result raises JobFailed where a check fails. A scan that breaks always does.
            unknown: Nothing else is taken.

        Returns:
            The run. Its result is ``{passed, failed, warned, unknown}``: lists of ``{name, table, ...}``.
        """
        if unknown:
            raise InvalidInput(f"Soda does not take {', '.join(unknown)}: give variables or fail")
        with removed_on_error(scratch_folder()) as scratch:
            results = scratch / "results.json"
            words = ["scan", "-d", self.data_source, "-c", self._configuration(scratch), "-srf", str(results)]
            for name, value in (variables or {}).items():
                if not str(name).isidentifier():
                    raise InvalidInput(f"variables: {name!r} cannot name one")
                words += ["-v", f"{name}={value}"]
            program = self._program([*words, self._checks(scratch)], scratch)
            return ProgramRun(program, lambda code, lines: _result(code, lines, results, fail))

    def test(self) -> str:
        """Connect by Soda (``soda test-connection``); no check is run."""
        with removed_on_error(scratch_folder()) as scratch:
            self._checks(scratch)
            words = ["test-connection", "-d", self.data_source, "-c", self._configuration(scratch)]
            program = self._program(words, scratch)
            program.timeout = 120
        ask(program, f"Soda cannot use the data source {self.data_source}")
        return f"Soda connects to the data source {self.data_source}"

    def _program(self, words: list[str], scratch: Path) -> Program:
        secrets = password_of(self.credentials)
        env = {**self.env, "OTEL_SDK_DISABLED": "true", **({PASSWORD: secrets[0]} if secrets else {})}
        package = "soda-core and the one of the database, such as soda-core-postgres"
        executable = find_program(self.executable, "soda", package)
        return Program("soda", [executable, *words], env, scratch, scratch, secrets, self.timeout_s)

    def _configuration(self, scratch: Path) -> str:
        if self.credentials is None:
            return str(_file(self.configuration_file or "", "configuration_file"))
        source = soda_source(self.credentials, self.schema_name)
        path = scratch / "configuration.yml"
        path.write_text(yaml.safe_dump({f"data_source {self.data_source}": source}), "utf-8")
        return str(path)

    def _checks(self, scratch: Path) -> str:
        if self.checks is None:
            return str(_file(self.checks_file or "", "checks_file"))
        path = scratch / "checks.yml"
        path.write_text(self.checks, "utf-8")
        return str(path)


def _file(text: str, field: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise NotFound(f"{field}: there is no file {text} on this computer")
    return path


def _result(code: int, lines: str, results: Path, fail: bool) -> dict[str, Any]:
    # 0: all passed, 1: warnings, 2: failures, 3: it broke
    if code not in (0, 1, 2) or not results.is_file():
        raise JobFailed(f"the Soda scan broke: {_cause(lines)}")
    read = json.loads(results.read_bytes())
    outcomes = {"pass": "passed", "fail": "failed", "warn": "warned"}
    checks = [
        {"name": item.get("name"), "table": item.get("table"), "column": item.get("column"),
         "outcome": outcomes.get(item.get("outcome"), "unknown")}
        for item in read.get("checks", [])
    ]  # fmt: skip
    return judged("Soda", checks, fail)


def _cause(lines: str) -> str:
    """Soda ends with a count of errors; what they were stands before it."""
    told = [
        re.sub(r"^\[[\d:]*\] *", "", line.strip(" |"))
        for line in lines.splitlines()
        if "rror" in line and "error(s)" not in line
    ]
    return told[0] if told else last_line(lines)
