"""Which Host headers are ours, and where a proxy's requests are placed."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.server.api.access import check_host, own_hosts
from orchestrator.server.api.errors import Refused
from orchestrator.server.app import Mounted
from orchestrator.settings import Settings


@pytest.mark.parametrize("host", ["localhost:4200", "a.localhost", "10.0.0.7", "[fe80::1]:4200", "tower.example.org"])
def test_our_hosts(host: str) -> None:
    check_host(host, own_hosts(Settings(public_url="https://tower.example.org/orch")))


@pytest.mark.parametrize("host", ["", "evil.example", "localhost.evil.example", "10.0.0.7.nip.io", "a:b:c"])
def test_hosts_of_others(host: str) -> None:
    with pytest.raises(Refused, match="ORCHESTRATOR_ALLOWED_HOSTS"):
        check_host(host, own_hosts(Settings()))


def test_allowed_hosts() -> None:
    check_host("x.example.org", own_hosts(Settings(allowed_hosts=(".example.org",))))
    check_host("anything", own_hosts(Settings(allowed_hosts=("*",))))


@pytest.mark.parametrize(
    ("host", "path", "placed"),
    [
        ("data.example.org", "/orch/runs", ("https", "/orch", "/runs")),
        ("data.example.org", "/orch", ("https", "/orch", "/")),
        ("data.example.org", "/runs", ("https", "/orch", "/runs")),
        ("data.example.org", "/orchard", ("https", "/orch", "/orchard")),
        ("127.0.0.1:4200", "/runs", ("http", "", "/runs")),
    ],
)
def test_requests_by_the_public_address(host: str, path: str, placed: tuple[str, str, str]) -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"HTTP_HOST": host, "PATH_INFO": path, "SCRIPT_NAME": "", "wsgi.url_scheme": "http"}
    Mounted(application, "https://data.example.org/orch")(environ, None)
    assert (seen["wsgi.url_scheme"], seen["SCRIPT_NAME"], seen["PATH_INFO"]) == placed
