"""What the kinds that execute runs share: environments, names and labels of what they start."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from orchestrator.errors import BlockError
from orchestrator.interfaces import LaunchSpec

#: Labels of everything that is started for a run.
RUN_LABEL, ATTEMPT_LABEL, NAME_LABEL = (f"orchestrator.flow-run.{part}" for part in ("id", "attempt", "name"))
#: Where the program in a container keeps what it needs while it runs; any user may write there.
HOME = "/tmp/orchestrator"  # noqa: S108 - the container is the run's own


def check_environment(env: dict[str, str]) -> dict[str, str]:
    """Raise ValueError when a name or value cannot be one of an environment variable; for pydantic's validators."""
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} cannot name an environment variable")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a null character")
    return env


#: What a container gets from the settings of its agent.
AGENT_SETTINGS = ("ORCHESTRATOR_RESULT_STORAGE",)


def remote_environment(spec: LaunchSpec, env: dict[str, str], api_url: str) -> dict[str, str]:
    """The environment of the program that executes a run elsewhere: the block's, and over it what the run needs."""
    own = {**spec.remote_env, **({"ORCHESTRATOR_API_URL": api_url} if api_url else {})}
    # of the agent's settings, a block may know better
    chosen = {name: env[name] for name in AGENT_SETTINGS if name in env}
    return {"ORCHESTRATOR_HOME": HOME, "PYTHONUNBUFFERED": "1", **env, **own, **chosen}


def check_api_url(spec: LaunchSpec, api_url: str, how: str) -> None:
    """Raise BlockError when the run would look for the API on its own container; ``how`` names the ways out."""
    url = api_url or spec.remote_env.get("ORCHESTRATOR_API_URL", "")
    host = urlsplit(url).hostname or ""
    try:
        is_own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_own = False
    if is_own:
        raise BlockError(f"the API's address {url} is the agent's own computer, which a container cannot reach: {how}")


def object_name(spec: LaunchSpec, most: int = 63) -> str:
    """A name for what is started: the run's, its attempt, and part of its id; small letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")
    tail = f"-{spec.run_id.hex[-8:]}-{spec.attempt}" if spec.run_id else f"-{spec.attempt}"
    return f"run-{name}"[: most - len(tail)].rstrip("-") + tail


def labels(spec: LaunchSpec) -> dict[str, str]:
    """Labels by which a run's container or pod is found."""
    return {RUN_LABEL: str(spec.run_id or ""), ATTEMPT_LABEL: str(spec.attempt), NAME_LABEL: spec.name}
