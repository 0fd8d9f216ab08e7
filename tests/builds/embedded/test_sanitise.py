"""A log keeps colours and text, and nothing else: no control bytes, no cursor tricks, whole lines, bounded memory."""

from __future__ import annotations

import random

import pytest

from builds.drivers.builder.embedded.sanitise import LINE_LIMIT, LineSplitter, Sanitiser, clean_text


def clean(data: bytes, size: int | None = None) -> bytes:
    sanitiser = Sanitiser()
    size = size or max(1, len(data))
    out = b"".join(sanitiser.feed(data[i : i + size]) for i in range(0, len(data), size))
    return out + sanitiser.finish()


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"plain\n", b"plain\n"),
        (b"tab\there\n", b"tab\there\n"),
        (b"no newline at the end", b"no newline at the end\n"),
        (b"\x1b[31mred\x1b[0m\n", b"\x1b[31mred\x1b[0m\n"),
        (b"\x1b[1;38;2;10;20;30mx\x1b[m\n", b"\x1b[1;38;2;10;20;30mx\x1b[m\n"),
        (b"up\x1b[2A\x1b[K\x1b[?25lhidden\n", b"uphidden\n"),
        (b"\x1b]0;title\x07text\n", b"text\n"),
        (b"\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\\n", b"link\n"),
        (b"\x1bPq#0;2;0;0;0\x1b\\after\n", b"after\n"),
        (b"\x1b]52;c;unterminated\n next\n", b"\n next\n"),
        (b"\x1bc\x1b(Breset\n", b"reset\n"),
        (b"nul\x00bell\x07back\x08del\x7f\n", b"nulbellbackdel\n"),
        (b"8-bit \xc2\x9b31mCSI\n", b"8-bit CSI\n"),
        (b"10%\r20%\r100%\n", b"100%\n"),
        (b"windows\r\nline\r\n", b"windows\nline\n"),
        ("你好，世界 ✓\n".encode(), "你好，世界 ✓\n".encode()),
        (b"bad \xff\xfe utf-8\n", "bad �� utf-8\n".encode()),
        (b"cut \xe4\xbd", "cut �\n".encode()),
        (b"<script>alert(1)</script>\n", b"<script>alert(1)</script>\n"),
        ("line\u2028separator\n".encode(), b"lineseparator\n"),
        (b"", b""),
        (b"\n\n\n", b"\n\n\n"),
    ],
)
def test_only_text_and_colours_survive_however_the_bytes_are_cut(raw: bytes, kept: bytes) -> None:
    for size in (None, 1, 2, 3, 7):
        assert clean(raw, size) == kept, size


def test_random_binary_becomes_valid_text_without_control_characters() -> None:
    data = random.Random(7).randbytes(300_000)
    text = clean(data, 4096).decode("utf-8")
    assert not [c for c in text if c not in "\n\t\x1b" and (c < " " or "\x7f" <= c <= "\x9f")]
    assert text.count("\x1b") == len([i for i in range(len(text)) if text.startswith("\x1b[", i)])


def test_hostile_sequences_do_not_cost_quadratic_time() -> None:
    for unit in (b"\x1b]", b"\xc2\x9d", b"\x1b[", b"\x1b[1;", b"\r", b"\x1bP\x1b"):
        assert len(clean(unit * 100_000, 65536)) < 1_000_000


def test_a_ten_megabyte_line_is_cut_into_lines_with_a_note_and_nothing_is_lost() -> None:
    sanitiser, splitter = Sanitiser(), LineSplitter()
    out = []
    most = 0
    for _ in range(160):
        out.append(splitter.feed(sanitiser.feed(b"q" * 65536)))
        most = max(most, len(sanitiser._held) + len(sanitiser._text) + len(splitter._held))
    out.append(splitter.feed(sanitiser.feed(b"\nnext\n") + sanitiser.finish()) + splitter.finish())
    data = b"".join(out)
    assert data.count(b"q") == 160 * 65536
    lines = data.split(b"\n")
    assert lines[-2:] == [b"next", b""]
    assert max(map(len, lines)) <= LINE_LIMIT + len(LineSplitter.NOTE)
    assert LineSplitter.NOTE.rstrip() in lines[0]
    assert most <= 3 * LINE_LIMIT


def test_a_long_line_is_never_cut_within_a_character() -> None:
    splitter = LineSplitter()
    data = splitter.feed(("好" * 100_000).encode()) + splitter.finish()
    assert "�" not in data.decode("utf-8")
    assert data.decode().count("好") == 100_000


def test_a_progress_bar_of_any_length_keeps_its_last_state() -> None:
    bar = b"".join(b"%3d%%\r" % (i % 101) for i in range(50_000))
    assert clean(bar + b"done\n", 1000) == b"done\n"


def test_texts_of_people_are_cleaned_by_the_same_rules() -> None:
    assert clean_text("a\x00b\x1b]0;x\x07\nc") == "ab\nc"
