"""Reading: bytes from any offset, rows of any view, steps and words, without reading the whole log."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds.logs import blocks, marks, reader, seal, search
from builds.logs.store import LogWriter
from builds.models import Build

from .conftest import typical

pytestmark = pytest.mark.django_db(transaction=True)


def texts(page: reader.Page) -> list[str]:
    return [row[4] for row in page.rows]


@pytest.fixture(params=["running", "sealed"])
def finish(request: pytest.FixtureRequest) -> object:
    """Every promise holds while the build runs and after."""

    def end(writer: LogWriter) -> None:
        writer.close() if request.param == "running" else writer.finish()

    return end


def test_bytes_from_any_offset(build: Build, finish) -> None:
    data = b"".join(typical(8000))
    writer = LogWriter(build.pk)
    writer.append(data)
    finish(writer)
    luck = random.Random(7)
    for _ in range(30):
        offset, limit = luck.randrange(len(data)), luck.randrange(1, 300_000)
        part = reader.read(build.pk, offset, limit)
        assert part.data == data[offset : offset + limit]
        assert part.next_offset == offset + len(part.data)
        assert part.total == len(data)
    end = reader.read(build.pk, len(data), 10)
    assert (end.data, end.next_offset) == (b"", len(data))
    assert reader.read(build.pk, len(data) + 99, 10).data == b""
    assert end.complete == reader.head(build.pk).complete


def test_complete_is_said_only_with_the_last_byte(build: Build) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"0123456789\n")
    writer.finish()
    assert not reader.read(build.pk, 0, 5).complete
    assert reader.read(build.pk, 5, 6).complete


def test_a_log_that_has_not_begun_is_empty(build: Build) -> None:
    assert reader.read(build.pk, 0, 10) == reader.Part(b"", 0, 0, False)
    page = reader.lines(build.pk, -500, 500)
    assert (page.first, page.total_rows, page.rows) == (1, 0, [])
    assert reader.marks(build.pk) == reader.Steps(None, [])
    assert search.find(build.pk, "x", 0) is None


def test_rows_from_the_start_the_middle_and_the_end(build: Build, finish) -> None:
    sent = typical(10_000)
    writer = LogWriter(build.pk)
    for start in range(0, len(sent), 700):
        writer.append(b"".join(sent[start : start + 700]), stage="s", step=1, at_ms=1000 * start)
    finish(writer)
    wanted = [line.decode().rstrip() for line in sent]
    for first in (1, 2, 699, 700, 701, 5000, 9951):
        page = reader.lines(build.pk, first, 50)
        assert texts(page) == wanted[first - 1 : first + 49]
        assert [row[0] for row in page.rows] == list(range(first, first + 50))
        assert all(row[1] == (row[0] - 1) // 700 * 700_000 for row in page.rows)
    tail = reader.lines(build.pk, -30, 30)
    assert (tail.first, tail.total_rows) == (9971, 10_000)
    assert texts(tail) == wanted[-30:]
    assert texts(reader.lines(build.pk, -99_999, 3)) == wanted[:3]
    assert texts(reader.lines(build.pk, 10_001, 3)) == []
    assert len(reader.lines(build.pk, 1, 99_999).rows) == reader.MAX_ROWS


def mixed(build: Build, count: int = 600) -> tuple[LogWriter, list[tuple[str, int, str]]]:
    """A log of two parallel branches mixed in short runs, with lines of nobody between."""
    luck = random.Random(3)
    writer = LogWriter(build.pk)
    sent: list[tuple[str, int, str]] = []
    while len(sent) < count:
        stage, step = luck.choice([("a", 1), ("a", 2), ("b", 3), ("", 0)])
        for _ in range(luck.randrange(1, 5)):
            sent.append((stage, step, f"{stage or 'none'} says {len(sent) + 1}"))
            writer.append(sent[-1][2].encode(), stage=stage, step=step, label=f"sh {step}", at_ms=1000)
    return writer, sent


def test_a_stage_has_rows_of_its_own(build: Build, finish) -> None:
    writer, sent = mixed(build)
    finish(writer)
    for stages in ({"a"}, {"b"}, {"a", "b"}):
        mine = [(number, line) for number, line in enumerate(sent, start=1) if line[0] in stages]
        page = reader.lines(build.pk, 1, 1000, stages)
        assert page.total_rows == len(mine)
        assert [(row[0], row[2], row[3], row[4]) for row in page.rows] == [(number, *line) for number, line in mine]
        assert texts(reader.lines(build.pk, 41, 9, stages)) == [line[2] for _, line in mine[40:49]]
        assert texts(reader.lines(build.pk, -7, 7, stages)) == [line[2] for _, line in mine[-7:]]
    assert reader.lines(build.pk, 1, 10, {"unknown"}).rows == []


def test_steps_are_runs_of_rows(build: Build, finish) -> None:
    writer, sent = mixed(build, 200)
    finish(writer)
    for stages in (None, {"a"}, {"b"}):
        mine = [line for line in sent if stages is None or line[0] in stages]
        steps = reader.marks(build.pk, stages).steps
        row = 1
        for step in steps:
            assert step["first_line"] == row
            owners = {line[:2] for line in mine[row - 1 : row - 1 + step["line_count"]]}
            assert owners == {(step["stage"], step["step"])}
            row += step["line_count"]
        assert row == len(mine) + 1


def test_the_first_error_is_a_row_of_the_view(build: Build, finish) -> None:
    writer = LogWriter(build.pk)
    writer.append(b"1\n2\n", stage="a", step=1)
    writer.append(b"3\nerror: broken\n", stage="b", step=2)
    finish(writer)
    assert reader.marks(build.pk).first_error == 4
    assert reader.marks(build.pk, {"b"}).first_error == 2
    assert reader.marks(build.pk, {"a"}).first_error is None


def test_words_are_found_both_ways_and_in_a_stage(build: Build, finish) -> None:
    writer = LogWriter(build.pk)
    sent = typical(9000)
    for number in (5, 3333, 3334, 8999):
        sent[number - 1] = b"here is the NEEDLE\n"
    writer.append(b"".join(sent[:3333]), stage="a", step=1)
    writer.append(b"".join(sent[3333:]), stage="b", step=2)
    finish(writer)
    found, row = [], 0
    while (row := search.find(build.pk, "needle", row) or 0) > 0:
        found.append(row)
    assert found == [5, 3333, 3334, 8999]
    row = 9001
    while (row := search.find(build.pk, "Needle", row, "prev") or 0) > 0:
        found.append(row)
    assert found[4:] == [8999, 3334, 3333, 5]
    assert search.find(build.pk, "needle", 0, stages={"b"}) == 1
    assert search.find(build.pk, "needle", 1, stages={"b"}) == 8999 - 3333
    assert search.find(build.pk, "needle", 1, "prev", stages={"b"}) is None
    assert search.find(build.pk, "not there", 0) is None
    assert search.find(build.pk, "", 0) is None


def test_words_across_the_blocks_of_a_long_line(build: Build, finish) -> None:
    long = bytearray(b"x" * 1_000_000 + b"\n")
    for border in (262_144, 524_288):
        long[border - 3 - 7 : border + 3 - 7] = b"needle"
    writer = LogWriter(build.pk)
    writer.append(b"before\n" + bytes(long) + b"after needle\n")
    finish(writer)
    assert search.find(build.pk, "needle", 0) == 2
    assert search.find(build.pk, "needle", 2) == 3
    assert search.find(build.pk, "needle", 3, "prev") == 2
    assert search.find(build.pk, "needle", 2, "prev") is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_runs_rows_and_lines_agree(data: st.DataObject) -> None:
    table = marks.MarkTable(1)
    line = 1
    owners: list[str] = []
    for _ in range(data.draw(st.integers(0, 12))):
        stage = data.draw(st.sampled_from(["a", "b", ""]))
        table._owner_of.append(table._number_of(marks.Owner(stage, 0, "")))
        table.lines.append(line)
        table.times.append(0)
        table.offsets.append(line)
        count = data.draw(st.integers(1, 5))
        owners += [stage] * count
        line += count
    wanted = [number for number, owner in enumerate(owners, start=1) if owner == "a"]
    runs = table.runs({"a"}, len(owners))
    assert marks.rows_in(runs) == len(wanted)
    for row, number in enumerate(wanted, start=1):
        assert marks.row_of(runs, number) == row
    first, count = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    got = [begin + more for begin, many in marks.pieces(runs, first, count) for more in range(many)]
    assert got == wanted[first - 1 : first - 1 + count]


def test_the_cache_stays_small_and_true() -> None:
    cache = blocks.BlockCache(limit=10_000)
    data = bytes(range(256)) * 400
    luck = random.Random(5)
    for _ in range(2000):
        build_id, offset = luck.randrange(3), luck.randrange(len(data))
        block = cache.find(build_id, offset)
        if block is None:
            start = offset // 1000 * 1000
            size = luck.choice([1000, 100]) if offset % 1000 < 100 else 1000
            block = blocks.Block(start, 1, data[start : start + size])
            cache.put(build_id, block)
        assert block.data == data[block.offset : block.end]
        assert cache._size <= 10_000
        assert cache._size == sum(len(one.data) for one in cache._blocks.values())
        assert sum(map(len, cache._offsets.values())) == len(cache._blocks)


def test_a_reader_that_began_before_the_sealing_goes_on(build: Build) -> None:
    data = b"".join(typical(8000))
    writer = LogWriter(build.pk)
    writer.append(data)
    writer.close()
    parts = reader.pieces(reader.head(build.pk), 0)
    got = next(parts)
    seal.seal(build.pk)
    assert got + b"".join(parts) == data
