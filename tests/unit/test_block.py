"""Blocks: their facts and schema, saving by reference, loading across versions, and that secrets stay masked."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

from orchestrator.block import Block, SecretDict, use_store
from orchestrator.blocks.json import JSON
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import BlockError, Conflict, NotFound
from orchestrator.interfaces import FileSystem, Secret
from orchestrator.kinds import block_kinds
from orchestrator.kinds.block_schemas import in_order


class MemoryStore:
    """Documents in a dictionary, with references resolved on load as the API does."""

    def __init__(self) -> None:
        self.types: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, Any]] = {}

    def register(self, type_facts: dict[str, Any]) -> str:
        self.types[type_facts["slug"]] = type_facts
        return type_facts["slug"]

    def save(self, slug: str, name: str | None, data: dict[str, Any], overwrite: bool) -> str:
        old = self.find(f"{slug}/{name}")
        if old and not overwrite:
            raise Conflict(f"block {slug}/{name} exists")
        key = old["id"] if old else str(uuid.uuid4())
        self.documents[key] = {"id": key, "type": slug, "name": name, "data": data}
        return str(key)

    def load(self, ref: str) -> dict[str, Any]:
        if (found := self.find(ref)) is None:
            raise NotFound(f"no block {ref}")
        return {**found, "data": self.resolve(found["data"])}

    def delete(self, ref: str) -> None:
        del self.documents[self.load(ref)["id"]]

    def find(self, ref: str) -> dict[str, Any] | None:
        every = self.documents.values()
        return next((item for item in every if ref in (item["id"], f"{item['type']}/{item['name']}")), None)

    def resolve(self, value: Any) -> Any:
        if isinstance(value, dict) and "$block" in value:
            return {**value, **self.load(value["$block"])}
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        return [self.resolve(item) for item in value] if isinstance(value, list) else value


class Credentials(Block):
    """Keys of a service.

    More about them.
    """

    _name = "Service credentials"
    user: str
    password: SecretStr


class Warehouse(Block):
    """A warehouse."""

    credentials: Credentials
    spare: list[Credentials] = Field(default_factory=list)
    files: FileSystem | None = None
    headers: SecretDict | None = None
    options: dict[str, int] = Field(default_factory=dict, description="Any number.")


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with use_store(MemoryStore()) as memory:
        assert isinstance(memory, MemoryStore)
        yield memory


@pytest.fixture
def own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds that a test defines are gone after it."""
    monkeypatch.setattr(block_kinds, "classes", dict(block_kinds.classes))


def test_the_facts_of_a_kind() -> None:
    facts = Credentials.type_facts()
    assert facts["slug"] == "credentials"
    assert facts["name"] == "Service credentials"
    assert facts["description"] == "Keys of a service."
    assert facts["import_path"] == "tests.unit.test_block:Credentials"
    assert facts["schema"]["properties"]["password"]["writeOnly"] is True
    assert facts["schema"]["required"] == ["user", "password"]
    assert "writeOnly" not in facts["schema"]["properties"]["user"]


def test_facts_without_an_annotation_are_the_classs_own(own_kinds: None) -> None:
    class Child(Credentials):
        pass

    assert Credentials._name == "Service credentials"
    assert Child.type_facts()["name"] == "Child"
    assert Child(user="u", password="p").model_dump() == Credentials(user="u", password="p").model_dump()


@pytest.mark.parametrize(
    ("name", "slug"), [("S3", "s3"), ("LocalFileSystem", "local-file-system"), ("HTTPServer2", "http-server2")]
)
def test_slugs_are_kebab_case(own_kinds: None, name: str, slug: str) -> None:
    assert type(name, (Block,), {"__module__": __name__}).type_facts()["slug"] == slug


def test_a_slug_that_cannot_be_addressed_is_refused(own_kinds: None) -> None:
    with pytest.raises(BlockError, match=r"Odd\._slug is 'No Slug'"):
        type("Odd", (Block,), {"_slug": "No Slug", "__module__": __name__})


def test_blocks_in_blocks_are_references_in_the_schema() -> None:
    schema = Warehouse.type_facts()["schema"]
    reference = {"type": "object", "title": "Credentials", "x-block": "credentials", "position": 0}
    assert schema["properties"]["credentials"] == reference
    assert schema["properties"]["spare"]["items"]["x-block"] == "credentials"
    assert schema["properties"]["files"]["x-block"] == "file-system"
    assert schema["properties"]["headers"]["writeOnly"] is True
    assert "$defs" not in schema


def test_the_order_of_fields_survives_a_store_that_keeps_none() -> None:
    """PostgreSQL's jsonb sorts the keys of an object."""
    schema = Warehouse.type_facts()["schema"]
    shuffled = {**schema, "properties": dict(sorted(schema["properties"].items()))}
    assert [*in_order(shuffled)] == ["credentials", "spare", "files", "headers", "options"] != [*shuffled["properties"]]


def test_the_order_of_fields_within_a_field_is_told_too(own_kinds: None) -> None:
    definitions = type(
        "Whole", (Block,), {"__module__": __name__, "__annotations__": {"part": Part}, "part": Part()}
    ).type_facts()["schema"]["$defs"]
    assert [*in_order(definitions["Part"])] == ["name", "token"]
    assert [item["position"] for item in definitions["Part"]["properties"].values()] == [0, 1]


def test_a_kind_may_put_its_own_fields_before_those_of_the_class_above(own_kinds: None) -> None:
    class Nearer(Credentials):
        """With a host."""

        _field_order = ("host", "password")
        host: str
        port: int = 1

    schema = Nearer.type_facts()["schema"]
    assert [*in_order(schema)] == ["host", "password", "user", "port"]
    Nearer._field_order = ("hots",)
    with pytest.raises(BlockError, match=r"Nearer\._field_order names hots, which is no field of it"):
        Nearer.type_facts()


def test_what_could_not_be_tested_is_a_fact(own_kinds: None) -> None:
    class Snow(Block):
        """Somewhere else."""

        _untested_here = "No stand-in of it exists."

    assert Snow.type_facts()["untested"] == "No stand-in of it exists."
    assert Credentials.type_facts()["untested"] == ""


def test_a_kind_may_refer_to_itself_and_to_any_block(own_kinds: None) -> None:
    properties = Chain.type_facts()["schema"]["properties"]
    assert properties["next"]["x-block"] == "chain"
    assert properties["any"]["x-block"] == "*"


class Chain(Block):
    next: Chain | None = None
    any: Block | None = None


class Part(BaseModel):
    name: str = ""
    token: SecretStr | None = None


class Whole(Block):
    parts: list[Part] = Field(default_factory=list)


def test_a_property_with_a_secret_deep_inside_is_secret_as_a_whole() -> None:
    assert Whole.type_facts()["schema"]["properties"]["parts"]["writeOnly"] is True
    whole = Whole(parts=[Part(name="a", token=SecretStr("canary"))])
    assert whole.to_document()["data"] == {"parts": [{"name": "a", "token": "canary"}]}


def test_interfaces_come_from_the_base_classes(own_kinds: None) -> None:
    class Vault(Secret, Block):  # either order
        key: str = "k"

        def get(self) -> str:
            return self.key

    assert LocalFileSystem.type_facts()["interfaces"] == ["discoverable", "file-system"]
    assert Vault.type_facts()["interfaces"] == ["secret"]
    assert Vault().get() == "k"


def test_a_kind_that_is_not_whole_cannot_be_registered(own_kinds: None, store: MemoryStore) -> None:
    class Half(Block, Secret):
        pass

    with pytest.raises(BlockError, match="lacks get"):
        Half.register()


def test_save_and_load_by_name(store: MemoryStore) -> None:
    saved = Credentials(user="u", password="canary")
    key = saved.save("dev")
    assert store.types.keys() == {"credentials"}
    assert Credentials.load("dev") == Block.load("credentials/dev") == Block.load(key) == saved
    assert Credentials.load("dev").password.get_secret_value() == "canary"
    assert (saved.document_id, saved.document_name) == (key, "dev")


def test_a_taken_name_needs_overwrite(store: MemoryStore) -> None:
    key = Credentials(user="u", password="p").save("dev")
    with pytest.raises(Conflict):
        Credentials(user="v", password="p").save("dev")
    assert Credentials(user="v", password="p").save("dev", overwrite=True) == key
    assert Credentials.load("dev").user == "v"


@pytest.mark.parametrize("name", ["", "a/b", "ä", "-a", "a b", "a" * 129])
def test_a_name_that_cannot_be_addressed_is_refused(store: MemoryStore, name: str) -> None:
    with pytest.raises(BlockError, match="cannot name a block"):
        JSON(value=1).save(name)


@pytest.mark.parametrize("ref", ["dev", "S3/dev", "a/b/c", "json/", "/dev"])
def test_a_reference_that_names_no_block_is_refused(store: MemoryStore, ref: str) -> None:
    with pytest.raises(BlockError, match="TYPE/NAME"):
        Block.load(ref)


def test_a_block_in_a_block_is_saved_by_reference_and_rotated_once(store: MemoryStore) -> None:
    credentials = Credentials(user="u", password="old")
    key = credentials.save("shared")
    Warehouse(credentials=credentials, spare=[credentials]).save("dev")
    data = store.find("warehouse/dev")
    assert data is not None
    assert data["data"]["credentials"] == {"$block": key}
    assert data["data"]["spare"] == [{"$block": key}]
    Credentials(user="u", password="new").save("shared", overwrite=True)
    loaded = Warehouse.load("dev")
    assert loaded.credentials.password.get_secret_value() == "new"
    assert loaded.credentials.document_name == "shared"


def test_a_block_in_a_block_must_have_been_saved(store: MemoryStore) -> None:
    with pytest.raises(BlockError, match=r"'credentials' of Warehouse holds a Credentials .*: save it first"):
        Warehouse(credentials=Credentials(user="u", password="p")).save("dev")
    assert store.documents == {}


def test_any_block_with_the_interface_fits(store: MemoryStore, tmp_path: Any) -> None:
    credentials, files = Credentials(user="u", password="p"), LocalFileSystem(basepath=str(tmp_path))
    credentials.save("dev")
    files.save("here")
    Warehouse(credentials=credentials, files=files).save("dev")
    assert Warehouse.load("dev").files == files
    with pytest.raises(ValidationError, match="FileSystem"):
        Warehouse(credentials=credentials, files=JSON(value=1))  # type: ignore[arg-type]


def test_a_block_is_not_saved_inside_itself(store: MemoryStore) -> None:
    Chain().save("a")
    Chain(next=Chain.load("a")).save("b")
    with pytest.raises(BlockError, match="chain/a would hold itself"):
        Chain(next=Chain.load("b")).save("a", overwrite=True)


def test_a_loaded_block_must_be_of_the_class(store: MemoryStore) -> None:
    JSON(value=1).save("a")
    with pytest.raises(BlockError, match=r"json/a is a orchestrator.blocks.json:JSON, not a Credentials"):
        Credentials.load("json/a")


def test_the_class_that_is_asked_wins_over_a_later_one_of_its_slug(own_kinds: None, store: MemoryStore) -> None:
    Credentials(user="u", password="p").save("dev")
    later = type("Credentials", (Block,), {"__module__": "imported.again"})
    assert block_kinds.find("credentials") is later
    assert type(Credentials.load("dev")) is Credentials


class TestVersions:
    """Documents outlive the class that saved them (pain 33)."""

    def test_a_new_optional_field_takes_its_default(self) -> None:
        document = {"id": "1", "type": "credentials", "name": "a", "data": {"user": "u", "password": "p"}}

        class Wider(Credentials):
            _slug: ClassVar[str] = "credentials"
            host: str = "localhost"

        try:
            assert isinstance(made := Block.from_document(document), Wider)
            assert made.host == "localhost"
        finally:
            block_kinds.classes["credentials"] = Credentials

    def test_a_new_required_field_names_itself_and_the_fix(self) -> None:
        with pytest.raises(BlockError) as caught:
            Block.from_document({"id": "1", "type": "credentials", "name": "a", "data": {"user": "canary"}})
        assert "credentials/a: the field 'password', which tests.unit.test_block:Credentials requires" in str(
            caught.value
        )
        assert "orchestrator block create credentials/a --overwrite --set password=" in str(caught.value)
        assert "canary" not in str(caught.value)

    def test_a_lost_field_is_ignored_and_dropped_on_save(self, store: MemoryStore) -> None:
        store.save("json", "a", {"value": 1, "gone": 2}, False)
        JSON.load("a").save("a", overwrite=True)
        assert store.load("json/a")["data"] == {"value": 1}

    def test_a_value_that_no_longer_fits_names_its_field_and_not_itself(self) -> None:
        data = {"user": ["canary"], "password": "canary"}
        with pytest.raises(BlockError, match="the field 'user': Input should be a valid string") as caught:
            Block.from_document({"id": "1", "type": "credentials", "name": "a", "data": data})
        assert "canary" not in str(caught.value)


def test_an_unknown_kind_says_which_import_brings_it() -> None:
    document = {"id": "1", "type": "ours", "name": "a", "data": {}, "import_path": "team.blocks:Ours"}
    with pytest.raises(BlockError, match=r"'ours' is unknown in this process: add `from team.blocks import Ours`"):
        Block.from_document(document)
    with pytest.raises(BlockError, match="import the module that defines its class"):
        block_kinds.find("ours")


def test_secrets_are_masked_wherever_a_block_is_shown() -> None:
    made = Warehouse(credentials=Credentials(user="u", password="canary"), headers={"token": "canary"})
    shown = f"{made!r} {made} {made.model_dump()} {made.model_dump(mode='json')} {made.model_dump_json()}"
    assert "canary" not in shown
    with pytest.raises(ValidationError) as caught:
        Credentials(user="u", password={"x": "canary"})  # type: ignore[arg-type]
    assert "canary" not in str(caught.value)


def test_a_mistyped_field_is_refused_in_code() -> None:
    with pytest.raises(ValidationError, match="pasword"):
        Credentials(user="u", pasword="p")  # type: ignore[call-arg]


def test_shipped_kinds_are_found_by_slug_in_a_fresh_process() -> None:
    script = (
        "import sys; from orchestrator.kinds.block_kinds import find, known\n"
        "assert not {'boto3', 'flask', 'sqlalchemy', 'celery', 'orchestrator.blocks.s3'} & {*sys.modules}\n"
        "print(*(find(s).__name__ for s in ('local-file-system', 's3', 'process', 'secret', 'json')), *known())"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = told.stdout.split()
    assert names[:5] == ["LocalFileSystem", "S3", "Process", "Secret", "JSON"]
    assert {"json", "local-file-system", "process", "s3", "secret"} <= {*names[5:]}


def test_a_broken_kind_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {**block_kinds.installed(), "broken": "no.such.module:Broken"}
    monkeypatch.setattr(block_kinds, "installed", lambda: paths)
    found = block_kinds.known()
    assert found["json"] is JSON
    assert isinstance(broken := found["broken"], BlockError)
    assert "'broken' (no.such.module:Broken) does not import" in str(broken)
