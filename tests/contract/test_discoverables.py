"""What every system that can be looked at promises, held against each kind: ids that stay, events that are told once.

What only one kind does is tested with the kind; here each has one system with something in it, one change that befalls
it, and one way to be out of reach.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.block import Block
from orchestrator.blocks.celery_app import CeleryApp
from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.dbt_project import DbtProject
from orchestrator.blocks.docker_container import DockerContainer
from orchestrator.blocks.git import Git
from orchestrator.blocks.http_endpoint import HTTPEndpoint
from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.redis import Redis
from orchestrator.blocks.sql_database import SQLDatabase
from orchestrator.errors import AccessDenied, NotFound, Unavailable
from orchestrator.interfaces import Discoverable, Observed, Resource
from orchestrator.running.discovering import CURSOR_MAX

from ..polling import free_port
from ..standins import azure, kubernetes, podman
from ..standins import git as git_standin
from . import conftest as storages
from .kinds import with_interface

_KIND = re.compile(r"[a-z0-9]+(\.[a-z0-9-]+)+")
_ID = re.compile(r"[a-z][a-z0-9+.-]*://\S.*|orchestrator\.[a-z-]+\.\S+")
CANARY = "canary-4c1d"


@dataclass
class Case:
    """One kind with its system.

    Attributes:
        block: Looks at a system that holds something.
        change: Lets something happen there that has to be told; None: the kind tells no events, or only while it looks.
        failing: Looks at a system that cannot be looked at; None: that itself is what the kind tells.
        raises: What ``failing`` raises.
        quiet: Whether ``observe`` of ``failing`` takes it for a system in which nothing happens.
        secret: A text that must not be told.
    """

    block: Any
    change: Callable[[], Any] | None = None
    failing: Any = None
    raises: type[Exception] = NotFound
    quiet: bool = False
    secret: str = CANARY


Request = pytest.FixtureRequest


def _storage(make: Callable[[Any], Any], server: str, field: str, elsewhere: str) -> Callable[[Request, Path], Case]:
    def case(request: Request, folder: Path) -> Case:
        files = make(request.getfixturevalue(server))
        files.write("raw/a.csv", b"1")
        files.write("b.csv", b"2")
        failing = files.model_copy(update={field: elsewhere})
        return Case(files, lambda: files.write("raw/c.csv", b"3"), failing, secret=azure.KEY)

    return case


def _local(request: Request, folder: Path) -> Case:
    files = LocalFileSystem(basepath=str(folder / "lake"))
    files.write("raw/a.csv", b"1")
    return Case(files, lambda: files.write("raw/b.csv", b"2"), LocalFileSystem(basepath=str(folder / "no" / "lake")))


def _git(request: Request, folder: Path) -> Case:
    url, repositories = request.getfixturevalue("git_url"), request.getfixturevalue("repositories")
    path = f"/private/{folder.name}"
    repositories[path] = git_standin.new_repository(folder / "repository")
    git_standin.commit(repositories[path], {"a": b"1"})

    def push() -> None:
        git_standin.commit(repositories[path], {"a": b"2"})

    private = {"url": url + path, "username": "robot"}
    return Case(Git(**private, token="secret"), push, Git(**private, token=CANARY), AccessDenied)


def _http(request: Request, folder: Path) -> Case:
    health = request.getfixturevalue("web_root") / f"{folder.name}.json"
    health.write_text('{"status": "ok"}')
    url = f"{request.getfixturevalue('web_url')}/{health.name}?key={CANARY}"
    return Case(HTTPEndpoint(url=url, token=CANARY, json_path="status"), health.unlink)


def _redis(request: Request, folder: Path) -> Case:
    url = request.getfixturevalue("redis_url")
    failing = Redis(url=f"redis://:{CANARY}@127.0.0.1:{free_port()}/0")
    return Case(Redis(url=url, queues=[f"queue-{folder.name}"]), failing=failing, raises=Unavailable)


def _celery(request: Request, folder: Path) -> Case:
    """No worker runs here: what is told while one does is tested in tests/unit/blocks/test_celery_app.py."""
    fields: dict[str, Any] = {"queues": ["mails"], "key_prefix": f"{folder.name}:", "listen_s": 1, "heartbeat_s": 1}
    failing = CeleryApp(broker_url=f"redis://:{CANARY}@127.0.0.1:{free_port()}/0", **fields)
    return Case(CeleryApp(broker_url=request.getfixturevalue("redis_url"), **fields), None, failing, Unavailable)


def _sql(request: Request, folder: Path) -> Case:
    def at(path: Path) -> SQLDatabase:
        return SQLDatabase(credentials=DatabaseCredentials(dialect="sqlite", database=str(path)))

    shop = at(folder / "shop.db")
    shop.execute("CREATE TABLE orders (id integer PRIMARY KEY)")
    return Case(shop, lambda: shop.execute("CREATE TABLE items (id integer)"), at(folder / "nowhere.db"))


def _dbt(request: Request, folder: Path) -> Case:
    """The files that dbt leaves, as far as they are read; the real dbt is run in tests/integration/test_dbt.py."""
    source = {"resource_type": "source", "name": "orders", "schema": "raw", "package_name": "shop"}
    model = {"resource_type": "model", "name": "totals", "schema": "main", "package_name": "shop",
             "depends_on": {"nodes": ["source.shop.raw.orders"]}, "config": {"materialized": "table"}}  # fmt: skip
    manifest = {"metadata": {"project_name": "shop"}, "sources": {"source.shop.raw.orders": source},
                "nodes": {"model.shop.totals": model}}  # fmt: skip
    target = folder / "shop" / "target"
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps(manifest))

    def run(invocation: str) -> None:
        metadata = {"invocation_id": invocation, "generated_at": "2026-01-31T02:00:00.000000Z"}
        result = {"unique_id": "model.shop.totals", "status": "success", "execution_time": 0.1}
        (target / "run_results.json").write_text(json.dumps({"metadata": metadata, "results": [result]}))

    run("first")
    failing = DbtProject(project=str(folder / "nowhere"))
    return Case(DbtProject(project=str(folder / "shop")), lambda: run("second"), failing, quiet=True)


def _kubernetes(request: Request, folder: Path) -> Case:
    cluster = request.getfixturevalue("kubernetes_cluster")
    metadata = {"name": "flow-1", "namespace": "default", "uid": "1", "creationTimestamp": kubernetes.instant()}
    cluster.put("ADDED", "pods", {"metadata": metadata, "spec": {"nodeName": "this-computer"}, "status": {}})
    cluster.event("flow-1", "Scheduled", "assigned before anyone looked")
    failing = KubernetesCluster(kubeconfig=SecretStr(cluster.kubeconfig.replace(kubernetes.TOKEN, CANARY)))
    return Case(
        KubernetesCluster(kubeconfig=SecretStr(cluster.kubeconfig)),
        lambda: cluster.event("flow-1", "BackOff", "Back-off restarting", "Warning"),
        failing,
        AccessDenied,
        secret=kubernetes.TOKEN,
    )


def _docker(request: Request, folder: Path) -> Case:
    engine = request.getfixturevalue("container_engine")
    if not engine.podman("ps", "--all", "--quiet").strip():
        engine.podman("create", "--name", "waits", podman.IMAGE, "true")
    failing = DockerContainer(image=podman.IMAGE, docker_host=f"tcp://127.0.0.1:{free_port()}")
    return Case(DockerContainer(image=podman.IMAGE, docker_host=engine.url), failing=failing, raises=Unavailable)


#: By slug. Kinds that say of themselves that there is no stand-in of their system need none.
CASES: dict[str, Callable[[Request, Path], Case]] = {
    "azure-blob": _storage(storages.make_azure, "azure_url", "container", "not-there"),
    "celery-app": _celery,
    "dbt-project": _dbt,
    "docker-container": _docker,
    "gcs": _storage(storages.make_gcs, "gcs_url", "bucket", "not-there"),
    "git": _git,
    "http-endpoint": _http,
    "kubernetes-cluster": _kubernetes,
    "local-file-system": _local,
    "redis": _redis,
    "s3": _storage(storages.make_s3, "s3_url", "bucket", "not-there"),
    "sftp": _storage(lambda server: storages.make_sftp(server, basepath="lake"), "sftp_server", "basepath", "/no/lake"),
    "smb": _storage(lambda server: storages.make_smb(server, basepath="lake"), "smb_server", "basepath", "no/lake"),
    "sql-database": _sql,
}


@pytest.fixture(scope="module")
def kubernetes_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kubernetes.Cluster]:
    with kubernetes.cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def container_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[podman.Engine]:
    if missing := podman.why_not():
        pytest.skip(missing)
    with podman.engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(params=sorted(CASES))
def case(request: Request, tmp_path: Path) -> Case:
    return CASES[request.param](request, tmp_path)


def look(block: Discoverable, cursor: Any) -> tuple[list[Observed], Any]:
    """The events of a look, and its cursor as the next one gets it."""
    told: list[Observed] = []
    text = json.dumps(block.observe(cursor, told.append))
    assert len(text) <= CURSOR_MAX
    return told, json.loads(text)


def keys_of(told: list[Observed]) -> list[tuple[str, str]]:
    """What the server knows events by."""
    return [(event.event, event.key) for event in told]


def check(resource: Resource) -> None:
    """A resource by itself is well formed."""
    assert _ID.fullmatch(resource.id), resource.id
    assert _KIND.fullmatch(resource.kind), resource.kind
    assert resource.name
    for label, value in resource.labels.items():
        assert isinstance(label, str)
        assert value is None or isinstance(value, (str, int, float, bool)), (label, value)
    json.dumps(dict(resource.labels), allow_nan=False)
    for other in resource.related:
        assert _ID.fullmatch(other.id), other.id
        assert re.fullmatch(r"[a-z][a-z-]*", other.role), other.role
        assert other.id != resource.id


def test_every_kind_has_a_case_or_says_that_there_is_no_stand_in() -> None:
    kinds = with_interface(Discoverable)
    untested = {slug for slug, kind in kinds.items() if kind._untested_here}
    assert set(CASES) == set(kinds) - untested
    for slug in untested:
        # All of their looking is done by code that SQLDatabase is tested with.
        kind: type[Block] = kinds[slug]
        assert kind.discover is SQLDatabase.discover, slug  # type: ignore[attr-defined]
        assert kind.observe is SQLDatabase.observe, slug  # type: ignore[attr-defined]


def test_resources_are_the_same_at_every_look(case: Case) -> None:
    first, second = [*case.block.discover()], [*case.block.discover()]
    assert first, "a system that is there is a resource at least"
    ids = [resource.id for resource in first]
    assert len(set(ids)) == len(ids)
    assert {(item.id, item.kind, item.name) for item in first} == {(item.id, item.kind, item.name) for item in second}
    for resource in first:
        check(resource)
        for whole in {other.id for other in resource.related if other.role == "part-of"} - set(ids):
            # A block that sees a folder of a bucket does not find the bucket itself, but its id is known.
            assert resource is first[-1], "what something is part of is found with it"
            assert resource.id.startswith(f"{whole}/")
    assert case.secret not in repr(first)


def test_labels_that_are_news_stay_when_nothing_happens(case: Case) -> None:
    def news() -> dict[str, dict[str, Any]]:
        return {
            item.id: {name: value for name, value in item.labels.items() if name not in item.volatile}
            for item in case.block.discover()
        }

    assert news() == news()


def test_the_first_look_only_takes_note_and_what_happens_is_told(case: Case) -> None:
    told, cursor = look(case.block, None)
    assert told == []
    told, cursor = look(case.block, cursor)
    assert told == [], "nothing happened"
    if case.change is None:
        return
    case.change()
    told, after = look(case.block, cursor)
    system = next(iter(case.block.discover())).kind.partition(".")[0]
    assert told
    for event in told:
        assert _KIND.fullmatch(event.event)
        assert event.event.startswith(f"{system}.")
        assert event.key
        assert event.occurred is None or event.occurred.tzinfo is not None
        json.dumps(event.payload, allow_nan=False)
        check(event.resource)
    assert case.secret not in repr(told)
    keys = keys_of(told)
    assert len(set(keys)) == len(keys)
    # A look whose cursor was lost tells the same again, and by the same keys; the next one tells nothing.
    assert keys_of(look(case.block, cursor)[0]) == keys
    assert look(case.block, after)[0] == []


def test_a_system_that_cannot_be_looked_at_is_an_error(case: Case) -> None:
    if case.failing is None:
        assert isinstance(case.block, HTTPEndpoint), "only of an endpoint it is news, and no error"
        return
    with pytest.raises((Unavailable, AccessDenied, NotFound)) as caught:
        list(case.failing.discover())
    errors = [caught.value]
    if case.quiet:
        assert look(case.failing, None)[0] == []
    elif type(case.failing).observe is not Discoverable.observe:
        with pytest.raises((Unavailable, AccessDenied, NotFound)) as caught:
            case.failing.observe(None, pytest.fail)
        errors.append(caught.value)
    for error in errors:
        assert isinstance(error, case.raises)
        assert len(str(error).splitlines()) == 1
        assert CANARY not in str(error)
        assert case.secret not in str(error)
