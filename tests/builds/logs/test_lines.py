"""Cutting blocks and noticing errors, on bytes alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds.logs import lines


@pytest.mark.parametrize(
    "line",
    [
        b"error: expected ';' before '}' token",
        b"src/main.c:12:5: error: 'x' undeclared (first use in this function)",
        b"ERROR: No matching distribution found for nope",
        b"[ERROR] COMPILATION ERROR :",
        b"  [ERROR]   Failed to execute goal",
        b"fatal: not a git repository",
        b"Traceback (most recent call last):",
        b"E       assert 1 == 2",
        b"FAILED tests/test_a.py::test_b - assert 1 == 2",
        b"npm ERR! missing script: build",
        b"make: *** [Makefile:3: all] Error 2",
        b"sh: 1: mvnn: not found",
        b"cat: /nope: No such file or directory",
        b"bash: ./deploy.sh: Permission denied",
        b"java.lang.NullPointerException: oops",
        b"ValueError: invalid literal for int() with base 10: 'x'",
        b"\x1b[31merror\x1b[0m: linking failed",
        b"Segmentation fault (core dumped)",
        b"panic: runtime error: index out of range",
        b"BUILD FAILED",
        b"Error: Process completed with exit code 1.",
    ],
)
def test_lines_that_people_look_for_are_errors(line: bytes) -> None:
    assert lines.looks_like_error(line)
    assert lines.first_error(b"all fine\n" + line + b"\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"0 errors, 3 warnings",
        b"Tests run: 12, Failures: 0, Errors: 0",
        b"errors: 0",
        b"checking for error handling in src/error.c",
        b"Compiling failure v0.1.8",
        b"tests/test_errors.py::test_failed_login PASSED",
        b"no errors found",
        b"Installing error-stack-parser",
        b"gcc -c src/panic.c -o panic.o",
        b"failed=0 changed=3",
    ],
)
def test_lines_that_only_mention_errors_are_not(line: bytes) -> None:
    assert not lines.looks_like_error(line)


def test_nothing_suspicious_gives_none() -> None:
    assert lines.first_error(b"one\ntwo\n" * 1000) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=6))
def test_cut_covers_everything_in_blocks_of_bounded_size(sizes: list[int]) -> None:
    data = b"".join(b"x" * (size - 1) + b"\n" for size in sizes)
    position, ends = 0, []
    while position < len(data):
        end = lines.cut(data, position)
        assert 0 < end - position <= lines.BLOCK
        ends.append(end)
        position = end
    assert position == len(data)
    assert all(end - start >= lines.BLOCK // 2 for start, end in pairwise(ends[:-1]))


def test_cut_prefers_the_end_of_a_line() -> None:
    data = b"a line of some length\n" * 20_000
    assert data[lines.cut(data) - 1 : lines.cut(data)] == b"\n"


def test_text_replaces_what_is_not_utf8() -> None:
    assert lines.text_of("测试".encode() + b"\xff ok\r") == "测试\ufffd ok"
