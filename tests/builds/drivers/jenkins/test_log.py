"""The log by Jenkins' own offsets: nothing twice, nothing lost, and a replaced log is noticed."""

from __future__ import annotations

import time

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder
from builds.drivers.builder.remote import LogAnswer
from fangduoduo_release.common.errors import Rejected, Unavailable

from .canned import Answer, Canned, recording, with_fault

URL = "/job/f/job/p/3/logText/progressiveText"


def read(builder: JenkinsBuilder, offset: int) -> tuple[LogAnswer, bytes]:
    with builder.log("f/p", 3, offset) as answer:
        return answer, b"".join(answer.data)


def test_a_whole_recorded_log_is_followed_by_its_offsets(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = [recording(f"progressiveText-fail-0{n}") for n in range(7)]
    offset, whole, offsets, more = 0, b"", [], True
    while more:
        answer, data = read(builder, offset)
        offset, more = answer.next_offset, answer.more
        whole += data
        offsets.append(offset)
        assert not answer.restarted
    assert offsets == [289, 5746, 5970, 6082, 6306, 6418, 13966]
    assert [int(asked.query["start"]) for asked in jenkins.asked] == [0, *offsets[:-1]]
    assert whole.startswith(b"Started by user admin")
    assert whole.endswith(b"Finished: FAILURE")


def test_the_next_offset_is_the_servers_not_what_was_counted(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-waiting-for-node")
    answer, data = read(builder, 0)
    assert answer.next_offset == 904
    assert len(data) < 100


def test_a_log_that_became_shorter_was_replaced(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-past-end")
    answer, data = read(builder, 19264)
    assert answer.restarted
    assert answer.next_offset == 14264
    assert data.startswith(b"Started by")


def test_at_the_end_there_is_nothing_and_no_more(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-at-end")
    answer, data = read(builder, 14264)
    assert (answer.next_offset, answer.more, answer.restarted, data) == (14264, False, False, b"")


def test_the_log_of_a_deleted_build_is_gone(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-missing-build")
    with pytest.raises(Rejected) as caught, builder.log("f/p", 3, 0):
        pass
    assert caught.value.code == "build_gone"
    assert "deleted" in str(caught.value)


def test_a_page_that_is_no_log_is_not_stored(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    with pytest.raises(Unavailable) as caught, builder.log("f/p", 3, 0):
        pass
    assert caught.value.code == "not_jenkins"


def test_a_server_error_is_asked_again(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-bad-start")
    with pytest.raises(Unavailable) as caught, builder.log("f/p", 3, 0):
        pass
    assert caught.value.code == "server_error"


def test_a_log_is_read_as_it_comes_not_kept(jenkins: Canned, builder: JenkinsBuilder) -> None:
    big = b"x" * (5 * 1024 * 1024)
    jenkins.rules[f"GET {URL}"] = Answer(200, big, {"X-Text-Size": str(len(big)), "X-More-Data": "true"})
    with builder.log("f/p", 3, 0) as answer:
        pieces = [len(piece) for piece in answer.data]
    assert sum(pieces) == len(big)
    assert max(pieces) <= 64 * 1024


def test_a_log_that_breaks_off_says_so_after_what_came(jenkins: Canned, builder: JenkinsBuilder) -> None:
    whole = Answer(200, b"line\n" * 1000, {"X-Text-Size": "5000"})
    jenkins.rules[f"GET {URL}"] = with_fault(whole, "truncated")
    came: list[bytes] = []
    with pytest.raises(Unavailable) as caught, builder.log("f/p", 3, 0) as answer:
        came.extend(answer.data)
    assert caught.value.code == "broken_answer"
    assert (b"line\n" * 1000).startswith(b"".join(came))


def test_a_log_that_falls_silent_is_let_go(jenkins: Canned) -> None:
    builder = jenkins.builder(timeout_s=1.5)
    jenkins.rules[f"GET {URL}"] = with_fault(Answer(200, b"line\n" * 1000, {"X-Text-Size": "5000"}), "stall")
    with pytest.raises(Unavailable) as caught, builder.log("f/p", 3, 0) as answer:
        list(answer.data)
    assert caught.value.code == "no_answer"


def test_a_slow_log_may_take_longer_than_one_call(jenkins: Canned) -> None:
    """Only silence ends it: a big log over a slow line is no fault."""
    builder = jenkins.builder(timeout_s=2)
    jenkins.rules[f"GET {URL}"] = with_fault(Answer(200, b"0123456789" * 5, {"X-Text-Size": "50"}), "drip_body")
    started = time.monotonic()
    assert read(builder, 0)[1] == b"0123456789" * 5
    assert time.monotonic() - started > 2


def test_who_stops_reading_lets_the_connection_go(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}"] = Answer(200, b"y" * 4_000_000, {"X-Text-Size": "4000000"})
    for _ in range(5):
        with builder.log("f/p", 3, 0) as answer:
            assert next(iter(answer.data))
    jenkins.rules[f"GET {URL}"] = recording("progressiveText-at-end")
    assert read(builder, 14264)[1] == b""
