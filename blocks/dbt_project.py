"""A dbt project: built as a job, its models known as resources."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import Field, model_validator

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, JobFailed, NotFound
from orchestrator.interfaces import Discoverable, FileSystem, Job, JobRun, Observed, Resource, write_whole

from .database_credentials import DatabaseCredentials
from .programs import (
    Program,
    ProgramRun,
    ask,
    find_program,
    last_line,
    plain_arguments,
    removed_on_error,
    scratch_folder,
)
from .programs.accounts import DBT_PASSWORD, dbt_output, password_of
from .programs.dbt_artifacts import Artifacts, outcome

#: What may be triggered -> whether it leaves run results.
COMMANDS = {
    "build": True, "run": True, "test": True, "seed": True, "snapshot": True, "compile": True,
    "parse": False, "deps": False, "source freshness": False, "docs generate": False,
}  # fmt: skip
_PUBLISHED = ("manifest.json", "run_results.json", "sources.json", "catalog.json", "partial_parse.msgpack")


class DbtProject(Block, Job, Discoverable):
    """Runs dbt; its models, sources and tests become resources, and what was built or failed becomes events."""

    _name: ClassVar[str] = "dbt project"
    _slug: ClassVar[str] = "dbt-project"
    _logo: ClassVar[str] = "tabler:topology-star-3"
    _docs_url: ClassVar[str] = "https://docs.getdbt.com/reference/commands/build"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.dbt_project import DbtProject

        shop = DbtProject.load("shop")
        built = shop.trigger("build", select="tag:nightly", vars={"day": "2026-01-31"}).result()
        print(built["counts"])
        """

    project: str = Field(min_length=1, description="Folder with dbt_project.yml; with a storage, the path in it.")
    storage: FileSystem | None = Field(None, description="Where the folder lies; empty: on the agent's computer.")
    credentials: DatabaseCredentials | None = Field(None, description="The database that models are built in.")
    target_schema: str = Field(
        "public",
        min_length=1,
        max_length=128,
        description="Schema that models are built in, where credentials are given.",
    )
    profiles_dir: str | None = Field(None, description="In place of credentials: folder with profiles.yml.")
    target: str | None = Field(
        None, max_length=128, description="Output of the profile; empty: the profile's own choice."
    )
    threads: int = Field(
        4, ge=1, le=256, description="How many models are built at a time, where credentials are given."
    )
    executable: str = Field(
        "dbt", min_length=1, description="The program, its path, or the folder of the virtual environment it is in."
    )
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables; no place for secrets.")
    timeout_s: float | None = Field(None, gt=0, description="Seconds until a run is ended; empty: never.")

    @model_validator(mode="after")
    def _one_profile(self) -> DbtProject:
        if self.credentials is not None and self.profiles_dir:
            raise ValueError("give either credentials or profiles_dir")
        return self

    def trigger(self, command: str = "build", **parameters: Any) -> JobRun:
        """Start dbt.

        Args:
            command: build, run, test, seed, snapshot, compile, parse, deps, source freshness or docs generate.
            parameters: ``select`` and ``exclude`` (text or list, dbt's own syntax), ``vars`` (a dictionary),
                ``full_refresh``.

        Returns:
            The run. Its result is ``{invocation_id, seconds, counts, results, failed}``.
        """
        arguments = _arguments(command, **parameters)
        with removed_on_error(scratch_folder()) as scratch:
            program = self._program(["--no-use-colors", *command.split(), *arguments], scratch)
            target = scratch / "target"

            def finish(code: int, lines: str) -> dict[str, Any]:
                self._publish(target)
                return outcome(command, code, lines, target, COMMANDS[command])

            return ProgramRun(program, finish)

    def test(self) -> str:
        """Ask dbt whether project, profile and connection are right (``dbt debug``)."""
        with removed_on_error(scratch_folder()) as scratch:
            program = self._program(["--no-use-colors", "debug"], scratch)
            program.timeout = 120
        said = ask(program, f"dbt cannot use {self.project}")
        if "All checks passed" not in said:
            raise JobFailed(f"dbt cannot use {self.project}: {last_line(said)}")
        return f"dbt can use {self.project}: project, profile and connection are right"

    def discover(self) -> Iterator[Resource]:
        """Models, seeds, snapshots, tests and sources, as dbt's manifest tells."""
        manifest = self._artifact("manifest.json")
        if manifest is None:
            raise NotFound(f"{self.project} has no manifest.json: trigger the project once, or run dbt parse in it")
        yield from self._artifacts(manifest).resources(self._artifact("run_results.json"))

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell what the last run built and which tests failed, once for each run."""
        results = self._artifact("run_results.json")
        if results is None:
            return cursor or {}
        invocation = str(results.get("metadata", {}).get("invocation_id", ""))
        if isinstance(cursor, Mapping) and cursor.get("invocation") != invocation:
            manifest = self._artifact("manifest.json") or {}
            self._artifacts(manifest).tell(results, emit)
        return {"invocation": invocation}

    def _artifacts(self, manifest: dict[str, Any]) -> Artifacts:
        return Artifacts(manifest, self.credentials.url() if self.credentials else None)

    def _program(self, words: Sequence[str], scratch: Path) -> Program:
        folder = self._folder(scratch)
        secrets = password_of(self.credentials)
        hidden = {DBT_PASSWORD: secrets[0]} if secrets else {}
        env = {**self.env, "DBT_PROJECT_DIR": str(folder), "DBT_PROFILES_DIR": self._profiles(folder, scratch),
               "DBT_TARGET_PATH": str(scratch / "target"), "DBT_LOG_PATH": str(scratch / "logs"),
               "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **hidden}  # fmt: skip
        if self.target:
            env["DBT_TARGET"] = self.target
        self._take_parsed(scratch / "target")
        executable = find_program(
            self.executable, "dbt", "dbt-core and the adapter of the database, such as dbt-postgres"
        )
        return Program("dbt", [executable, *words], env, folder, scratch, secrets, self.timeout_s)

    def _folder(self, scratch: Path) -> Path:
        if self.storage is not None:
            self.storage.get_directory(self.project, scratch / "project")
            folder = scratch / "project"
        else:
            folder = Path(self.project).expanduser().absolute()
        if not (folder / "dbt_project.yml").is_file():
            raise NotFound(f"there is no dbt_project.yml in {self.project}{' of the storage' if self.storage else ''}")
        return folder

    def _profiles(self, folder: Path, scratch: Path) -> str:
        if self.credentials is None:
            return str(Path(self.profiles_dir).expanduser().absolute()) if self.profiles_dir else _own_profiles(folder)
        name = _yaml(folder / "dbt_project.yml").get("profile")
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"dbt_project.yml of {self.project} names no profile: add `profile: some_name`")
        target = self.target or "orchestrator"
        output = dbt_output(self.credentials, self.target_schema, self.threads)
        (scratch / "profiles.yml").write_text(yaml.safe_dump({name: {"target": target, "outputs": {target: output}}}))
        return str(scratch)

    def _take_parsed(self, target: Path) -> None:
        """What dbt parsed before, which spares it half a minute in large projects."""
        target.mkdir(exist_ok=True)
        if self.storage is None:
            kept = Path(self.project).expanduser() / "target" / "partial_parse.msgpack"
            if kept.is_file():
                shutil.copy2(kept, target)

    def _publish(self, target: Path) -> None:
        """What the run left goes to the project's own target folder, where people and discovery look."""
        for name in _PUBLISHED:
            made = target / name
            if not made.is_file():
                continue
            if self.storage is not None:
                self.storage.write(f"{self.project}/target/{name}", made.read_bytes())
            else:
                place = Path(self.project).expanduser() / "target"
                place.mkdir(exist_ok=True)
                write_whole(place / name, made.read_bytes())

    def _artifact(self, name: str) -> dict[str, Any] | None:
        try:
            if self.storage is not None:
                content = self.storage.read(f"{self.project}/target/{name}")
            else:
                content = (Path(self.project).expanduser() / "target" / name).read_bytes()
        except (NotFound, FileNotFoundError, NotADirectoryError):
            return None
        try:
            read = json.loads(content)
        except ValueError:
            raise InvalidInput(f"target/{name} of {self.project} is no JSON: run dbt again") from None
        return read if isinstance(read, dict) else {}


def _arguments(
    command: str,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    vars: Mapping[str, Any] | None = None,
    full_refresh: bool = False,
    **unknown: Any,
) -> list[str]:
    if command not in COMMANDS:
        raise InvalidInput(f"dbt {command} is not known here: write one of {', '.join(COMMANDS)}")
    if unknown:
        raise InvalidInput(f"dbt does not take {', '.join(unknown)} here: give select, exclude, vars or full_refresh")
    words: list[str] = []
    for option, values in (("select", select), ("exclude", exclude)):
        if picked := plain_arguments(option, values):
            words += [f"--{option}", *picked]
    if vars:
        try:
            words += ["--vars", json.dumps(dict(vars))]
        except (TypeError, ValueError):
            raise InvalidInput("vars: give a dictionary of JSON values") from None
    return [*words, "--full-refresh"] if full_refresh else words


def _own_profiles(folder: Path) -> str:
    """Where dbt itself looks: in the project, then in the user's home."""
    return str(folder if (folder / "profiles.yml").is_file() else Path("~/.dbt").expanduser())


def _yaml(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InvalidInput(f"{path.name} is no YAML") from None
    return read if isinstance(read, dict) else {}
