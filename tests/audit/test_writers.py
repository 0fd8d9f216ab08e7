"""Many processes write one chain: nobody overtakes, nothing is lost, a killed writer leaves no half a row. On SQLite and
on PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.common.conftest import _backend
from tests.common.workshop.shop import Shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    opened = Shop.open(tmp_path_factory.mktemp("audit"), _backend(request))
    yield opened
    opened.close()


def write_many(name: str, count: int) -> int:
    from django.db import transaction

    from fangduoduo_release.audit import trail
    from fangduoduo_release.common.actor import SYSTEM

    for number in range(count):
        with transaction.atomic():
            trail.record(SYSTEM, "thing.do", trail.Named("tests.thing", name, name), after={"n": number})
            if number % 5 == 4:
                transaction.set_rollback(True)  # some actions fail after all
    return count


def write_in_threads(name: str, count: int) -> int:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    def one(thread: int) -> None:
        write_many(f"{name}-{thread}", count)
        connections.close_all()

    connections.close_all()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    return 4 * count


def die_before_the_commit(count: int) -> None:
    """Write, and be gone before it counts; the next writer must not wait for the dead one."""
    from django.db import transaction

    from fangduoduo_release.audit import trail
    from fangduoduo_release.common.actor import SYSTEM

    with transaction.atomic():
        for _ in range(count):
            trail.record(SYSTEM, "thing.die", trail.Named("tests.thing", "x", "x"))
        os.kill(os.getpid(), signal.SIGKILL)


def die_after_the_commit() -> None:
    """Committed, but the anchor was not told."""
    from fangduoduo_release.audit import anchor, trail
    from fangduoduo_release.common.actor import SYSTEM

    anchor.announce = lambda point: os.kill(os.getpid(), signal.SIGKILL)
    trail.record(SYSTEM, "thing.committed", trail.Named("tests.thing", "x", "x"))


def state() -> dict[str, Any]:
    from fangduoduo_release.audit import anchor, verifying
    from fangduoduo_release.audit.models import AuditEntry

    report, known = verifying.verify(), anchor.read()
    return {
        "findings": [str(finding) for finding in report.findings],
        "rows": report.rows,
        "verbs": sorted(set(AuditEntry.objects.values_list("verb", flat=True))),
        "anchor": known.seq if known else 0,
        "in order": list(AuditEntry.objects.order_by("id").values_list("seq", flat=True))
        == list(range(1, report.rows + 1)),
    }


def change_by_hand(seq: int) -> str:
    from django.db import DatabaseError, connection

    from fangduoduo_release.audit.guard import open_door

    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE audit_auditentry SET actor = 'x' WHERE seq = %s", [seq])
    except DatabaseError as error:
        refused = str(error)
    with open_door(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET actor = 'x' WHERE seq = %s", [seq])
    return refused


def test_eight_processes_write_one_chain(shop: Shop) -> None:
    before = shop.call(state)["rows"]
    shop.together(write_many, [[f"process-{n}", 25] for n in range(8)])
    now = shop.call(state)
    assert now["findings"] == []
    assert now["rows"] - before == 8 * 20
    assert now["in order"]
    assert now["anchor"] == now["rows"], "the anchor is where the last commit was, whoever made it"


def test_threads_of_two_processes_write_one_chain(shop: Shop) -> None:
    before = shop.call(state)["rows"]
    shop.together(write_in_threads, [["a", 10], ["b", 10]])
    now = shop.call(state)
    assert (now["findings"], now["rows"] - before, now["in order"]) == ([], 2 * 4 * 8, True)


def test_a_writer_killed_before_its_commit_wrote_nothing_and_holds_up_nobody(shop: Shop) -> None:
    before = shop.call(state)["rows"]
    with pytest.raises(AssertionError, match="it died"):
        shop.call(die_before_the_commit, 3)
    shop.call(write_many, "after", 4)
    now = shop.call(state)
    assert (now["findings"], now["rows"] - before) == ([], 4)
    assert "thing.die" not in now["verbs"]


def test_a_writer_killed_after_its_commit_leaves_the_anchor_behind_and_all_sound(shop: Shop) -> None:
    with pytest.raises(AssertionError, match="it died"):
        shop.call(die_after_the_commit)
    now = shop.call(state)
    assert "thing.committed" in now["verbs"]
    assert (now["findings"], now["anchor"]) == ([], now["rows"] - 1)
    shop.call(write_many, "next", 1)
    assert shop.call(state)["anchor"] == now["rows"] + 1


def test_plain_sql_is_refused_and_what_went_through_the_door_is_found(own_shop: Shop) -> None:
    own_shop.call(write_many, "a", 4)
    assert "append-only" in own_shop.call(change_by_hand, 2)
    process = own_shop.start("verify_audit")
    assert process.wait(300) == 1
    assert "Row 2 (id 2) is not as it was written" in own_shop.log(process)


def test_the_command_answers_zero_to_a_sound_trail(own_shop: Shop) -> None:
    own_shop.call(write_many, "a", 4)
    process = own_shop.start("verify_audit")
    assert process.wait(300) == 0
    assert "4 rows verified, head 4:" in own_shop.log(process)
