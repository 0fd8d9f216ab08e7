"""What a writer promises: everything taken is stored soon, in order, small, by one owner, within its limit."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from builds.drivers.builder.base import LogFull
from builds.logs import plan, reader, store
from builds.logs.store import LogWriter
from builds.models import Build, BuildLog, LogChunk, LogMark
from fangduoduo_release.common.runs import LostClaim
from tests.waiting import until

from .conftest import typical

pytestmark = pytest.mark.django_db(transaction=True)


def everything(build: Build) -> bytes:
    return reader.read(build.pk, 0, 1 << 30).data


def test_a_line_is_readable_within_a_moment_without_any_flush(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"hello\n", stage="s1", step=1, label="sh echo")
    until(lambda: everything(build) == b"hello\n")
    assert reader.head(build.pk).lines == 1
    assert not reader.head(build.pk).complete
    writer.close()


def test_a_slow_log_is_merged_and_stays_in_order(build: Build) -> None:
    writer = LogWriter(build.pk)
    sent = typical(120)
    for line in sent:
        writer.append(line)
        writer.flush()
    writer.close()
    assert everything(build) == b"".join(sent)
    assert LogChunk.objects.filter(build=build).count() <= plan.MANY_SMALL + 1
    log = BuildLog.objects.get(pk=build.pk)
    assert log.chunks == LogChunk.objects.filter(build=build).count()
    assert log.stored_size == sum(len(bytes(row.data)) for row in LogChunk.objects.filter(build=build))


def test_a_fast_log_is_stored_small_while_it_runs(build: Build) -> None:
    writer = LogWriter(build.pk)
    data = b"".join(typical(40_000))
    for start in range(0, len(data), 50_000):
        writer.append(data[start : start + 50_000].rsplit(b"\n", 1)[0] + b"\n")
    writer.flush()
    log = BuildLog.objects.get(pk=build.pk)
    assert log.size >= len(data) * 0.99
    assert log.stored_size * 8 <= log.size
    writer.close()


def test_numbers_of_rows_are_right_across_blocks(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"".join(typical(9000)))
    writer.close()
    line = 1
    for row in LogChunk.objects.filter(build=build):
        assert row.first_line == line
        line += row.lines
    assert line == 9001


def test_a_missing_newline_is_added_and_nothing_is_nothing(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"")
    writer.append(b"no newline")
    writer.append(b"next")
    writer.close()
    assert everything(build) == b"no newline\nnext\n"


def test_a_line_of_ten_megabytes_is_kept_in_bounded_blocks(build: Build) -> None:
    writer = LogWriter(build.pk)
    long = b"0123456789" * 1024 * 1024 + b"\n"
    writer.append(b"before\n")
    writer.append(long)
    writer.append(b"after\n")
    writer.close()
    assert max(LogChunk.objects.filter(build=build).values_list("size", flat=True)) <= 256 * 1024
    page = reader.lines(build.pk, 1, 10)
    assert [row[0] for row in page.rows] == [1, 2, 3]
    assert page.rows[1][5] == len(long) - 1 - 8192
    assert page.rows[2][4] == "after"


def test_marks_follow_stage_step_and_seconds(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"a\nb\n", stage="s1", step=1, label="sh one", at_ms=1000)
    writer.append(b"c\n", stage="s1", step=1, label="sh one", at_ms=1500)
    writer.append(b"d\n", stage="s1", step=1, label="sh one", at_ms=2000)
    writer.append(b"e\n", stage="s1", step=2, label="sh two", at_ms=2001)
    writer.append(b"f\n", stage="s2", step=2, label="sh two", at_ms=2002)
    writer.close()
    marks = LogMark.objects.filter(build=build).values_list("line", "offset", "at_ms", "stage", "step")
    assert list(marks) == [(1, 0, 1000, "s1", 1), (4, 6, 2000, "s1", 1), (5, 8, 2001, "s1", 2), (6, 10, 2002, "s2", 2)]


def test_marks_stay_bounded_when_branches_mix_line_by_line() -> None:
    planner = plan.Planner(1, plan.Totals(marks=plan.SOFT_MARKS))
    batch = [plan.Piece(b"x\n", f"branch-{number % 2}", 1, "", 1000) for number in range(1000)]
    assert len(planner.plan(batch).marks) == 2
    planner = plan.Planner(1, plan.Totals(marks=plan.HARD_MARKS))
    first = planner.plan(batch[:1])
    planner.accept(first)
    assert planner.plan(batch).marks == ()


def test_a_new_writer_goes_on_where_the_last_one_stopped(build: Build) -> None:
    first = LogWriter(build.pk)
    first.append(b"one\n")
    first.close()
    second = LogWriter(build.pk)
    second.append(b"two\n")
    second.close()
    assert everything(build) == b"one\ntwo\n"


def test_two_writers_never_mix(build: Build) -> None:
    old, new = LogWriter(build.pk), LogWriter(build.pk)
    new.append(b"new\n")
    new.flush()
    old.append(b"old\n")
    with pytest.raises(LostClaim):
        old.flush()
    new.close()
    assert everything(build) == b"new\n"


def test_a_lost_claim_stores_nothing_and_is_told(build: Build) -> None:
    mine = True

    def fence() -> None:
        if not mine:
            raise LostClaim("gone")

    writer = LogWriter(build.pk, fence=fence)
    writer.append(b"kept\n")
    writer.flush()
    mine = False
    writer.append(b"late\n")
    with pytest.raises(LostClaim):
        writer.flush()
    with pytest.raises(LostClaim):
        writer.append(b"later\n")
    with pytest.raises(LostClaim):
        writer.close()
    assert everything(build) == b"kept\n"


def test_the_limit_ends_the_log_with_one_sentence(build: Build) -> None:
    writer = LogWriter(build.pk, limit=1024)
    for number in range(100):
        writer.append(b"line %3d\n" % number)
    with pytest.raises(LogFull, match="limit"):
        writer.append(b"x" * 200)
    with pytest.raises(LogFull):
        writer.append(b"more\n")
    writer.finish()
    text = everything(build).decode()
    assert text.count("The log reached its limit") == 1
    assert text.endswith("nothing more of it is kept.\n")
    assert len(text) < 1024 + 100


def test_one_append_beyond_the_limit_keeps_what_fits_in_whole_lines(build: Build) -> None:
    writer = LogWriter(build.pk, limit=20)
    with pytest.raises(LogFull):
        writer.append(b"12345678\n" * 10)
    writer.close()
    assert everything(build).startswith(b"12345678\n12345678\nThe log reached")


def test_the_first_error_is_found_while_running(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"fine\nfine\nmain.c:3:1: error: no\nerror: more\n", stage="s1", step=1)
    writer.flush()
    assert reader.head(build.pk).first_error == 3
    writer.close()


def test_the_failing_step_decides_where_the_first_error_is(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"error: tolerated by catchError\n", stage="s1", step=1)
    writer.append(b"compiling\nerror: the real one\nbye\n", stage="s2", step=2)
    writer.step_failed(stage="s2", step=2)
    assert reader.head(build.pk).first_error == 3
    writer.append(b"post\n", stage="s3", step=3)
    writer.step_failed(stage="s3", step=3)
    writer.close()
    assert reader.head(build.pk).first_error == 3


def test_a_step_that_fails_silently_is_marked_at_its_last_line(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"+ grep nothing\n", stage="s1", step=1)
    writer.append(b"+ test -f x\n", stage="s1", step=2)
    writer.step_failed(stage="s1", step=2)
    writer.close()
    assert reader.head(build.pk).first_error == 2


def test_a_locked_database_delays_and_loses_nothing(build: Build) -> None:
    """Another connection holds the write lock: appends go on into the buffer, then wait, then all is stored."""
    writer = LogWriter(build.pk)
    writer.append(b"first\n")
    writer.flush()
    sent = [b"%06d " % number + b"x" * 1000 + b"\n" for number in range(6000)]
    locked, unlock = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
            if connection.vendor != "sqlite":
                cursor.execute("LOCK TABLE builds_logchunk IN ACCESS EXCLUSIVE MODE")
            locked.set()
            unlock.wait(280)
            cursor.execute("ROLLBACK")
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(60)
    done = threading.Event()

    def feed() -> None:
        for line in sent:
            writer.append(line)
        done.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    until(lambda: writer._buffered >= 4 * 1024 * 1024, what="the buffer to be full")
    assert not done.wait(0.3)  # backpressure: the buffer is bounded
    assert writer._buffered < 5 * 1024 * 1024
    unlock.set()
    holder.join()
    feeder.join()
    writer.finish()
    assert everything(build) == b"first\n" + b"".join(sent)


def test_a_commit_whose_answer_was_lost_is_not_stored_twice(build: Build) -> None:
    from builds.logs.rows import BatchStore

    rows = BatchStore(build.pk, lambda: None)
    planner = plan.Planner(build.pk, rows.open())
    made = planner.plan([plan.Piece(b"once\n", "s", 1, "", 1)])
    rows.store(made)
    rows.store(made)  # the same again, as after a broken connection
    planner.accept(made)
    rows.store(planner.plan([plan.Piece(b"twice\n", "s", 1, "", 1)]))
    assert everything(build) == b"once\ntwice\n"


def test_appending_to_a_sealed_log_is_refused(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"all\n")
    writer.finish()
    with pytest.raises(LostClaim):
        LogWriter(build.pk)


def test_flushing_does_not_wait_until_it_is_time_to_store(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FLUSH_S", 60.0)
    writer = LogWriter(build.pk)
    began = time.monotonic()
    for _ in range(20):
        writer.append(b"x\n")
        writer.flush()
    assert time.monotonic() - began < 200, "of twenty minutes"
    writer.close()
