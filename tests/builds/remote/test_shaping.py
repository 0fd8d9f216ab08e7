"""Jenkins' lines become pieces: their stage, their time, nothing secret, nothing that plays tricks."""

from __future__ import annotations

from datetime import UTC, datetime

from builds.remote.shaping import Shaper

IDENTS = {"Build": "build", "Test": "test", "left": "left", "right": "right"}


def shaper(*secrets: str, stage: str = "") -> Shaper:
    return Shaper(secrets, IDENTS, stage)


def owners(data: bytes, made: Shaper | None = None) -> list[tuple[str, bytes]]:
    return [(piece.stage, piece.data) for piece in (made or shaper()).shape(data)]


def test_lines_belong_to_the_stage_that_is_open() -> None:
    log = (
        b"Started by user ann\n"
        b"[Pipeline] stage\n[Pipeline] { (Build)\n[Pipeline] sh\n+ make\n[Pipeline] }\n[Pipeline] // stage\n"
        b"[Pipeline] stage\n[Pipeline] { (Test)\nok\n[Pipeline] }\n[Pipeline] // stage\n"
        b"Finished: SUCCESS\n"
    )
    found = owners(log)
    assert b"".join(data for _, data in found) == log
    assert [stage for stage, _ in found] == ["", "build", "", "test", ""]
    assert found[1][1].startswith(b"[Pipeline] { (Build)\n")
    assert found[1][1].endswith(b"[Pipeline] // stage\n")


def test_a_stage_within_a_stage_gives_way_and_comes_back() -> None:
    log = b"[Pipeline] { (Build)\na\n[Pipeline] { (Test)\nb\n[Pipeline] // stage\nc\n[Pipeline] // stage\nd\n"
    assert [(s, d.splitlines()[-1]) for s, d in owners(log)] == [
        ("build", b"a"),
        ("test", b"[Pipeline] // stage"),
        ("build", b"[Pipeline] // stage"),
        ("", b"d"),
    ]


def test_branches_are_stages_too() -> None:
    log = b"[Pipeline] { (Branch: left)\n[Pipeline] { (Branch: right)\nx\n"
    assert [stage for stage, _ in owners(log)] == ["left", "right"]


def test_a_stage_nobody_knows_leaves_lines_with_the_one_around_it() -> None:
    log = b"[Pipeline] { (Build)\n[Pipeline] { (Declarative: Tool Install)\nx\n[Pipeline] // stage\ny\n"
    assert [stage for stage, _ in owners(log)] == ["build"]


def test_a_reader_that_begins_in_the_middle_goes_on_in_its_stage() -> None:
    assert owners(b"more\n", shaper(stage="test")) == [("test", b"more\n")]
    made = shaper(stage="test")
    assert [stage for stage, _ in owners(b"x\n[Pipeline] // stage\ny\n", made)] == ["test", ""]


def test_text_that_only_looks_like_a_stage_opens_none() -> None:
    log = b"echo [Pipeline] { (Build)\n [Pipeline] { (Build)\n[Pipeline] { (Build\nx\n"
    assert [stage for stage, _ in owners(log)] == [""]


def test_times_of_the_timestamps_option_are_taken_off_and_kept() -> None:
    found = shaper().shape(b"[2026-11-23T08:09:10.687Z] + echo 4\n[2026-11-23T08:09:12.100Z] 4\n")
    assert [piece.data for piece in found] == [b"+ echo 4\n", b"4\n"]
    at = datetime(2026, 11, 23, 8, 9, 10, 687_000, tzinfo=UTC)
    assert [piece.at_ms for piece in found] == [int(at.timestamp() * 1000), int(at.timestamp() * 1000) + 1413]


def test_lines_of_one_second_are_one_piece() -> None:
    log = b"".join(b"[2026-11-23T08:09:10.%03dZ] line %d\n" % (i, i) for i in range(900))
    found = shaper().shape(log)
    assert len(found) == 1
    assert found[0].data.count(b"\n") == 900


def test_a_step_line_with_a_time_still_tells_its_stage() -> None:
    assert [stage for stage, _ in owners(b"[2026-11-23T08:09:10.687Z] [Pipeline] { (Build)\n")] == ["build"]


def test_secrets_are_masked_in_every_form() -> None:
    found = shaper("hunter22secret").shape(
        b"token hunter22secret and aHVudGVyMjJzZWNyZXQ=\n[Pipeline] { (Build)\nhunter22secret\n"
    )
    text = b"".join(piece.data for piece in found)
    assert b"hunter22secret" not in text
    assert b"aHVudGVyMjJzZWNyZXQ" not in text
    assert text.count(b"****") >= 3


def test_a_secret_in_a_stage_name_does_not_break_the_lines() -> None:
    found = shaper("hunter22secret").shape(b"[Pipeline] { (hunter22secret)\nx\n")
    assert b"hunter22secret" not in b"".join(piece.data for piece in found)


def test_what_is_not_text_is_made_text() -> None:
    found = shaper().shape(b"\x1b]0;title\x07plain \xff\x00 \x1b[31mred\x1b[0m\n")
    assert found[0].data == "plain �  \x1b[31mred\x1b[0m\n".encode() or b"\x1b[31mred\x1b[0m" in found[0].data
    assert b"\x00" not in found[0].data
    assert b"title" not in found[0].data


def test_a_time_that_is_none_stays_text() -> None:
    assert shaper().shape(b"[2026-11-23 08:09] x\n")[0].data == b"[2026-11-23 08:09] x\n"
