"""Bytes become whole lines, once each; what is no line is said to be none and costs no memory."""

from __future__ import annotations

import random
import tracemalloc

from projects.drivers.source.gerrit.lines import Half, Heard, Lines, Oversize


def cut(data: bytes, sizes: list[int], longest: int = 1 << 20) -> list[Heard]:
    lines, found, at = Lines(longest), [], 0
    while at < len(data):
        size = sizes.pop() if sizes else len(data)
        found += lines.feed(data[at : at + size])
        at += size
    return found + list(lines.close())


def test_lines_are_the_same_however_they_are_cut() -> None:
    data = b'{"a":1}\n\n{"b":2}\r\n' + "{“…”}".encode() + b"\n"
    expected = [b'{"a":1}', b'{"b":2}', "{“…”}".encode()]
    chance = random.Random(7)
    for _ in range(200):
        assert cut(data, [chance.randint(1, 6) for _ in range(40)]) == expected


def test_half_a_line_at_the_end_is_no_line() -> None:
    assert cut(b'{"a":1}\n{"type":"ref-upd', []) == [b'{"a":1}', Half(16)]
    assert cut(b'{"a":1}\n', []) == [b'{"a":1}']
    assert cut(b"   ", []) == []


def test_a_line_that_is_too_long_is_skipped_to_its_end_and_the_next_is_whole() -> None:
    data = b"short\n" + b"x" * 50 + b"\nnext\n"
    chance = random.Random(3)
    for _ in range(100):
        found = cut(data, [chance.randint(1, 9) for _ in range(40)], longest=10)
        assert found == [b"short", Oversize(50), b"next"]
    assert cut(b"x" * 10 + b"\n" + b"x" * 11 + b"\n", [], longest=10) == [b"x" * 10, Oversize(11)]


def test_a_line_that_is_too_long_and_cut_off_is_half() -> None:
    assert cut(b"x" * 30, [7] * 10, longest=10) == [Half(30)]


def test_a_hundred_megabytes_without_an_end_cost_nothing() -> None:
    lines, chunk = Lines(), b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(1600):
            assert list(lines.feed(chunk)) == []
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000, (kept, peak)
    assert list(lines.feed(b"\nnext\n")) == [Oversize(1600 * 65536), b"next"]
