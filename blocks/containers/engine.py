"""The container engine: connecting to it, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

# Without the extra the kinds can still be listed and saved; only using one needs it.
try:
    import requests
    from docker.client import DockerClient, from_env
    from docker.errors import APIError, DockerException
    from docker.errors import NotFound as Missing
except ImportError:
    DockerClient = None

#: Seconds that the engine may take to answer.
TIMEOUT = 60


def connect(address: str) -> Any:
    """A ``docker.DockerClient``. Makes no call yet.

    Args:
        address: Such as ``tcp://host:2375``, ``ssh://host`` or ``unix:///run/podman/podman.sock``; empty: what
            ``DOCKER_HOST`` names, else the computer's own engine.
    """
    if DockerClient is None:
        raise BlockError('Docker blocks need the package docker: pip install "orchestrator[docker]"')
    with explained(address):
        # A version is named, as asking for it would be a call.
        options: dict[str, Any] = {"version": "1.40", "timeout": TIMEOUT}
        if address:
            return DockerClient(base_url=address, **options)
        return from_env(**options)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Raise what the engine raises as ours.

    Raises:
        NotFound, AccessDenied: As the engine says.
        BlockError: It refuses the request.
        Unavailable: It does not answer.
    """
    where = f"the container engine at {address}" if address else "the computer's container engine"
    try:
        yield
    except Missing as error:
        raise NotFound(_line(error.explanation)) from None
    except APIError as error:
        if error.status_code in (401, 403):
            raise AccessDenied(_line(error.explanation)) from None
        if error.is_server_error() and error.status_code in (502, 503, 504):
            raise Unavailable(f"{where} cannot answer now: {_line(error.explanation)}") from None
        raise BlockError(f"{where} refuses: {_line(error.explanation)}") from None
    except (DockerException, requests.RequestException, OSError) as error:
        raise Unavailable(f"{where} does not answer: {_cause(error)}") from None


def _line(text: Any) -> str:
    lines = [line.strip() for line in str(text or "no reason given").splitlines() if line.strip()]
    return " ".join(lines)[:1000]


def _cause(error: BaseException) -> str:
    inner = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return _line(inner)[:300]
