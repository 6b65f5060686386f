"""Reports arrive once, in order and complete, whatever the API does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import reporting
from orchestrator.client import Client
from orchestrator.reporting import Reporter, outbox, spool

from ..polling import free_port, until
from .reports_server import ReportsServer


@pytest.fixture
def server() -> Iterator[ReportsServer]:
    with ReportsServer() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Reporter]]:
    made: list[Reporter] = []

    def build(url: str, **options: Any) -> Reporter:
        made.append(Reporter(Client(url), tmp_path / "spool", **{"spool_max": 10_000_000, **options}))
        return made[-1]

    yield build
    for reporter in made:
        reporter.close(0.0)


def log_item(number: int, **more: Any) -> dict[str, Any]:
    return {"kind": "log", "flow_run_id": "r", "attempt": 1, "message": str(number), **more}


def numbers(server: ReportsServer) -> list[int]:
    return [int(item["message"]) for item in server.items]


def test_many_items_arrive_in_order_in_few_calls(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    reporter = make(server.url)
    for number in range(5000):
        reporter.put(log_item(number))
    assert reporter.flush(20)
    assert numbers(server) == list(range(5000))
    assert server.calls < 100


def test_an_item_put_alone_arrives_without_a_flush(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    make(server.url).put(log_item(1))
    until(lambda: numbers(server) == [1])


def test_each_producer_is_numbered_by_itself(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    reporter = make(server.url)
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    for number in range(1200):
        reporter.put(log_item(number), ours if number % 3 else theirs)
    assert reporter.flush(20)
    assert server.marks == {str(ours): 800, str(theirs): 400}
    reporter.retire(ours)
    reporter.put(b'{"kind":"log","message":"7"}', theirs)
    assert reporter.flush(20)
    assert server.marks[str(theirs)] == 401


def test_items_from_many_threads_all_arrive(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    reporter = make(server.url)
    work = [
        threading.Thread(target=lambda start=start: [reporter.put(log_item(start + n)) for n in range(500)])
        for start in range(0, 4000, 500)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert reporter.flush(20)
    found = numbers(server)
    assert sorted(found) == list(range(4000))
    for start in range(0, 4000, 500):
        own = [number for number in found if start <= number < start + 500]
        assert own == sorted(own)


@pytest.mark.parametrize("failure", [500, 503, "close", 401, 404, 429])
def test_failures_lose_and_double_nothing(
    server: ReportsServer, make: Callable[..., Reporter], failure: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.reporting.delivery.SHUT_OUT", 0.05)
    answers = iter([failure] * 3)
    server.fail = lambda body: next(answers, None)
    reporter = make(server.url)
    for number in range(300):
        reporter.put(log_item(number))
    until(lambda: numbers(server) == list(range(300)))
    assert reporter.flush(10)
    reporter.close()
    assert spool.kept(reporter.folder.parent) == []


def test_an_answer_that_is_lost_doubles_nothing(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    server.lose_answers = 2
    reporter = make(server.url)
    for number in range(1500):
        reporter.put(log_item(number))
    until(lambda: numbers(server) == list(range(1500)))


def test_what_is_put_while_the_api_is_away_arrives_in_order_when_it_is_back(
    make: Callable[..., Reporter], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    reporter = make(f"http://127.0.0.1:{port}")
    for number in range(2000):
        reporter.put(log_item(number))
    assert not reporter.flush(10)
    assert [entry.alive for entry in spool.kept(reporter.folder.parent)] == [True]
    for number in range(2000, 3000):
        reporter.put(log_item(number))
    with ReportsServer(port) as server:
        until(lambda: reporter.flush(5))
        assert numbers(server) == list(range(3000))
        reporter.put(log_item(3000))
        assert reporter.flush(5)
        assert numbers(server)[-1] == 3000
    notices = [record for record in caplog.records if "does not answer" in record.message]
    assert len(notices) == 1


def test_the_server_may_come_and_go(make: Callable[..., Reporter]) -> None:
    port = free_port()
    reporter = make(f"http://127.0.0.1:{port}")
    seen: list[int] = []
    marks: dict[str, int] = {}
    for part in range(4):
        for number in range(part * 100, part * 100 + 100):
            reporter.put(log_item(number))
        with ReportsServer(port) as server:
            server.marks = marks
            until(lambda: reporter.flush(5))
            seen += numbers(server)
    assert seen == list(range(400))


def test_what_one_process_left_the_next_delivers(make: Callable[..., Reporter], tmp_path: Path) -> None:
    port = free_port()
    first = make(f"http://127.0.0.1:{port}")
    for number in range(700):
        first.put(log_item(number))
    assert not first.close(5)
    assert [entry.alive for entry in spool.kept(tmp_path / "spool")] == [False]
    with ReportsServer(port) as server:
        second = make(f"http://127.0.0.1:{port}")
        second.put(log_item(9999))
        until(lambda: len(server.items) == 701)
        assert [number for number in numbers(server) if number < 700] == list(range(700))
        until(lambda: spool.kept(tmp_path / "spool") == [])


def test_reports_never_go_to_another_api(make: Callable[..., Reporter], server: ReportsServer) -> None:
    away = make(f"http://127.0.0.1:{free_port()}")
    away.put(log_item(1))
    away.close(5)
    other = make(server.url)
    other.put(log_item(2))
    assert other.flush(5)
    assert other.flush(5)
    assert numbers(server) == [2]


KILLED = """
import sys, time
from pathlib import Path
from orchestrator.client import Client
from orchestrator.reporting import Reporter, outbox
reporter = Reporter(Client(sys.argv[1]), Path(sys.argv[2]), spool_max=10_000_000)
for number in range(1000):
    reporter.put({"kind": "log", "flow_run_id": "r", "attempt": 1, "message": str(number)})
assert not reporter.flush(20)
print("spilled", flush=True)
time.sleep(600)
"""


def test_a_killed_process_leaves_its_reports_for_the_next(make: Callable[..., Reporter], tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, url, str(tmp_path / "spool")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "spilled\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    (kept,) = spool.kept(tmp_path / "spool")
    with next(iter(kept.folder.glob("*.jsonl"))).open("ab") as file:
        file.write(b'{"producer":"torn')
    with ReportsServer(port) as server:
        make(url).flush(5)
        until(lambda: len(server.items) == 1000)
        assert numbers(server) == list(range(1000))
    until(lambda: spool.kept(tmp_path / "spool") == [])


def test_items_the_server_refuses_are_written_down_and_hold_up_nothing(
    server: ReportsServer, make: Callable[..., Reporter], caplog: pytest.LogCaptureFixture
) -> None:
    server.refuse = lambda item: "terminal" if int(item["message"]) % 100 == 7 else None
    reporter = make(server.url)
    for number in range(500):
        reporter.put(log_item(number))
    assert reporter.flush(10)
    assert numbers(server) == [number for number in range(500) if number % 100 != 7]
    lines = [json.loads(line) for line in (reporter.folder / spool.REFUSED).read_text().splitlines()]
    assert [line["item"]["message"] for line in lines] == ["7", "107", "207", "307", "407"]
    assert {line["code"] for line in lines} == {"terminal"}
    assert len([record for record in caplog.records if "refused a report" in record.message]) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_refused_as_a_whole_loses_only_its_bad_items(
    server: ReportsServer, make: Callable[..., Reporter], status: int
) -> None:
    bad = {"3", "250", "251"}
    server.fail = lambda body: status if any(i["message"] in bad for b in body["batches"] for i in b["items"]) else None
    reporter = make(server.url)
    for number in range(400):
        reporter.put(log_item(number), uuid.UUID(int=number % 2))
    assert reporter.flush(20)
    for number in range(400, 500):
        reporter.put(log_item(number), uuid.UUID(int=number % 2))
    assert reporter.flush(20)
    assert sorted(numbers(server)) == [number for number in range(500) if str(number) not in bad]
    lines = (reporter.folder / spool.REFUSED).read_text().splitlines()
    assert sorted(json.loads(line)["item"]["message"] for line in lines) == sorted(bad)


def test_a_server_that_lost_its_marks_gets_what_it_lacks(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    reporter = make(server.url)
    reporter.put(log_item(0))
    assert reporter.flush(5)
    server.marks.clear()
    for number in range(1, 50):
        reporter.put(log_item(number))
    assert reporter.flush(5)
    reporter.put(log_item(50))
    assert reporter.flush(5)
    assert numbers(server) == list(range(51))


def test_a_full_spool_drops_bulk_before_states_and_says_so(make: Callable[..., Reporter]) -> None:
    port = free_port()
    reporter = make(f"http://127.0.0.1:{port}", spool_max=100_000)
    for number in range(3000):
        reporter.put(log_item(number))
    assert not reporter.flush(10)
    reporter.put({"kind": "flow-run-state", "id": "r", "attempt": 1, "message": "-1"})
    assert not reporter.flush(10)
    assert spool.kept(reporter.folder.parent)[0].size <= 100_000
    with ReportsServer(port) as server:
        until(lambda: reporter.flush(5) and any("dropped" in str(item["message"]) for item in server.items))
        logs = [item for item in server.items if item["kind"] == "log" and item["message"].isdigit()]
        (notice,) = [item for item in server.items if "dropped" in item["message"]]
        assert notice["message"].startswith(f"{3000 - len(logs)} reports")
        assert notice["flow_run_id"] == "r"
        assert any(item["kind"] == "flow-run-state" for item in server.items)


def test_a_disk_that_takes_nothing_keeps_reports_in_memory(make: Callable[..., Reporter], tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    port = free_port()
    reporter = make(f"http://127.0.0.1:{port}")
    for number in range(1200):
        reporter.put(log_item(number))
    assert not reporter.flush(10)
    with ReportsServer(port) as server:
        until(lambda: reporter.flush(5))
        assert numbers(server) == list(range(1200))


def test_what_has_no_json_form_arrives_as_text(server: ReportsServer, make: Callable[..., Reporter]) -> None:
    reporter = make(server.url)
    for value in (object, 2**70, "\ud800", {1: {2, 3}}):
        reporter.put({"kind": "log", "message": "1", "value": value})
    assert reporter.flush(5)
    assert len(server.items) == 4
    assert server.items[1]["value"] == str(2**70)


def test_without_an_api_all_is_kept(tmp_path: Path) -> None:
    reporter = Reporter(None, tmp_path, spool_max=10_000)
    reporter.put(log_item(1))
    assert not reporter.flush(5)
    assert not reporter.close(1)


def signs_of_life(server: ReportsServer) -> list[list[str]]:
    return [sorted(item["ids"]) for item in server.items if item["kind"] == "alive"]


def test_runs_that_it_keeps_are_said_to_be_alive_until_it_lets_them_go(
    server: ReportsServer, make: Callable[..., Reporter]
) -> None:
    reporter = make(server.url, heartbeat=0.02)
    reporter.keep("a")
    reporter.put(log_item(1))
    until(lambda: len(signs_of_life(server)) >= 3)
    reporter.keep("b")
    until(lambda: signs_of_life(server)[-1] == ["a", "b"])
    reporter.let_go("a")
    until(lambda: signs_of_life(server)[-1] == ["b"])
    reporter.let_go("b")
    assert reporter.flush(5)
    count = len(signs_of_life(server))
    reporter.put(log_item(2))
    assert reporter.flush(5)
    assert len(signs_of_life(server)) == count


def test_nobody_is_said_to_be_alive_of_whom_nothing_was_asked(
    server: ReportsServer, make: Callable[..., Reporter]
) -> None:
    reporter = make(server.url, heartbeat=0.0)
    for number in range(20):
        reporter.put(log_item(number))
        assert reporter.flush(5)
    assert signs_of_life(server) == []


def test_signs_of_life_do_not_fill_the_disk_while_the_api_is_away(make: Callable[..., Reporter]) -> None:
    with ReportsServer() as server:
        reporter = make(server.url, heartbeat=0.01)
        reporter.keep("a")
        reporter.put(log_item(1))
        until(lambda: bool(signs_of_life(server)))
    beats = []
    reporter._beat = lambda beat=reporter._beat: (beats.append(1), beat())  # type: ignore[method-assign, misc]
    until(lambda: len(beats) > 50)
    assert reporter.folder.exists()
    spooled = "".join(path.read_text() for path in reporter.folder.glob("*/*.jsonl"))
    assert 1 <= spooled.count('"alive"') <= 2
    with ReportsServer(server.port) as back:
        until(lambda: len(signs_of_life(back)) > 3)


FORKING = """
import os, sys
from pathlib import Path
from orchestrator.client import Client
from orchestrator.reporting import Reporter, outbox
reporter = Reporter(Client(sys.argv[1]), Path(sys.argv[2]), spool_max=10_000_000)
reporter.keep("of the parent")
for number in range(100):
    reporter.put({"kind": "log", "message": str(number)})
pid = os.fork()
for number in range(1000, 1100) if pid else range(2000, 2100):
    reporter.put({"kind": "log", "message": str(number)})
done = reporter.close(10)
if not pid:
    os._exit(0 if done and not reporter._kept else 3)
assert done and os.waitpid(pid, 0)[1] == 0
"""


def test_a_forked_child_reports_for_itself(server: ReportsServer, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, server.url, str(tmp_path)]
    assert subprocess.run(command, timeout=60).returncode == 0
    assert sorted(numbers(server)) == [*range(100), *range(1000, 1100), *range(2000, 2100)]
    assert len(server.marks) == 2


def test_a_process_that_ends_at_once_delivers_first(server: ReportsServer, own_home: Path) -> None:
    code = (
        "from orchestrator import reporting, settings\n"
        "reporter = reporting.process_reporter(settings.load())\n"
        "for number in range(2000): reporter.put({'kind': 'log', 'message': str(number)})\n"
    )
    environment = {**os.environ, "ORCHESTRATOR_API_URL": server.url, "ORCHESTRATOR_HOME": str(own_home)}
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)
    assert numbers(server) == list(range(2000))


def test_the_end_waits_as_long_as_a_slow_api_goes_on(
    server: ReportsServer, make: Callable[..., Reporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Semaphore(0)
    server.fail = lambda body: None if answers.acquire(timeout=30) else 503
    reporter = make(server.url, batch_items=100)
    for number in range(1000):
        reporter.put(log_item(number))
    timeouts = []

    class OneAnswerLong(threading.Event):
        """What is waited for with a time-out that is over as soon as the API has answered just once more."""

        def wait(self, timeout: float | None = None) -> bool:
            seen = reporter._calls
            answers.release()
            until(lambda: reporter._calls > seen or self.is_set(), "an answer")
            timeouts.append(timeout)
            return self.is_set()

    class Mark(outbox.Mark):
        def __init__(self) -> None:
            super().__init__()
            self.passed = OneAnswerLong()

    monkeypatch.setattr("orchestrator.reporting.reporter.Mark", Mark)
    assert reporter.close(0.6)
    assert numbers(server) == list(range(1000))
    assert timeouts[:9] == [0.6] * 9, "of each the API was slow enough to use all"


def test_the_same_reporter_serves_a_process_until_the_api_changes(
    server: ReportsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator import settings

    monkeypatch.setenv("ORCHESTRATOR_API_URL", server.url)
    first = reporting.process_reporter(settings.load())
    assert reporting.process_reporter(settings.load()) is first
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", "other")
    second = reporting.process_reporter(settings.load())
    assert second is not first
    second.close(0)


KILLED_AT_ONCE = """
import os, sys
from pathlib import Path
from orchestrator.client import Client
from orchestrator.reporting import Reporter
reporter = Reporter(Client(sys.argv[1]), Path(sys.argv[2]), spool_max=10_000_000)
for number in range(int(sys.argv[3])):
    reporter.put({"kind": "log", "flow_run_id": "r", "attempt": 1, "message": str(number)})
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("count", [1, 700, 5000])
def test_what_was_put_before_a_kill_arrives_once_and_in_order(
    make: Callable[..., Reporter], server: ReportsServer, tmp_path: Path, count: int
) -> None:
    command = [sys.executable, "-c", KILLED_AT_ONCE, server.url, str(tmp_path / "spool"), str(count)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    reporter = make(server.url)
    reporter.put(log_item(9_999_999))
    assert reporter.flush(10)
    assert reporter.close(10), "the end of a short process looks for what others left"
    assert [number for number in numbers(server) if number != 9_999_999] == list(range(count))
    assert spool.kept(tmp_path / "spool") == []


def test_a_server_that_hangs_holds_up_nobody_and_fills_no_memory(
    make: Callable[..., Reporter], server: ReportsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.reporting.reporter.MEMORY_ITEMS", 1000)
    hanging, most = threading.Event(), 0
    server.fail = lambda body: None if hanging.wait(60) else 503
    reporter = make(server.url)
    for number in range(20_000):
        reporter.put(log_item(number))
        most = max(most, reporter.waiting)
    until(lambda: reporter._spool.size > 0, "what is too much to be on disk while the call still hangs")
    assert server.items == []
    assert most < 15_000
    hanging.set()
    until(lambda: reporter.flush(5))
    assert numbers(server) == list(range(20_000))


FULL_DISK = """
import resource, sys, threading
from pathlib import Path
from orchestrator.client import Client
from orchestrator.reporting import Reporter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
reporter = Reporter(Client(sys.argv[1]), Path(sys.argv[2]), spool_max=10_000_000)
for number in range(3000):
    reporter.put({"kind": "log", "flow_run_id": "r", "attempt": 1, "message": str(number)})
assert not reporter.flush(10)
print("away", flush=True)
sys.stdin.readline()
while not reporter.flush(5):
    pass
reporter.put({"kind": "log", "flow_run_id": "r", "attempt": 1, "message": "3000"})
assert reporter.close(10)
"""


def test_a_full_disk_loses_nothing_while_the_process_lives(tmp_path: Path) -> None:
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-c", FULL_DISK, f"http://127.0.0.1:{port}", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "away\n"
    with ReportsServer(port) as server:
        child.communicate("go on\n", timeout=60)
        assert child.returncode == 0
        assert numbers(server) == list(range(3001))


def test_what_the_disk_does_not_take_is_bounded_in_memory_and_counted(
    make: Callable[..., Reporter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.reporting.overflow.HELD_BYTES", 50_000)
    monkeypatch.setattr("orchestrator.reporting.overflow.SPILL_BATCHES", 1)
    (tmp_path / "spool").write_text("a file where a folder should be")
    port = free_port()
    reporter = make(f"http://127.0.0.1:{port}")
    for number in range(3000):
        reporter.put(log_item(number))
    assert not reporter.flush(10)
    assert sum(len(item) for batch in reporter._overflow.held for item in batch.items) <= 50_000
    with ReportsServer(port) as server:
        until(lambda: reporter.flush(5) and any("dropped" in str(item["message"]) for item in server.items))
        arrived = [int(item["message"]) for item in server.items if item["message"].isdigit()]
        assert arrived == sorted(arrived)
        notice = next(item["message"] for item in server.items if "dropped" in item["message"])
        assert notice.startswith(f"{3000 - len(arrived)} reports")


def test_clocks_that_jump_change_nothing(
    make: Callable[..., Reporter], server: ReportsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    reporter = make(server.url)
    for number, jump in enumerate([0, 86400, -86400 * 365, 10**9, -(10**8)]):
        shift[0] = jump
        reporter.put(log_item(number))
        assert reporter.flush(10)
    assert numbers(server) == [0, 1, 2, 3, 4]


def test_a_signal_handler_may_report_in_the_midst_of_a_report(
    make: Callable[..., Reporter], server: ReportsServer
) -> None:
    reporter = make(server.url)
    box = reporter._outbox
    seen: list[Any] = []

    class Journal:
        """Interrupted while it writes, as by a signal."""

        def add(self, data: bytes) -> bool:
            if not seen:
                seen.append(data)
                reporter.put(log_item(1))
            return True

        def __len__(self) -> int:
            return 0

        def __getattr__(self, name: str) -> Any:
            return lambda *args: seen.append(name)

    reporter.put(log_item(0))
    assert reporter.flush(5)
    box.journal = Journal()  # type: ignore[assignment]
    reporter.put(log_item(2))
    assert reporter.flush(5)
    assert sorted(numbers(server)) == [0, 1, 2]
    assert "spoil" in seen
    box.journal = None


def test_finish_closes_the_reporter_of_the_process(server: ReportsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator import settings

    monkeypatch.setenv("ORCHESTRATOR_API_URL", server.url)
    reporter = reporting.process_reporter(settings.load())
    reporter.put(log_item(1))
    assert reporting.finish(10)
    assert numbers(server) == [1]
    assert reporting.process_reporter(settings.load()) is not reporter
    assert reporting.finish(0)
