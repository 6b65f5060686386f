"""The command line: ``orchestrator`` + noun + verb, one module a noun.

Only click is imported here: a noun's module is loaded when it is asked for, so that ``orchestrator --help`` and shell
completion answer at once. The help text of each noun therefore stands in :data:`NOUNS`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from .._version import __version__
from ..errors import InvalidInput, OrchestratorError

INTERRUPTED = 130


class Noun(NamedTuple):
    """Where a noun's click command lives, and what ``--help`` says of it before it is loaded."""

    module: str
    attribute: str
    help: str
    #: Whether the plural is understood, too.
    plural: bool = True


NOUNS: dict[str, Noun] = {
    "quickstart": Noun("quickstart", "command", "See it all work on this machine, from nothing.", plural=False),
    "server": Noun("server", "group", "Start and stop API, dashboard, beat and services.", plural=False),
    "database": Noun("database", "group", "Migrate the server's database.", plural=False),
    "agent": Noun("agent", "group", "Start agents, which execute runs, and list them."),
    "deployment": Noun("deployment", "group", "Build, apply, run and look at deployments."),
    "schedule": Noun("schedule", "group", "Preview and manage the schedules of deployments."),
    "backfill": Noun("backfill", "group", "Run slots of a schedule that lie behind."),
    "calendar": Noun("calendar", "group", "Days that count, for schedules and expectations."),
    "flow": Noun("flow", "group", "List flows."),
    "flow-run": Noun("flow_run", "group", "Watch, cancel, suspend and retry flow runs; read their logs."),
    "task": Noun("task", "group", "Serve tasks, for background runs."),
    "task-run": Noun("task_run", "group", "Look at the task runs of a flow run."),
    "cached-result": Noun("cached_result", "group", "Look at results that tasks share across runs."),
    "work-queue": Noun("work_queue", "group", "Manage the queues that agents take runs from."),
    "block": Noun("block", "group", "Create and look at blocks: stored, typed configuration."),
    "variable": Noun("variable", "group", "Set and read variables: plain values by name."),
    "limit": Noun("limit", "group", "Limit how many hold something at once, and see who does."),
    "hold": Noun("hold", "group", "Have what touches a resource wait, until it is released."),
    "desk": Noun("desk", "group", "What you watch, in plain sentences; runs with saved forms.", plural=False),
    "resource": Noun("resource", "group", "Look at what moves in the stack: buckets, tables, deployments."),
    "trigger": Noun("trigger", "group", "Say what to do when events happen, or fail to."),
    "firing": Noun("firing", "group", "Look at what triggers fired for, and acknowledge it."),
    "expectation": Noun("expectation", "group", "Say what should happen by when; see what became of it."),
    "chain": Noun("chain", "group", "Have deployments follow one another."),
    "action": Noun("action", "group", "Look at what triggers had done; do again what was given up."),
    "webhook": Noun("webhook", "group", "Take deliveries of other systems and make events of them."),
    "event": Noun("event", "group", "Emit and list events."),
    "ping": Noun("ping", "group", "Addresses that cron's and other jobs call when they start and end."),
    "shell": Noun("shell", "group", "Run commands as they are, and have events tell of them.", plural=False),
    "celery": Noun("celery", "group", "Turn what a Celery application tells into events.", plural=False),
    "artifact": Noun("artifact", "group", "Read what runs have published: tables, markdown, links."),
    "api-key": Noun("api_key", "group", "Create, list and revoke API keys."),
    "secret-key": Noun("secret_key", "group", "Check and rotate the keys that encrypt secrets."),
    "report": Noun("report", "group", "Deliver what was recorded while the API was away."),
    "profile": Noun("profile", "group", "Switch between servers by named sets of settings."),
    "config": Noun("config", "group", "View and change settings.", plural=False),
    "version": Noun("version", "group", "Show the versions of client and server.", plural=False),
}
_PLURALS = {f"{name}s": name for name, noun in NOUNS.items() if noun.plural}


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, loaded when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The nouns, in the order of the table."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one noun, by its name or its plural."""
        noun = NOUNS.get(_PLURALS.get(cmd_name, cmd_name))
        if noun is None:
            return None
        command = getattr(import_module(f".{noun.module}", __name__), noun.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{noun.module}.{noun.attribute} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, but an unknown noun is answered with the nearest one."""
        name = args[0]
        if name not in NOUNS and name not in _PLURALS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"there is no command {name!r}{_did_you_mean(name)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table; nothing is loaded."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in NOUNS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete nouns from the table; nothing is loaded."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=noun.help) for name, noun in NOUNS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--profile", metavar="NAME", help="Use this profile in place of the active one.")
@click.version_option(__version__, "--version", message="%(version)s", help="Show the client's version.")
def cli(profile: str | None) -> None:
    """A control tower for data stacks: run workflows, watch everything else, act on what happens.

    Start with `orchestrator quickstart`. Everything that lists or shows takes `--output json`.
    """
    if profile:
        os.environ["ORCHESTRATOR_PROFILE"] = profile


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave the process: 0 done, 1 the thing asked for failed, 2 wrong use, 130 Ctrl-C."""
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell, and the exit must not try again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors of ours are one line on stderr."""
    try:
        result = cli.main(arguments, prog_name="orchestrator", standalone_mode=False)
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):
            return _say("nothing was answered", 1)
        return INTERRUPTED
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return error.exit_code
        hint = f" (see `{error.ctx.command_path} --help`)" if isinstance(error, click.UsageError) and error.ctx else ""
        return _say(error.format_message() + hint, error.exit_code)
    except OrchestratorError as error:
        return _say(message_of(error), 2 if isinstance(error, InvalidInput) else 1)
    return result if isinstance(result, int) else 0


def message_of(error: OrchestratorError) -> str:
    """What a person is told: the message, with the fields it does not yet name."""
    text = str(error)
    fields: dict[str, Any] = getattr(error, "errors", {})
    parts = [part for part in _flat(fields) if part not in text]
    return ": ".join([text, "; ".join(parts)]) if parts else text


def _flat(errors: Any, path: str = "") -> list[str]:
    if isinstance(errors, dict):
        return [line for key, value in errors.items() for line in _flat(value, f"{path}.{key}" if path else str(key))]
    texts = errors if isinstance(errors, list) else [errors]
    return [f"{path}: {text}" if path else str(text) for text in texts]


def _say(message: str, code: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return code


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, NOUNS, n=1)
    return f"; did you mean {near[0]}?" if near else "; `orchestrator --help` lists all"
