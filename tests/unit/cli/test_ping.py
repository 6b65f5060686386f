"""``orchestrator ping``: addresses, and crontabs that call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .api import Api, page
from .conftest import Cli

PING = {"name": "backup", "resource_id": "ping.backup", "url": "https://tower.example/ping/secret"}
CRONTAB = "# nightly\n0 2 * * * /srv/backup.sh\n@hourly /srv/backup.sh again\n"


def test_an_address_is_shown_once(api: Api, cli: Cli) -> None:
    api.answers.update({"POST pings": (201, PING), "POST pings/backup/rotate": PING})
    for words in (["create", "backup", "--resource", "jobs.backup"], ["rotate", "backup"]):
        done = cli("ping", *words)
        assert done.out == f"{PING['url']}\n"
        assert "curl" in done.err
        assert cli("ping", *words, "--output", "json").json == PING
    assert api.calls("POST pings")[0][1] == {"name": "backup", "resource_id": "jobs.backup", "description": ""}


def test_pings_are_listed_and_deleted(api: Api, cli: Cli) -> None:
    api.answers.update({"GET pings": page(PING), "GET pings/backup": PING, "DELETE pings/backup": None})
    assert "backup" in cli("ping", "ls").out
    assert cli("ping", "delete", "backup").code == 2
    assert cli("ping", "delete", "backup", "none", "--yes").code == 1
    assert api.calls("DELETE pings/backup") == []
    assert cli("ping", "delete", "backup", "--yes").err == "deleted backup\n"


def test_a_crontab_gets_an_address_for_each_job(api: Api, cli: Cli, tmp_path: Path) -> None:
    taken: set[str] = set()

    def create(_: Any, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if body["name"] in taken:
            return 409, {"code": "conflict", "message": "there is one", "errors": {}}
        taken.add(body["name"])
        return 201, {**body, "url": f"https://tower.example/ping/{body['name']}"}

    api.answers["POST pings"] = create
    (tmp_path / "crontab").write_text(CRONTAB)
    done = cli("ping", "import-crontab", str(tmp_path / "crontab"), "--prefix", "web1-")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "# nightly"
    assert len(taken) == 2
    assert all(name.startswith("web1-") for name in taken)
    for line, schedule in zip(lines[1:], ("0 2 * * *", "@hourly"), strict=True):
        assert line.startswith(f"{schedule} ")
        assert "https://tower.example/ping/web1-" in line
    dry = cli("ping", "import-crontab", str(tmp_path / "crontab"), "--dry-run")
    assert "https://ADDRESS/ping/TOKEN" in dry.out
    assert len(taken) == 2
