"""Pain 13: a secret that a flow loads, prints, logs, raises and hands to programs is read nowhere."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from orchestrator.block import use_store
from orchestrator.blocks.process import Process
from orchestrator.blocks.secret import Secret
from orchestrator.client import Client
from orchestrator.errors import OrchestratorError
from orchestrator.stored.block_store import ApiBlockStore
from tests.agents import System, system
from tests.polling import until

CANARY = "canary-7c1e0d5f"
FLOWS = '''
import os, subprocess, sys
from pathlib import Path
from orchestrator import create_markdown_artifact, emit_event, flow, get_run_logger, task
from orchestrator.block import Block, SecretDict

class Vault(Block):
    """Secrets below secrets."""
    passwords: SecretDict
    inner: Block

@task(task_run_name="{word}")
def named(word):
    raise ValueError(word)

@flow
def below(word):
    return None

@flow
def leaks(vault: str, seen: str, word: str = ""):
    print("parameter " + word)
    print("environment " + os.environ["TOKEN"])
    subprocess.run(["sh", "-c", "echo inherited $TOKEN"])
    get_run_logger().info("of both %s %s", word, os.environ["TOKEN"])
    loaded = Block.load("vault/" + vault)
    for secret in (loaded.passwords.get_secret_value()["main"], loaded.inner.get()):
        print("printed " + secret)
        os.write(1, b"raw ")
        for byte in secret.encode():  # one by one, over as many writes
            os.write(1, bytes([byte]))
        os.write(1, b"\\n")
        os.write(2, f"no line's end {secret}".encode())
        subprocess.run(["sh", "-c", 'echo "echoed $1"', "-", secret])
        subprocess.run([sys.executable, "-c", f"raise SystemExit({secret!r})"])
        get_run_logger().error("logged %s", secret)
        create_markdown_artifact(f"shown {secret}", key="shown")
        emit_event("canary.sung", {"resource.id": "bird", "resource.name": secret}, payload={"song": [secret]})
        below(secret)
        try:
            named(secret)
        except ValueError:
            pass
    Path(seen).write_text(secret)
    print("the end")
    raise RuntimeError(f"raised {secret}")
'''


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        (found.project / "flows.py").write_text(FLOWS)
        yield found


def test_pain_13_the_canary_is_nowhere(served: System, tmp_path: Path, database_url: str) -> None:
    save(served)
    seen = tmp_path / "seen"
    with monitored(served) as commands, served.agent():
        deployment = deploy(served)
        run = served.run(deployment, vault="main", seen=str(seen))
        ended = served.end_of(run, 60)
        assert seen.read_text() == CANARY + "-inner", served.lines(run)
        lines: list[str] = until(lambda: "the end" in (found := served.lines(run)) and found)
        told(ended, lines)
        environs(served, seen)
        places = {
            "database": dump(database_url),
            "redis": "\n".join(commands),
            "output of the processes": served.logs(),
            **answers(served),
        }
    assert [name for name, text in places.items() if CANARY in text] == []
    assert any("leaks" in text for text in places.values())


def save(served: System) -> None:
    with use_store(ApiBlockStore(served.client)):
        Secret(value=CANARY + "-inner").save("bird")  # type: ignore[arg-type]
        Process(env={"HARMLESS": "yes"}).save("plain")
    inner = served.client.get("blocks/secret/bird")["id"]
    schema = {
        "type": "object",
        "properties": {
            "passwords": {"type": "object", "writeOnly": True},
            "inner": {"type": "object", "x-block": "*"},
        },
        "required": ["passwords", "inner"],
    }
    served.client.post("block-types", {"slug": "vault", "import_path": "flows:Vault", "schema": schema})
    data = {"passwords": {"main": CANARY + "-main"}, "inner": {"$block": inner}}
    served.client.post("blocks", {"type": "vault", "name": "main", "data": data})
    served.client.post("blocks/secret/bird/rotate", {"data": {"value": CANARY + "-inner"}})


def deploy(served: System) -> str:
    document = {
        "flow": "leaks",
        "name": "test",
        "entrypoint": "flows.py:leaks",
        "storage": {"path": str(served.project)},
        "infrastructure": {
            "block": "process/plain",
            "overrides": {"env": {"TOKEN": "{{ blocks.vault.main.passwords.main }}"}},
        },
        "parameters": {"word": "{{ blocks.secret.bird }}"},
        "work_queue": served.queue,
    }
    return str(served.client.post("deployments", document)["deployment"]["id"])


def told(run: dict[str, Any], lines: list[str]) -> None:
    """Everything was told, with the mask in place of the secret."""
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"] == "RuntimeError: raised ********"
    for word in ("printed", "raw", "echoed", "logged"):
        assert lines.count(f"{word} ********") == 2, (word, lines)
    for line in ("parameter ********", "environment ********", "inherited ********", "of both ******** ********"):
        assert line in lines, lines
    # Of one stream, without a line's end between: what is written next stands in the same line.
    assert sum(line.count("no line's end ********") for line in lines) == 2, lines


def environs(served: System, seen: Path) -> None:
    """No process of ours (the agent, its template, the API) has it in its environment or its command line."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, words = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(served.folder).encode() in environ:
            found += 1
            assert CANARY.encode() not in environ + words, words
    assert found >= 3


def dump(url: str) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as link:
        tables = link.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert len(tables) > 20
        parts = []
        for schema, table in tables:
            query = sql.SQL("SELECT row_to_json(x)::text FROM {} x").format(sql.Identifier(schema, table))
            parts += [row[0] for row in link.execute(query)]
    return "\n".join(parts)


@contextmanager
def monitored(served: System) -> Iterator[list[str]]:
    """Every command that Redis is given meanwhile."""
    commands: list[str] = []
    word = f"end-{uuid.uuid4().hex}"
    started = threading.Event()

    def listen() -> None:
        with served.redis.monitor() as monitor:
            started.set()
            for command in monitor.listen():
                commands.append(command["command"])
                if word in command["command"]:
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert started.wait(10)
    yield commands
    served.redis.echo(word)
    thread.join(10)
    assert not thread.is_alive()
    assert len(commands) > 1


def answers(served: System) -> dict[str, str]:
    """What every GET of the OpenAPI document answers, for everything that there is."""
    client = served.client
    document = client.get("openapi.json")
    found: dict[str, str] = {}
    for path, operations in document["paths"].items():
        if "get" not in operations or not path.startswith("/api/v1/"):
            continue
        for address in addresses(client, path.removeprefix("/api/v1/")):
            try:
                found[f"GET {address}"] = json.dumps(client.get(address))
            except OrchestratorError as error:
                found[f"GET {address}"] = str(error)
    assert {"GET blocks/secret/bird", "GET blocks/vault/main/usage"} <= set(found)
    assert len(found) > 40
    return found


def addresses(client: Client, path: str) -> Iterator[str]:
    """A path with what there is put into it."""
    listing = path.partition("/")[0]
    if path == "logs":
        for run in client.pages("flow-runs"):
            yield f"logs?flow_run_id={run['id']}&limit=200"
    elif "{" not in path:
        yield path if path == "secret-keys/check" else f"{path}?limit=200"
    else:
        # Errands are runs, and have no list of their own.
        for item in islice(client.pages("flow-runs" if listing == "errands" else listing), 40):
            kind = item.get("type") or (item.get("flow") or {}).get("name", "")
            words = {"kind": kind, "name": item.get("name") or "", "slug": item.get("slug", "")}
            yield re.sub(r"\{(\w+)\}", lambda match: str(words.get(match[1], item.get("id"))), path)  # noqa: B023
