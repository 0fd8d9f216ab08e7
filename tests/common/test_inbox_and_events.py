"""What comes from outside is accepted once; what happened is numbered without a gap, whoever writes at the same time."""

from __future__ import annotations

import uuid

from fangduoduo_release.common import events, inbox
from fangduoduo_release.common.sentence import S

from .workshop.shop import Shop


def accept(key: str, times: int) -> list[int]:
    results = [inbox.accept("letter", key, {"n": 1, "text": "nul \x00"}) for _ in range(times)]
    return [len({row.pk for row, _ in results}), sum(new for _, new in results)]


def rows_of(key: str) -> list[object]:
    from fangduoduo_release.common.models import InboxItem

    return [[row.payload["text"], row.next_at is not None] for row in InboxItem.objects.filter(dedupe_key=key)]


def test_a_thousand_identical_items_from_eight_processes_are_one(shop: Shop) -> None:
    key = uuid.uuid4().hex
    answers = shop.together(accept, [[key, 125]] * 8)
    assert all(rows == 1 for rows, _ in answers)
    assert sum(new for _, new in answers) == 1
    assert shop.call(rows_of, key) == [["nul \ufffd", True]]


def rolled_back(key: str) -> list[int]:
    """Accepted inside a transaction that fails: no row, no ring."""
    from django.db import transaction
    from django_q.models import OrmQ

    from fangduoduo_release.common.models import InboxItem

    rings = OrmQ.objects.count()
    try:
        with transaction.atomic():
            inbox.accept("letter", key, {})
            raise KeyError(key)
    except KeyError:
        return [InboxItem.objects.filter(dedupe_key=key).count(), OrmQ.objects.count() - rings]


def test_nothing_is_rung_for_what_was_not_committed(shop: Shop) -> None:
    assert shop.call(rolled_back, uuid.uuid4().hex) == [0, 0]


def new_job() -> int:
    from .workshop.models import Job

    return Job.objects.create().pk


def record_many(pk: int, count: int) -> list[int]:
    from django.db import transaction

    from .workshop.models import Job

    job = Job.objects.get(pk=pk)
    seqs = []
    for number in range(count):
        try:
            with transaction.atomic():
                event = events.record(job, "note", S("Note %(number)s.", number=number))
                if number % 5 == 4:
                    raise KeyError(number)
                seqs.append(event.seq)
        except KeyError:  # an event of a change that was rolled back never was
            pass
    return seqs


def stored(pk: int) -> list[list[int]]:
    from fangduoduo_release.common.models import Event

    from .workshop.models import Job

    job = Job.objects.get(pk=pk)
    return [list(Event.objects.filter(topic=job.topic).order_by("seq").values_list("seq", flat=True)), [job.event_seq]]


def test_eight_writers_leave_no_gap(shop: Shop) -> None:
    pk = shop.call(new_job)
    told = shop.together(record_many, [[pk, 20]] * 8)
    seqs, (last,) = shop.call(stored, pk)
    assert seqs == list(range(1, 8 * 16 + 1))
    assert last == 8 * 16
    assert sorted(seq for mine in told for seq in mine) == seqs
    assert all(mine == sorted(mine) for mine in told)


def odd_event() -> list[object]:
    from .workshop.models import Job

    job = Job.objects.create()
    event = events.record(job, "note", S("x" * 400), text="\ud800", deep=[{"a": "\x00"}])
    return [event.at.year > 2000, len(event.text), event.data]


def test_an_event_takes_any_text_and_knows_its_time(shop: Shop) -> None:
    assert shop.call(odd_event) == [True, 300, {"text": "\ufffd", "deep": [{"a": "\ufffd"}]}]


def grow_old(days: list[int]) -> list[object]:
    """Items that came so many days ago; what is left of them when old ones are forgotten, and how many went."""
    from datetime import timedelta

    from django.utils import timezone

    from fangduoduo_release.common.models import InboxItem

    InboxItem.objects.all().delete()
    for number, age in enumerate(days):
        row, _ = inbox.accept("letter", f"old-{number}", {})
        ended = {"state": InboxItem.State.DONE} if number % 2 else {}
        InboxItem.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(days=age), **ended)
    InboxItem.objects.filter(dedupe_key="old-3").update(needs_ops=True)
    gone = inbox.forget_old()
    return [gone, list(InboxItem.objects.order_by("pk").values_list("dedupe_key", flat=True))]


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(shop: Shop) -> None:
    assert shop.call(grow_old, [200, 200, 200, 200, 91, 91, 89, 89]) == [
        2,
        ["old-0", "old-2", "old-3", "old-4", "old-6", "old-7"],
    ]


def many_old(count: int) -> list[int]:
    from datetime import timedelta

    from django.utils import timezone

    from fangduoduo_release.common.models import InboxItem

    InboxItem.objects.all().delete()
    inbox.accept_all([inbox.Item("letter", f"many-{number}", {}) for number in range(count)])
    InboxItem.objects.update(state=InboxItem.State.DONE, received_at=timezone.now() - timedelta(days=91))
    return [inbox.forget_old(), InboxItem.objects.count()]


def test_many_are_forgotten_in_one_call(shop: Shop) -> None:
    assert shop.call(many_old, 1300) == [1300, 0]
