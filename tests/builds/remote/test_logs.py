"""A log elsewhere is stored once, whole and in order, however it is cut and whoever dies while reading."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError

from builds.drivers.builder.remote import LogAnswer
from builds.logs import reader
from builds.models import Build, BuildLog, RemoteBuild
from builds.remote import logs
from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.runs import LostClaim
from tests import world

pytestmark = pytest.mark.django_db(transaction=True)
NOTE = 40  # hidden bytes that Jenkins counts after each line, as its annotations are


class Written:
    """A log as Jenkins keeps it: offsets count hidden bytes, answers carry the visible ones."""

    def __init__(self) -> None:
        self.raw: list[tuple[bytes, int]] = []  # (visible, raw length)
        self.done = False
        self.asked: list[int] = []
        self.block = 7
        self.breaks_after: int | None = None

    def write(self, text: bytes, *, hidden: int = NOTE) -> None:
        self.raw.append((text, len(text) + hidden))

    @property
    def size(self) -> int:
        return sum(length for _, length in self.raw)

    @contextmanager
    def log(self, path: str, number: int, offset: int) -> Iterator[LogAnswer]:
        self.asked.append(offset)
        restarted = offset > self.size
        at, visible = 0, b""
        for text, length in self.raw:
            if at >= (0 if restarted else offset):
                visible += text
            at += length

        def blocks() -> Iterator[bytes]:
            for start in range(0, len(visible), self.block):
                if self.breaks_after is not None and start >= self.breaks_after:
                    raise Unavailable(__import__("fangduoduo_release.common.sentence").common.sentence.S("gone"))
                yield visible[start : start + self.block]

        yield LogAnswer(blocks(), self.size, more=not self.done, restarted=restarted)


@pytest.fixture
def row() -> RemoteBuild:
    build = world.build(world.project(), state="running", builder_kind="jenkins")
    connection = Connection.objects.create(name="ci", kind="jenkins")
    return RemoteBuild.objects.create(build=build, connection=connection, job="fdd/shop", number=1)


def stored(row: RemoteBuild) -> bytes:
    log = BuildLog.objects.filter(build_id=row.pk).first()
    return b"" if log is None else b"".join(reader.pieces(reader.head(row.pk), 0, log.size))


def test_lines_come_once_and_in_order_while_the_log_grows(row: RemoteBuild) -> None:
    written, read = Written(), logs.LogReader(row)
    for number in range(20):
        written.write(b"line %d\n" % number)
        read.read(written)
    assert stored(row) == b"".join(b"line %d\n" % n for n in range(20))
    assert written.asked == [0, *[n * (NOTE + len(b"line 0\n")) for n in range(1, 11)], *written.asked[11:]]


def test_a_half_line_waits_for_its_end(row: RemoteBuild) -> None:
    written, read = Written(), logs.LogReader(row)
    written.write(b"whole\nhal")
    read.read(written)
    assert stored(row) == b"whole\n"
    written.write(b"f\n")
    read.read(written)
    assert stored(row) == b"whole\nhalf\n"


def test_a_reader_that_died_with_a_half_line_in_its_hands_lost_nothing(row: RemoteBuild) -> None:
    written = Written()
    written.write(b"whole\nhal")
    logs.LogReader(row).read(written)
    written.write(b"f\nnext\n")
    logs.LogReader(row).read(written)
    assert stored(row) == b"whole\nhalf\nnext\n"


def test_an_answer_that_breaks_off_is_taken_up_where_it_broke(row: RemoteBuild, monkeypatch: Any) -> None:
    monkeypatch.setattr(logs, "BATCH", 64)
    written = Written()
    lines = [b"line %04d of a log that is read in pieces\n" % n for n in range(100)]
    for line in lines:
        written.write(line)
    for breaks in (150, 900, 2500):
        written.breaks_after = breaks
        with pytest.raises(Unavailable):
            logs.LogReader(row).read(written)
        assert b"".join(lines).startswith(stored(row))
    assert stored(row)
    written.breaks_after = None
    logs.LogReader(row).read(written)
    assert stored(row) == b"".join(lines)


def test_the_last_line_of_a_log_may_have_no_end(row: RemoteBuild) -> None:
    written = Written()
    written.write(b"first\nlast without end")
    assert logs.LogReader(row).read(written) is False
    written.done = True
    assert logs.read_to_end(row, written, budget_s=120)
    assert stored(row) == b"first\nlast without end\n"


def test_reading_to_the_end_twice_stores_it_once(row: RemoteBuild) -> None:
    written = Written()
    written.write(b"all of it\n")
    written.done = True
    assert logs.read_to_end(row, written, budget_s=120)
    assert logs.read_to_end(RemoteBuild.objects.get(pk=row.pk), written, budget_s=120)
    assert stored(row) == b"all of it\n"
    assert len(written.asked) == 1


def test_whoever_begins_to_read_ends_the_reader_before(row: RemoteBuild) -> None:
    written = Written()
    written.write(b"one\n")
    first = logs.LogReader(row)
    first.read(written)
    second = logs.LogReader(row)
    written.write(b"two\n")
    with pytest.raises(LostClaim):
        first.read(written)
    second.read(written)
    assert stored(row) == b"one\ntwo\n"


def test_a_log_that_was_replaced_begins_again_and_says_so(row: RemoteBuild) -> None:
    written, read = Written(), logs.LogReader(row)
    written.write(b"a long first line of the old log\n" * 5)
    read.read(written)
    written.raw = []
    written.write(b"new\n")
    read.read(written)
    text = stored(row)
    assert text.endswith(b"begins again ---\nnew\n")
    written.write(b"more\n")
    read.read(written)
    assert stored(row) == text + b"more\n"


def test_a_log_beyond_the_limit_is_cut_with_a_line(row: RemoteBuild, settings: Any, monkeypatch: Any) -> None:
    settings.BUILD_LIMITS = {**settings.BUILD_LIMITS, "log_mib": 1}
    monkeypatch.setattr(logs, "BATCH", 64 * 1024)
    written = Written()
    written.block = 16 * 1024
    written.write(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 30_000)
    written.done = True
    assert logs.read_to_end(row, written, budget_s=120)
    text = stored(row)
    assert text.endswith(b"The log reached its limit of 1 MiB; nothing more of it is kept.\n")
    assert len(text) < 1024 * 1024 + 200


def test_a_line_without_end_is_cut_and_kept(row: RemoteBuild, monkeypatch: Any) -> None:
    monkeypatch.setattr(logs, "LONGEST_LINE", 1000)
    monkeypatch.setattr(logs, "BATCH", 500)
    written = Written()
    written.block = 400
    written.write(b"z" * 5000)
    written.done = True
    assert logs.read_to_end(row, written, budget_s=120)
    assert stored(row).replace(b"\n", b"") == b"z" * 5000


def test_nothing_new_costs_one_question_and_no_write(row: RemoteBuild, django_assert_num_queries: Any) -> None:
    written, read = Written(), logs.LogReader(row)
    written.write(b"one\n")
    read.read(written)
    with django_assert_num_queries(0):
        read.read(written)


def test_time_that_is_up_leaves_the_rest_for_later(row: RemoteBuild, monkeypatch: Any) -> None:
    monkeypatch.setattr(logs, "BATCH", 100)
    written = Written()
    text = b"".join(b"line %d\n" % n for n in range(500))
    written.write(text)
    read = logs.LogReader(row)
    turns = 0
    while read._offset == 0:
        read.read(written, until=0.0)
        turns += 1
    assert turns > 3
    assert stored(row) == text


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_and_any_death_give_the_same_log(row: RemoteBuild, monkeypatch: Any, seed: int) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(logs, "BATCH", 50)
    written, expected, read = Written(), b"", logs.LogReader(row)
    for _ in range(120):
        text = b"".join(chance.choice([b"a\n", b"bb", b"ccc\n", b"", b"\n"]) for _ in range(4))
        written.write(text, hidden=chance.randrange(3))
        expected += text
        written.block = chance.randrange(1, 20)
        if chance.random() < 0.2:
            read = logs.LogReader(row)  # the one before was killed
        written.breaks_after = chance.randrange(40) if chance.random() < 0.2 else None
        try:
            read.read(written)
        except Unavailable:
            read = logs.LogReader(row)
    written.breaks_after, written.done = None, True
    assert logs.read_to_end(RemoteBuild.objects.get(pk=row.pk), written, budget_s=120)
    assert stored(row) == (expected if expected.endswith(b"\n") else expected + b"\n")


def test_a_store_that_fails_leaves_the_place_where_it_was(row: RemoteBuild) -> None:
    written, read = Written(), logs.LogReader(row)
    written.write(b"one\n")
    Build.objects.filter(pk=row.pk).update(state="running")
    RemoteBuild.objects.filter(pk=row.pk).update(log_fence=99)
    with pytest.raises((LostClaim, DatabaseError)):
        read.read(written)
    assert stored(row) == b""
    assert RemoteBuild.objects.get(pk=row.pk).log_offset == 0
