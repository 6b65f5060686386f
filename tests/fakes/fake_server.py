"""A real supervisor over small parts that need nothing but the standard library; run as a subprocess.

``python -m fake_server SCENARIO|PART PORT|SCENARIO``: parts ``api`` (answers ``/health/ready``),
``sleeper`` (with a child of its own) and ``agent`` (writes down the settings it was told). Scenarios: ``well``,
``hopeless`` (a part ends at once), ``slow`` (never ready), ``stubborn`` (a part ignores SIGTERM), ``attentive`` (what
parts start ends with them).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click

from orchestrator.embedded import parts
from orchestrator.embedded.supervisor import Options, Supervisor
from orchestrator.errors import OrchestratorError
from orchestrator.settings import Settings


def table(settings: Settings, around: parts.Surroundings, queues: Sequence[str]) -> list[parts.Part]:
    """The fake parts."""

    def fake(name: str) -> list[str]:
        return [sys.executable, "-m", __spec__.name, name, sys.argv[1]]

    told = around.environment()
    real_agent = parts.agent(settings, around, queues)
    return [
        parts.Part("api", fake("api"), told, entry=f"{__spec__.name}:api"),
        parts.Part("sleeper", fake("sleeper"), told, grace_s=1.0, entry=f"{__spec__.name}:sleeper"),
        replace(real_agent, argv=fake("agent"), grace_s=2.0),
    ]


class Health(BaseHTTPRequestHandler):
    """Says that all is well, unless it is not to be."""

    def do_GET(self) -> None:
        """Answer any path."""
        well = sys.argv[2] not in {"slow", "hopeless"}
        body = json.dumps({"status": "ready" if well else "starting"}).encode()
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def api() -> None:
    """The fake API."""
    host, port = os.environ["ORCHESTRATOR_HOST"], int(os.environ["ORCHESTRATOR_PORT"])
    HTTPServer((host, port), Health).serve_forever()


def sleeper() -> None:
    """Sleep, with a child that sleeps too."""
    if sys.argv[2] == "hopeless":
        sys.exit("the sleeper cannot sleep")
    if sys.argv[2] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("sleeping", flush=True)
    # `cat` ends with us, by the end of its input, as an agent's children do; `sleep` must be killed.
    words = ["cat"] if sys.argv[2] == "attentive" else ["sleep", "1000"]
    subprocess.Popen(words, stdin=subprocess.PIPE).wait()


def agent() -> None:
    """Write down what it was told, then sleep."""
    told = {name: value for name, value in os.environ.items() if name.startswith("ORCHESTRATOR_")}
    aside = Path(os.environ["ORCHESTRATOR_HOME"], "told.new")
    aside.write_text(json.dumps(told))
    aside.rename(aside.with_suffix(".json"))
    time.sleep(1000)


def supervise() -> int:
    """As ``orchestrator server start`` does it."""
    options = Options(port=int(sys.argv[2]), agent=True)
    try:
        with Supervisor(options, say=lambda line: click.echo(line, err=True), table=table, warm=()) as running:
            print("ready", running.api_url, flush=True)
            running.wait()
    except KeyboardInterrupt:
        return 130
    except OrchestratorError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    role = {"api": api, "sleeper": sleeper, "agent": agent}.get(sys.argv[1])
    if role is None:
        sys.exit(supervise())
    role()
