"""What goes wrong while deliveries come in: the database is away, the process is killed, many come at once."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shutil
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from projects.hooks.refusals import NAMES, Refusals
from projects.hooks.store import AT_ONCE, Gone, Kept, Letter, Store, keep_all, pack, secrets_of, unpack
from projects.models import HookDelivery
from tests.waiting import until

from . import letters
from .conftest import COMMANDS, Web
from .letters import SECRET

FORGE = "/hooks/github/forge/"


def fresh(number: int | str = "") -> tuple[dict[str, str], bytes]:
    return letters.github(letters.github_push(), ident=f"{number}-{uuid.uuid4().hex}")


def letter(connection: int, key: str, body: bytes = b"{}") -> Letter:
    return Letter(connection, "github", "push", key, f"{connection}:{key}", pack(body), len(body))


@pytest.fixture
def forge(db: None) -> Connection:
    return Connection.objects.create(name="forge", kind="git", secrets={"webhook_secret": SECRET})


# -- many at once -----------------------------------------------------------------------------------------------------
def test_a_hundred_deliveries_cost_one_transaction_of_a_few_statements(
    forge: Connection, django_assert_max_num_queries: Any
) -> None:
    many = [letter(forge.pk, str(number)) for number in range(AT_ONCE)]
    with django_assert_max_num_queries(8):  # SQLite wants its insert in two or three pieces; two are the savepoint's
        kept = keep_all(many)
    assert len({one.pk for one in kept if isinstance(one, Kept) and not one.known}) == AT_ONCE
    with django_assert_max_num_queries(3):
        assert all(one.known for one in keep_all(many))  # type: ignore[union-attr]
    assert HookDelivery.objects.count() == AT_ONCE


def test_the_same_delivery_twice_in_one_transaction_is_one_row(forge: Connection) -> None:
    first, second, other = keep_all([letter(forge.pk, key) for key in ("a", "a", "b")])
    assert isinstance(first, Kept)
    assert second == Kept(first.pk, True)
    assert not other.known  # type: ignore[union-attr]
    assert HookDelivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_be_stored_does_not_take_the_others_with_it() -> None:
    forge = Connection.objects.create(name="forge", kind="git")
    found = keep_all([letter(forge.pk, "a"), letter(999_999, "b"), letter(forge.pk, "c")])
    assert [type(one) for one in found] == [Kept, Gone, Kept]
    assert HookDelivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
async def test_those_that_come_while_others_are_stored_are_stored_together() -> None:
    forge = await Connection.objects.acreate(name="forge", kind="git", secrets={"webhook_secret": SECRET})
    store = Store()
    assert await store.door("nobody") is None
    door = await store.door("forge")
    assert door is not None
    assert SECRET not in repr(door)
    kept = await asyncio.gather(*(store.keep(letter(forge.pk, str(number // 2))) for number in range(400)))
    assert await HookDelivery.objects.acount() == 200
    assert sum(one.known for one in kept) == 200
    assert len({one.pk for one in kept}) == 200
    await asyncio.to_thread(store._pool._executor.shutdown)  # who rings the bell does not do it in the next test


def test_two_lines_are_two_secrets_and_more_do_not_count() -> None:
    assert secrets_of({"webhook_secret": " new \n\r\nold\nolder"}) == ("new", "old")
    assert secrets_of({"webhook_secret": "\n \n"}) == ()
    assert secrets_of({}) == ()


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 400])
def test_a_body_comes_out_of_the_store_as_it_went_in(body: bytes) -> None:
    assert unpack(pack(body), len(body)) == body
    assert len(unpack(pack(b"x" * 1_000_000), 10)) <= 11  # and never as more than was noted down


# -- a real process ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the connection in it, to be copied: making one takes longer than most tests with it."""
    made = Web("daphne", tmp_path_factory.mktemp("hooks") / "var")
    made.connections(("forge", "git", SECRET))
    made.client.close()
    return made.folder


def started(kind: str, prepared: Path, patience_s: float) -> Iterator[Web]:
    with tempfile.TemporaryDirectory(prefix="fdd-hooks-") as folder:
        made = Web(kind, Path(shutil.copytree(prepared, Path(folder) / "var")), patience_s)
        try:
            yield made.start()
        finally:
            made.client.close()
            made.kill()


@pytest.fixture(params=COMMANDS)
def alone(request: pytest.FixtureRequest, prepared: Path) -> Iterator[Web]:
    """A web process that the test may harm."""
    yield from started(request.param, prepared, 60)


@pytest.fixture(params=COMMANDS)
def hasty(request: pytest.FixtureRequest, prepared: Path) -> Iterator[Web]:
    """One that gives a locked database up after a second."""
    yield from started(request.param, prepared, 1)


@contextlib.contextmanager
def locked(web: Web) -> Iterator[None]:
    """Somebody holds the database so that nobody else can write."""
    with contextlib.closing(sqlite3.connect(web.database, timeout=60, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@pytest.mark.slow
def test_while_the_database_is_away_senders_are_told_to_come_again_and_nothing_is_half_stored(hasty: Web) -> None:
    assert hasty.post(FORGE, fresh()).status_code == 202
    sent = [fresh(number) for number in range(20)]
    with locked(hasty), ThreadPoolExecutor(20) as hands:
        answers = list(hands.map(lambda one: hasty.post(FORGE, one), sent))
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert "send it again" in answers[0].json()["detail"]
    assert hasty.deliveries() == 1
    answers = [hasty.post(FORGE, one) for one in sent]
    assert [answer.status_code for answer in answers] == [202] * 20
    assert not any("known" in answer.json() for answer in answers)
    assert hasty.deliveries() == 21


@pytest.mark.slow
def test_a_short_stop_of_the_database_is_waited_for(alone: Web) -> None:
    assert alone.post(FORGE, fresh()).status_code == 202
    with ThreadPoolExecutor(30) as hands:
        with locked(alone):
            waiting = [hands.submit(alone.post, FORGE, fresh(number)) for number in range(30)]
            until(lambda: alone.guests() >= 30, what="all thirty to be in")
            assert not any(one.done() for one in waiting)
        answers = [one.result() for one in waiting]
    assert {answer.status_code for answer in answers} == {202}
    assert alone.deliveries() == 31


@pytest.mark.slow
@pytest.mark.timeout(900)  # four starts of a web process
def test_killed_at_any_moment_nothing_answered_is_lost_and_nothing_sent_again_is_stored_twice(alone: Web) -> None:
    sent = {f"{number}": fresh(number) for number in range(300)}
    answered: dict[str, int] = {}
    waiting = list(sent)
    guard = threading.Lock()

    def send(name: str) -> None:
        link = http.client.HTTPConnection("127.0.0.1", alone.port, timeout=60)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(link):
            link.request("POST", FORGE, body=sent[name][1], headers=sent[name][0])
            answer = link.getresponse()
            if answer.status == 202:
                with guard:
                    answered[name] = json.loads(answer.read())["id"]

    kills = 0
    while waiting:
        before = len(answered)
        with ThreadPoolExecutor(12) as hands:
            # While it is to be killed once more some are kept back, however late the kill comes.
            tasks = [hands.submit(send, name) for name in (waiting[:90] if kills < 3 else waiting)]
            if kills < 3:
                until(lambda: len(answered) > before + 30, every=0.001)  # noqa: B023 - called in this turn
                alone.kill()
                kills += 1
            for task in tasks:
                task.result()
        if alone.process is None:
            alone.start()
        kept = {pk for (pk,) in alone.rows("select id from projects_hookdelivery")}
        assert set(answered.values()) <= kept  # what was answered is there
        waiting = [name for name in sent if name not in answered]
    assert kills == 3
    assert alone.deliveries() == len(sent) == len(set(answered.values()))


@pytest.mark.slow
def test_deliveries_are_stored_before_any_work_and_worked_on_when_a_worker_comes(alone: Web) -> None:
    """No worker runs here: the answer needs none, and the rows are due for one."""
    assert alone.post(FORGE, fresh()).status_code == 202
    assert alone.rows("select state, next_at is not null, lease_until from projects_hookdelivery") == [("new", 1, None)]
    rung = "select count(*) from django_q_ormq"
    until(lambda: alone.rows(rung)[0][0] >= 1, what="the bell to be rung")


def test_a_stranger_who_guesses_names_costs_no_memory() -> None:
    refusals = Refusals()
    for number in range(3 * NAMES):
        for _ in range(2):
            refusals.note(f"guess-{number}", "github", None, S("There is no connection of this name."), "203.0.113.7")
    assert all(len(kept) <= NAMES for kept in vars(refusals).values() if isinstance(kept, dict))
