"""Documents outlive the code that saved them (pain 33), and no kind of block can take a page down (pain 60): separate
processes with different code, over one API.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.block import Block
from orchestrator.client import Client
from orchestrator.errors import BlockError
from orchestrator.server.upgrade import upgrade

from ..api import ClientAs
from ..live_api import Api

HEAD = "from pydantic import SecretStr\nfrom orchestrator.block import Block\n\nclass Lake(Block):\n    '''A lake.'''\n"
V1 = HEAD + "    url: str\n    token: SecretStr\n    zone: str = 'a'\n"
OPTIONAL = V1 + "    depth: int = 7\n"
REQUIRED = V1 + "    owner: str\n"
LOST = HEAD + "    url: str\n    token: SecretStr\n"
RENAMED = V1.replace("A lake.", "Another text.").replace("url: str", "url: 'str | None' = None")

TREE = Path(__file__).resolve().parents[2]


class Code:
    """Versions of one module, each in a folder of its own, and processes that see one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, version: str, program: str) -> subprocess.CompletedProcess[str]:
        place = self.folder / f"code-{abs(hash(version))}"
        place.mkdir(exist_ok=True)
        (place / "lakes.py").write_text(version)
        path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
        head = "import json\nfrom orchestrator.block import Block\nfrom lakes import Lake\n"
        return subprocess.run(
            [sys.executable, "-c", head + program],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def command(self, version: str, line: str) -> None:
        """A command, in the folder of a version's module."""
        call = f"sys.exit(subprocess.call([sys.executable, '-m', *{line.split()!r}]))"
        done = self.run(version, f"import subprocess, sys\n{call}")
        assert done.returncode == 0, done.stderr

    def told(self, version: str, program: str) -> Any:
        """What the program prints, as JSON; it says nothing beside that."""
        done = self.run(version, program)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)


@pytest.fixture
def code(api: Api, tmp_path: Path) -> Code:
    """A lake is saved by the first version of its class."""
    made = Code(tmp_path)
    made.told(V1, "print(json.dumps(Lake(url='u', token='t', zone='b').save('main')))")
    return made


LOAD = """
made = Block.load('lake/main')
print(json.dumps({**Lake.load('main').model_dump(), 'token': made.token.get_secret_value()}))
"""


def test_pain_33_a_new_optional_field_loads_silently(code: Code) -> None:
    assert code.told(OPTIONAL, LOAD) == {"url": "u", "token": "t", "zone": "b", "depth": 7}


def test_pain_33_a_new_required_field_is_named_with_the_fix_and_the_fix_works(code: Code) -> None:
    done = code.run(REQUIRED, LOAD)
    last = done.stderr.strip().splitlines()[-1]
    assert "lake/main: the field 'owner', which lakes:Lake requires, has no saved value" in last
    create = "orchestrator block create lake/main --overwrite --set owner="
    assert f"`orchestrator block register lakes` and `{create}...`" in last
    for fix in ("orchestrator block register lakes", f"{create}ann"):
        code.command(REQUIRED, fix)
    assert code.told(REQUIRED, LOAD) == {"url": "u", "token": "t", "zone": "b", "owner": "ann"}


def test_pain_33_a_lost_field_is_ignored_and_dropped_on_save(code: Code) -> None:
    assert code.told(LOST, LOAD) == {"url": "u", "token": "t"}
    code.told(LOST, "print(json.dumps(Lake.load('main').save('main', overwrite=True)))")
    assert Client.from_settings().post("blocks/lake/main/load")["data"] == {"url": "u", "token": "t"}
    assert code.told(V1, LOAD) == {"url": "u", "token": "t", "zone": "a"}


def test_pain_33_processes_with_different_code_load_the_same_document(code: Code) -> None:
    """In whatever order they register and save: the newest code does not take the document from the oldest."""
    expected = {"url": "u", "token": "t", "zone": "b"}
    for version, other in ((OPTIONAL, V1), (V1, OPTIONAL), (RENAMED, OPTIONAL)):
        told = code.told(version, f"Lake.register()\n{LOAD}"), code.told(other, LOAD)
        assert [{**item, "depth": 7} for item in told] == [{**expected, "depth": 7}] * 2
        assert [item.get("depth") for item in told] == [7 if item is OPTIONAL else None for item in (version, other)]
    code.told(OPTIONAL, "made = Lake.load('main')\nmade.depth = 9\nprint(json.dumps(made.save('main', True)))")
    assert code.told(V1, LOAD) == {"url": "u", "token": "t", "zone": "b"}
    assert code.told(OPTIONAL, LOAD)["depth"] == 9


def test_pain_33_no_checksum_decides_whether_a_document_loads(code: Code) -> None:
    """The stored version of the fields is another than any that the loading process ever registered."""
    before = Client.from_settings().get("block-types/lake")["block_schema_id"]
    assert code.told(RENAMED, LOAD) == {"url": "u", "token": "t", "zone": "b"}
    assert Client.from_settings().get("block-types/lake")["block_schema_id"] == before


def test_pain_60_a_fresh_database_lists_all_shipped_kinds(
    database_url: str, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(database_url)
    from orchestrator.server.db import session

    session.configure(database_url, pool_size=4)
    listed = client_as("viewer").get("/api/v1/block-types?limit=200").json["items"]
    files = {path.stem.replace("_", "-") for path in (TREE / "blocks").glob("*.py")} - {"--init--"}
    assert files <= {item["slug"] for item in listed}


def test_pain_60_saving_registers_the_kind(code: Code) -> None:
    facts = Client.from_settings().get("block-types/lake")
    assert (facts["import_path"], facts["description"]) == ("lakes:Lake", "A lake.")


def test_pain_60_an_unknown_kind_says_which_import_brings_it(code: Code) -> None:
    with pytest.raises(BlockError, match="'lake' is unknown in this process: add `from lakes import Lake`"):
        Block.load("lake/main")


def test_pain_60_documents_of_a_removed_class_are_listed_and_deletable(code: Code) -> None:
    client = Client.from_settings()
    assert [item["name"] for item in client.pages("blocks", {"type": "lake"})] == ["main"]
    assert client.get("blocks/lake/main")["data"]["url"] == "u"
    assert "lake" in {item["slug"] for item in client.pages("block-types")}
    client.delete("blocks/lake/main")
    client.delete("block-types/lake")
    assert "lake" not in {item["slug"] for item in client.pages("block-types")}


def distribution(folder: Path, name: str, module: str, entries: str) -> None:
    """An installed package, as pip leaves one."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(f"[orchestrator.blocks]\n{entries}\n")
    package = folder / name.replace("-", "_")
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "kinds.py").write_text(module)


def test_pain_60_packages_bring_kinds_and_a_broken_one_hides_no_other(api: Api, tmp_path: Path) -> None:
    site = tmp_path / "site"
    distribution(site, "team-lakes", V1, "lake = team_lakes.kinds:Lake")
    distribution(site, "torn", "import nothing_of_that_name\n", "torn = torn.kinds:Torn")
    distribution(site, "loud", "raise RuntimeError('no licence')\n", "loud = loud.kinds:Loud")
    distribution(site, "misnamed", V1.replace("Lake", "Sea"), "ocean = misnamed.kinds:Sea")
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))

    def cli(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = cli("block", "create", "lake/main", "--set", "url=u", "--set", "token=t", "--output", "json")
    assert made["data"] == {"url": "u", "token": "********", "zone": "a"}
    listed = {item["slug"]: item["broken"] for item in cli("block", "types", "--output", "json")}
    assert listed["lake"] is None
    assert "does not import: No module named 'nothing_of_that_name'" in listed["torn"]
    assert "no licence" in listed["loud"]
    assert "no class in that module has this _slug" in listed["ocean"]
