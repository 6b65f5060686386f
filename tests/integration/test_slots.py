"""Slots of limits: taken in order, never too many, given back by whoever ends."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import concurrency, flow, rate_limit, rate_limit_async, slots, task
from orchestrator.cli import cli
from orchestrator.client import Client
from orchestrator.clock import now
from orchestrator.documents.records import Actor, State
from orchestrator.errors import InvalidInput, NotFound, TransitionRefused
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.loops import leases
from orchestrator.server.services import ticks
from orchestrator.server.services.configuring import limits
from orchestrator.server.services.configuring import slots as service
from orchestrator.server.services.configuring.slots import Request
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.running import claims, transitions
from orchestrator.states import StateType

from ..live_api import Api
from ..polling import until
from ..server_rows import add_agent, add_deployment, add_run

ACTOR = Actor("server")


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    slots.forget()
    yield Client.from_settings()
    slots.forget()


def make(client: Client, name: str = "db", number: int = 1, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = client.post("limits", {"name": name, "slots": number, **more})
    return made


def state(client: Client, name: str = "db") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"limits/{name}")
    return found


def waits(client: Client, number: int = 1, name: str = "db") -> None:
    until(lambda: len(state(client, name)["waiting"]) == number, f"{number} who wait")


def test_limits_are_made_changed_listed_deleted(client: Client) -> None:
    made = make(client, "db", 2)
    assert (made["slots"], made["active"], made["taken"], made["holders"], made["block_id"]) == (2, True, 0, [], None)
    with pytest.raises(Exception, match="already"):
        make(client, "db", 3)
    make(client, "tag:warehouse")
    assert [row["name"] for row in client.get("limits", {"prefix": "tag:"})["items"]] == ["tag:warehouse"]
    changed = client.patch("limits/db", {"slots": 5, "active": False, "slot_decay_per_second": 0.5})
    assert (changed["slots"], changed["active"], changed["slot_decay_per_second"]) == (5, False, 0.5)
    assert client.get(f"limits/{made['id']}")["slots"] == 5
    for body in ({"name": "a/b", "slots": 1}, {"name": "x", "slots": 0}, {"name": " x", "slots": 1}):
        with pytest.raises(InvalidInput):
            client.post("limits", body)
    client.delete("limits/db")
    with pytest.raises(NotFound, match="limit create db"):
        client.get("limits/db")
    names = [item["event"] for item in client.get("events", {"event": "limit.*"})["items"]]
    assert sorted(names) == ["limit.created", "limit.created", "limit.deleted", "limit.updated"]


def test_a_slot_is_held_while_the_with_lasts(client: Client) -> None:
    make(client)
    with concurrency("db"):
        [holder] = state(client)["holders"]
        assert holder["taken"]
        assert holder["occupy"] == 1
    assert state(client)["holders"] == []


def test_the_next_waits_and_goes_on_when_the_slot_is_given_back(client: Client) -> None:
    make(client)
    order: list[int] = []

    def work(number: int) -> None:
        with concurrency(["db"]):
            order.append(number)

    with concurrency("db"):
        threads = []
        for number in range(3):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            waits(client, number + 1)
        assert order == []
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2]
    assert state(client)["taken"] == 0


def test_who_waits_too_long_is_told_by_whom(client: Client) -> None:
    make(client)
    with concurrency("db"), pytest.raises(TimeoutError, match=r"1 of 1 slots of db are taken, by .* since"):
        concurrency("db", timeout_seconds=0.3).take()
    assert state(client)["waiting"] == []


def test_what_does_not_exist_or_is_not_active_limits_nothing_unless_strict(client: Client) -> None:
    make(client, active=False)
    with concurrency(["db", "nothing"], occupy=7):
        assert state(client)["holders"] == []
    with pytest.raises(NotFound, match=r"db is not active, there is no limit nothing"):
        concurrency(["db", "nothing"], strict=True).take()
    with concurrency([]):
        pass


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"occupy": 0}, "occupy is 0"),
        ({"occupy": 2}, "occupy is 2, and db has 1 slots in all"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"lease_duration": 1}, "at least 10 seconds"),
    ],
)
def test_what_cannot_be_is_refused(client: Client, options: dict[str, Any], match: str) -> None:
    make(client)
    with pytest.raises(InvalidInput, match=match):
        concurrency("db", **options).take()


def test_rates_are_for_limits_whose_slots_come_back(client: Client) -> None:
    make(client)
    with pytest.raises(InvalidInput, match="no slot_decay_per_second"):
        rate_limit("db")
    make(client, "api", 2, slot_decay_per_second=0.001)
    rate_limit("api")
    asyncio.run(rate_limit_async("api"))
    assert state(client, "api")["taken"] == 2
    with pytest.raises(TimeoutError, match="2 of 2 slots of api"):
        rate_limit("api", timeout_seconds=0)
    client.patch("limits/api", {"slot_decay_per_second": 1000})
    rate_limit("api", timeout_seconds=20)
    with concurrency("api"):  # nothing to give back: it comes back by itself
        assert state(client, "api")["holders"] == []


def test_several_are_taken_together(client: Client) -> None:
    make(client, "a")
    make(client, "b")
    with concurrency("a"):
        thread = threading.Thread(target=lambda: concurrency(["b", "a"]).take())
        thread.start()
        waits(client, 1, "b")
        assert state(client, "b")["taken"] == 0
    thread.join(20)
    assert (state(client, "a")["taken"], state(client, "b")["taken"]) == (1, 1)


def test_async_code_waits_without_holding_up_the_loop(client: Client) -> None:
    make(client, "db", 2)
    most, inside = 0, 0

    async def work(both: asyncio.Event) -> None:
        nonlocal most, inside
        async with concurrency("db"):
            inside += 1
            most = max(most, inside)
            if inside == 2:
                both.set()
            await both.wait()  # a loop that is held up would wait here for ever
            inside -= 1

    async def main() -> None:
        both = asyncio.Event()
        await asyncio.wait_for(asyncio.gather(*(work(both) for _ in range(6))), 90)

    asyncio.run(main())
    assert most == 2
    assert state(client)["taken"] == 0


def test_a_cancelled_wait_leaves_its_place(client: Client) -> None:
    make(client)

    async def main() -> None:
        async with concurrency("db"):
            waiting = asyncio.create_task(concurrency("db").take_async())
            await asyncio.to_thread(waits, client)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())
    until(lambda: not state(client)["waiting"] and not state(client)["taken"], "an empty limit", 40)


def claimed() -> tuple[uuid.UUID, int]:
    with transaction() as session:
        add_run(session, add_deployment(session, name=uuid.uuid4().hex))
        agent = add_agent(session)
        job = claims.claim(session, agent.id, ["q"], now=now(), issue_token=tokens.issue)
    assert job is not None
    return job.id, job.attempt


def test_slots_end_with_the_run_that_holds_them(client: Client, api: Api) -> None:
    make(client)
    run_id, attempt = claimed()
    mine = Client(api.url, tokens.issue(run_id, attempt))
    body = {"id": str(uuid.uuid4()), "names": ["db"], "flow_run_id": str(uuid.uuid4()), "holder": "etl/sub"}
    assert mine.post("limits/acquire", body)["granted"]
    assert mine.post("limits/renew", {"ids": [body["id"]]}) == {"lost": []}
    other = {"id": str(uuid.uuid4()), "names": ["db"]}
    assert not client.post("limits/acquire", other)["granted"]
    with transaction() as session:
        crashed = State(StateType.CRASHED, message="gone", at=now())
        transitions.apply(session, run_id, crashed, attempt=attempt, actor=ACTOR, now=now())
        assert service.renew(session, [uuid.UUID(body["id"])], 60, now()) != []
    assert client.post("limits/acquire", other)["granted"]


def test_a_run_gives_back_its_own_slots_only(client: Client, api: Api) -> None:
    make(client)
    body = {"id": str(uuid.uuid4()), "names": ["db"]}
    assert client.post("limits/acquire", body)["granted"]
    run_id, attempt = claimed()
    mine = Client(api.url, tokens.issue(run_id, attempt))
    mine.delete(f"limits/slots/{body['id']}")
    assert mine.post("limits/renew", {"ids": [body["id"]]}) == {"lost": [body["id"]]}
    assert state(client)["taken"] == 1


def test_the_limit_of_a_block_is_no_limit_for_code(client: Client) -> None:
    with transaction() as session:
        limits.create(session, "block-like", 1, ACTOR, now())
    client.post("block-types", {
        "slug": "pool", "import_path": "x:P", "interfaces": ["database"],
        "schema": {"type": "object", "properties": {"max_connections": {"type": "integer"}}},
    })  # fmt: skip
    client.post("blocks", {"type": "pool", "name": "main", "data": {"max_connections": 2}})
    with pytest.raises(InvalidInput, match="the limit of a block"):
        concurrency("block/pool/main").take()
    [row] = [row for row in client.get("limits")["items"] if row["block_id"]]
    with pytest.raises(Exception, match="declared by its block"):
        client.delete(f"limits/{row['id']}")
    assert not isinstance(row, TransitionRefused)


def up(at: datetime) -> None:
    """An API that has been up for some minutes."""
    with transaction() as session:
        ticks.record(session, ticks.API_SINCE, at - timedelta(minutes=5))
        ticks.record(session, ticks.API, at)


def ask(names: list[str], at: datetime, occupy: int = 1, key: uuid.UUID | None = None) -> tuple[uuid.UUID, bool]:
    request = Request(key or uuid.uuid4(), names, occupy, 60.0)
    with transaction() as session:
        return request.id, service.ask(session, request, timedelta(0), at).granted


def test_what_is_not_renewed_comes_back_once_the_api_has_been_up(database_url: str) -> None:
    at = now()
    with transaction() as session:
        limits.create(session, "db", 1, ACTOR, at)
    first, _ = ask(["db"], at)
    second, granted = ask(["db"], at)
    assert not granted
    late = at + timedelta(seconds=70)
    assert not ask(["db"], late, key=second)[1]  # the API was away: nobody could renew
    up(late)
    with transaction() as session:
        assert leases.step(session, late) == 1
    assert ask(["db"], late, key=second)[1]
    with reading() as session:
        [row] = limits.listing(session, now=late).items
        assert [holder["id"] for holder in row.holders] == [second]
    assert first != second


def test_a_dead_one_who_waits_stands_in_the_way_for_moments_only(database_url: str) -> None:
    at = now()
    up(at)
    with transaction() as session:
        limits.create(session, "db", 1, ACTOR, at)
    first, _ = ask(["db"], at)
    ask(["db"], at)  # never asks again
    third, _ = ask(["db"], at)
    later = at + timedelta(seconds=16)
    with transaction() as session:
        service.release(session, first, later)
    assert ask(["db"], later, key=third)[1]


ORACLE_CLIENTS = 6


WHO = st.integers(0, ORACLE_CLIENTS - 1)
ASKS = st.tuples(st.just("ask"), WHO, st.sets(st.sampled_from("abr"), min_size=1), st.integers(1, 2))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            ASKS,
            st.tuples(st.just("release"), WHO),
            st.tuples(st.just("die"), WHO),
            st.tuples(st.just("pass"), st.integers(1, 90)),
        ),
        max_size=25,
    )
)
def test_an_oracle_agrees(database_url: str, steps: list[Any]) -> None:
    """Random clients take, give back and die: never over a limit, and in the end everybody alive is served."""
    at, mark = now(), uuid.uuid4().hex[:8]
    names = {key: f"{mark}-{key}" for key in "abr"}
    slots_of = {"a": 2, "b": 3, "r": 4}
    with transaction() as session:
        for key, name in names.items():
            decay = 0.5 if key == "r" else None
            limits.create(session, name, slots_of[key], ACTOR, at, slot_decay_per_second=decay)
    wanted: dict[int, tuple[uuid.UUID, set[str], int]] = {}
    held: dict[int, tuple[set[str], int]] = {}
    drawn: list[tuple[datetime, int]] = []
    dead: list[tuple[datetime, set[str], int]] = []

    def check() -> None:
        for key in "ab":
            used = sum(occupy for keys, occupy in held.values() if key in keys)
            used += sum(occupy for until_, keys, occupy in dead if key in keys and until_ > at)
            assert used <= slots_of[key], (key, held, dead)
        for since, _ in drawn:
            spent = sum(occupy for when, occupy in drawn if when >= since)
            assert spent <= slots_of["r"] + 0.5 * (at - since).total_seconds() + 1e-6

    def poll(who: int) -> None:
        request_id, keys, occupy = wanted[who]
        if ask([names[key] for key in keys], at, occupy, request_id)[1]:
            del wanted[who]
            held[who] = (keys, occupy)
            if "r" in keys:
                drawn.append((at, occupy))
        check()

    ids: dict[int, uuid.UUID] = {}
    for step in steps:
        up(at)
        match step:
            case ("ask", who, keys, occupy) if who not in wanted and who not in held:
                ids[who] = uuid.uuid4()
                wanted[who] = (ids[who], keys, occupy)
                poll(who)
            case ("release", who) if who in held:
                del held[who]
                with transaction() as session:
                    service.release(session, ids[who], at)
            case ("die", who) if who in held:
                keys, occupy = held.pop(who)
                dead.append((at + timedelta(seconds=60), keys, occupy))
            case ("pass", seconds):
                at += timedelta(seconds=seconds)
                up(at)
                with transaction() as session:
                    service.renew(session, [ids[who] for who in held], 60, at)
        for who in sorted(wanted):
            poll(who)
    for _ in range(200):
        if not wanted:
            break
        at += timedelta(seconds=10)
        up(at)
        for who in list(held):
            del held[who]
            with transaction() as session:
                service.release(session, ids[who], at)
        for who in sorted(wanted):
            poll(who)
    assert not wanted


def test_bursts_never_overshoot(client: Client) -> None:
    make(client, "db", 3)
    inside, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with concurrency("db"):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert most <= 3
    assert state(client)["taken"] == 0


def test_tasks_with_a_tag_hold_a_slot_of_its_limit(client: Client) -> None:
    make(client, "tag:warehouse", 1)
    inside: list[int] = []
    most = 0

    @task(tags=["warehouse", "other"])
    def load(number: int) -> int:
        nonlocal most
        inside.append(number)
        most = max(most, len(inside))
        [holder] = state(client, "tag:warehouse")["holders"]
        assert holder["task_run_id"]
        inside.remove(number)
        return number

    @task(tags=["warehouse"], retries=1)
    async def fails_once() -> str:
        inside.append(0)
        if len(inside) < 2:
            raise ValueError("once")
        return "done"

    @flow
    def loads() -> list[int]:
        return [future.result() for future in load.map([1, 2, 3])]

    @flow
    async def tries() -> str:
        return await fails_once()

    assert loads() == [1, 2, 3]
    assert most == 1
    assert asyncio.run(tries()) == "done"
    until(lambda: state(client, "tag:warehouse")["taken"] == 0, "free slots")


def test_tags_without_a_limit_ask_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    @task(tags=["free"])
    def load() -> int:
        return 1

    @flow
    def loads() -> int:
        return sum(load() for _ in range(5))

    asked: list[Any] = []
    monkeypatch.setattr(slots.Slots, "take", lambda *args: asked.append(args))
    assert loads() == 5
    assert asked == []


def test_the_command_line(client: Client) -> None:
    run = CliRunner().invoke
    assert run(cli, ["limit", "create", "db", "--slots", "2"]).exit_code == 0
    assert run(cli, ["limit", "create", "api", "--slots", "5", "--decay", "2"]).exit_code == 0
    with concurrency("db"):
        listed = run(cli, ["limit", "ls"]).stdout
        assert "2 a second" in listed
        shown = run(cli, ["limit", "show", "db"]).stdout
        assert "Held by" in shown
        [holder] = state(client)["holders"]
        assert run(cli, ["limit", "release", holder["id"]]).exit_code == 0
        assert state(client)["taken"] == 0
    assert run(cli, ["limit", "set", "db"]).exit_code == 2
    assert run(cli, ["limit", "set", "db", "--slots", "4", "--inactive"]).exit_code == 0
    assert (state(client)["slots"], state(client)["active"]) == (4, False)
    assert run(cli, ["limit", "delete", "db", "api", "--yes"]).exit_code == 0
    assert client.get("limits")["items"] == []


def test_a_generator_holds_its_slot_while_it_streams(client: Client) -> None:
    make(client, "tag:stream", 1)

    @task(tags=["stream"])
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    @flow
    def reads() -> list[int]:
        taken = [state(client, "tag:stream")["taken"] for _ in numbers()]
        return [*taken, state(client, "tag:stream")["taken"]]

    assert reads() == [1, 1, 0]
