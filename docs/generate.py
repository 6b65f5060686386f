"""Write the pages that are made from the code: ``python docs/generate.py``. A test compares them with what is there.

Rendered here rather than by click, whose layout changes from version to version.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from orchestrator.cli import NOUNS, cli
from orchestrator.settings import PREFIX, Settings

HERE = Path(__file__).resolve().parent
TREE = HERE.parent
sys.path.insert(0, str(HERE))

import generate_blocks  # noqa: E402 - it lies beside this file
import generate_events  # noqa: E402
import generate_python  # noqa: E402
import generate_states  # noqa: E402
import generate_webhooks  # noqa: E402

_MADE = "<!-- Made by docs/generate.py: change the code, then run it. -->"

CLI_HEAD = f"""{_MADE}

# Commands

`orchestrator` + noun + verb. Plurals of the nouns work, too.

- Everything that lists or shows takes `--output json`: exactly one JSON document on standard output. All that is no
  result goes to standard error.
- Exit codes: 0 done, 1 the thing asked for failed, 2 wrong use, 130 interrupted. A mistake is answered with one line.
- `orchestrator --profile NAME ...` uses another profile for one command.
- `NO_COLOR=1` turns colours off.
- Completion, for the shell's start-up file: `eval "$(_ORCHESTRATOR_COMPLETE=bash_source orchestrator)"` (or
  `zsh_source`, `fish_source`).
"""

SETTINGS_HEAD = f"""{_MADE}

# Settings

Each setting is looked for in the environment, as `{PREFIX}` and its name, then in the active profile of
`profiles.toml` in `{PREFIX}HOME`, then there is a default. `orchestrator config view` shows each with its value and
where that comes from; `orchestrator config set NAME=VALUE` writes to the active profile; `orchestrator profile`
switches between profiles.

Durations are seconds or texts such as `90s`, `5m`, `1h30m`, `2d`. Sizes are bytes. Lists are separated by commas.

| setting | default | meaning |
| --- | --- | --- |
"""


def pages() -> dict[Path, str]:
    """Each file with its text; of some only a part is made here."""
    made = {HERE / "cli.md": cli_page(), HERE / "settings.md": settings_page()}
    made[HERE / "python.md"] = generate_python.page(_MADE)
    made[HERE / "transitions.md"] = generate_states.page(_MADE)
    made[HERE / "webhook-presets.md"] = generate_webhooks.page(_MADE)
    for kind in generate_blocks.kinds(TREE):
        made[HERE / "blocks" / f"{kind._slug}.md"] = generate_blocks.page(kind, _MADE)
    made[HERE / "blocks.md"] = _part(HERE / "blocks.md", "<!-- {} -->\n", "\n" + generate_blocks.catalogue(TREE) + "\n")
    made[HERE / "events.md"] = _part(HERE / "events.md", "<!-- {} -->\n", "\n" + generate_events.catalogue() + "\n")
    made[TREE / "mkdocs.yml"] = _part(TREE / "mkdocs.yml", "          # {}\n", generate_blocks.navigation(TREE))
    made[TREE / "setup.cfg"] = _part(TREE / "setup.cfg", "# {}\n", generate_blocks.entry_points(TREE))
    return made


def gone() -> list[Path]:
    """Pages of kinds that are no more."""
    kept = {f"{kind._slug}.md" for kind in generate_blocks.kinds(TREE)}
    return [path for path in sorted((HERE / "blocks").glob("*.md")) if path.name not in kept]


def _part(path: Path, comment: str, text: str) -> str:
    """A file with the part between its two marks made anew."""
    begin, end = (comment.format(mark) for mark in ("Made by docs/generate.py: begin", "Made by docs/generate.py: end"))
    old = path.read_text("utf-8")
    pattern = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
    assert len(pattern.findall(old)) == 1, f"{path.name} has not one part between {begin.strip()} and {end.strip()}"
    return pattern.sub(lambda found: found[1] + text + found[2], old)


def cli_page() -> str:
    """All commands with their arguments and options."""
    context = click.Context(cli, info_name="orchestrator")
    parts = [CLI_HEAD]
    for noun, facts in NOUNS.items():
        command = cli.get_command(context, noun)
        assert command is not None
        parts.append(f"\n## {noun}\n\n{_help(command) or facts.help}\n")
        parts.extend(_command(path, found) for path, found in walk(command, f"orchestrator {noun}"))
    return "".join(parts)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands below (or just this) with the words that call them."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from walk(found, f"{path} {name}")


def settings_page() -> str:
    """The table of settings."""
    rows = []
    for item in fields(Settings):
        secret = " Secret." if item.metadata["secret"] else ""
        rows.append(f"| `{PREFIX}{item.name.upper()}` | {_default(item.default)} | {item.metadata['help']}{secret} |\n")
    return SETTINGS_HEAD + "".join(rows)


def _command(path: str, command: click.Command) -> str:
    arguments = [_argument(item) for item in command.params if isinstance(item, click.Argument)]
    options = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *arguments])
    lines = [f"\n### `{path}`\n", f"\n```text\n{usage}\n```\n"]
    if len(path.split()) > 2 and (text := _help(command)):
        lines.append(f"\n{text}\n")
    if options:
        lines.append("\n| option | meaning |\n| --- | --- |\n")
        lines.extend(f"| {_flags(option)} | {_meaning(option)} |\n" for option in options)
    return "".join(lines)


def _help(command: click.Command) -> str:
    text = (command.help or "").partition("\f")[0].replace("\b\n", "")
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _flags(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    if isinstance(option.type, click.Choice):
        kind = "\\|".join(str(choice) for choice in option.type.choices)
    else:
        kind = option.metavar or option.type.name.upper().removesuffix(" RANGE")
    return f"{names} {kind}"


def _meaning(option: click.Option) -> str:
    text = (option.help or "").replace("|", "\\|").rstrip()
    notes = ["needed"] if option.required else []
    if option.show_default and option.default not in (None, ()) and not option.is_flag:
        notes.append(f"default: `{option.default}`")
    if option.multiple and "repeat" not in text:
        notes.append("may be repeated")
    return f"{text} ({'; '.join(notes)})" if notes else text


def _default(value: Any) -> str:
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
            if seconds % size == 0:
                return f"`{seconds // size}{unit}`"
        return f"`{seconds}s`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", ()) else ""


def main() -> int:
    """Write the files, or with ``--check`` only say which are old (exit 1)."""
    made = pages()
    old = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in old + gone():
            print(f"{path.name} is old: run python docs/generate.py", file=sys.stderr)
        return 1 if old or gone() else 0
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made[path], "utf-8")
        print(f"wrote {path.name}", file=sys.stderr)
    for path in gone():
        path.unlink()
        print(f"removed {path.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
