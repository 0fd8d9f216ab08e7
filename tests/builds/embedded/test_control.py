"""Scopes: an interrupt hits each branch once, deadlines nest, what is fatal stays fatal; and the log's one way out."""

from __future__ import annotations

import errno
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from builds.drivers.builder.base import InputParameter, InputRequest, StopSignal
from builds.drivers.builder.embedded.control import (
    Consumed,
    Fatal,
    Interrupt,
    Interrupted,
    Result,
    Scope,
    StepFailed,
    result_of,
)
from builds.drivers.builder.embedded.inputs import Inputs
from builds.drivers.builder.embedded.logwriter import Channel, Label, LogWriter
from builds.drivers.builder.embedded.results import BuildResult, parse_result
from builds.drivers.builder.embedded.runtime import merged
from builds.drivers.builder.embedded.values import flag_of, number_of, same, seconds_of, spoken, text_of
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from tests.waiting import until

from .ground import Hands, Recorder

STOP = Interrupt(S("Stop."))


def interrupted(scope: Scope, consumed: Consumed) -> bool:
    try:
        scope.check(consumed)
    except Interrupted:
        return True
    return False


def test_an_interrupt_hits_each_branch_once_and_only_below_its_scope() -> None:
    root = Scope()
    left, right = Scope(root), Scope(root)
    one, two = Consumed(), Consumed()
    left.interrupt(STOP)
    assert interrupted(left, one)
    assert not interrupted(left, one)
    assert not interrupted(right, two)
    root.interrupt(Interrupt(S("All.")))
    assert interrupted(left, one)
    assert interrupted(right, two)
    assert not interrupted(right, two)


def test_a_deadline_interrupts_once_and_again_after_the_grace(hands: Hands) -> None:
    scope = Scope(seconds=0.05, sentence=S("Late."), grace=0.1)
    consumed = Consumed()
    assert not interrupted(scope, consumed)
    hands.move(0.04)
    assert not interrupted(scope, consumed)
    hands.move(0.02)
    assert interrupted(scope, consumed)
    hands.move(0.09)
    assert not interrupted(scope, consumed)
    hands.move(0.02)
    assert interrupted(scope, consumed)


def test_a_deadline_comes_by_itself() -> None:
    began = time.monotonic()
    scope = Scope(seconds=0.05, sentence=S("Late."))
    consumed = Consumed()
    until(lambda: interrupted(scope, consumed), every=0.005)
    assert time.monotonic() - began >= 0.05


def test_a_hard_deadline_becomes_fatal_for_who_goes_on_ignoring_it() -> None:
    scope = Scope(seconds=0.01, sentence=S("Late."), grace=0.01, hard=True, result=Result.FAILURE)
    seen: list[type[BaseException]] = []

    def fatal() -> bool:
        try:
            scope.check(Consumed(set()))
        except (Interrupted, Fatal) as error:
            seen.append(type(error))
        return Fatal in seen

    until(fatal, every=0.005)
    with pytest.raises(Fatal):
        scope.check(Consumed())


def test_the_inner_deadline_is_the_nearer_one_and_activity_moves_it(hands: Hands) -> None:
    outer = Scope(seconds=100, sentence=S("Outer."))
    inner = Scope(outer, seconds=5, sentence=S("Inner."), activity=True)
    assert 4 < (inner.remaining() or 0) <= 5
    assert 99 < (outer.remaining() or 0) <= 100
    assert Scope().remaining() is None
    hands.move(0.05)
    before = inner.remaining() or 0
    inner.touch()
    assert (inner.remaining() or 0) > before


def test_what_is_fatal_raises_for_ever_and_the_first_reason_stays() -> None:
    root = Scope()
    inner = Scope(Scope(root))
    root.kill(Fatal(S("First.")))
    root.kill(Fatal(S("Second.")))
    for _ in range(3):
        with pytest.raises(Fatal, match="First"):
            inner.check(Consumed())


def test_a_waiting_thread_wakes_at_once() -> None:
    scope = Scope()
    inner = Scope(scope)
    woke: list[float] = []

    def wait() -> None:
        try:
            inner.wait(Consumed(), threading.Event(), 3600)
        except Interrupted:
            woke.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(scope._wakers))
    at = time.monotonic()
    scope.interrupt(STOP)
    thread.join(60)
    assert woke
    assert woke[0] - at < 60, "not after the hour it would have waited"
    assert not scope._wakers


def test_waiting_ends_with_the_time_or_the_event() -> None:
    scope, event = Scope(), threading.Event()
    assert scope.wait(Consumed(), event, 0.02) is False
    event.set()
    assert scope.wait(Consumed(), event) is True


def test_a_stop_signal_tells_late_listeners_too_and_may_be_called_from_a_listener() -> None:
    stop, heard = StopSignal(), []
    stop.listen(lambda: heard.append((stop.cancelled, stop.dropped)))
    assert heard == []
    stop.cancel(S("Why."))
    stop.drop()
    assert heard == [(1, False), (2, True)]
    stop.listen(lambda: heard.append("late"))  # type: ignore[arg-type]
    assert heard[-1] == "late"
    assert str(stop.sentence) == "Why."


def test_results_only_get_worse_and_keep_the_sentence_they_came_with() -> None:
    told: list[str] = []
    result = BuildResult(told.append)
    result.worsen(Result.SUCCESS)
    result.worsen(Result.UNSTABLE, S("Shaky."))
    result.worsen(Result.SUCCESS)
    assert (result.value, str(result.sentence)) == (Result.UNSTABLE, "Shaky.")
    result.worsen(Result.ABORTED, S("Gone."))
    result.worsen(Result.FAILURE, S("Not this."))
    assert (result.current, str(result.sentence)) == (Result.ABORTED, "Gone.")
    assert told == ["unstable", "cancelled"]
    with pytest.raises(StepFailed):
        parse_result("GREAT")


def test_what_an_error_makes_of_the_build() -> None:
    assert result_of(StepFailed(S("x"))) == Result.FAILURE
    assert result_of(Interrupted(STOP)) == Result.ABORTED
    assert result_of(ValueError()) == Result.FAILURE
    assert result_of(Fatal(S("x"), Result.ABORTED)) == Result.ABORTED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (1, "1"), (Decimal("1.50"), "1.50"), ("x", "x"), ([1, None], "[1, null]"),
        ({"a": False}, "[a:false]"), ({}, "[:]"), ([], "[]"),
    ],
)  # fmt: skip
def test_values_become_texts_as_in_groovy(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_flags_numbers_and_durations() -> None:
    assert [flag_of(v) for v in ("true", "on", "1", "false", "", None, True)] == [True] * 3 + [False] * 3 + [True]
    assert number_of("3", "x") == 3.0
    for bad in (None, True, "x", -1, "nan", "1e99", []):
        with pytest.raises(StepFailed):
            number_of(bad, "x")
    assert seconds_of(2, None, "MINUTES") == 120
    assert seconds_of(1, "hours", "MINUTES") == 3600
    with pytest.raises(StepFailed):
        seconds_of(1, "FORTNIGHTS", "MINUTES")
    assert [spoken(s) for s in (90, 300, 7200, 0.5)] == ["90 s", "5 min", "2 h", "0.5 s"]
    assert same(1, Decimal("1.0"))
    assert not same("1", 1)
    assert not same(True, 1)


def test_environment_layers_and_paths() -> None:
    base = {"PATH": "/bin", "A": "1"}
    assert merged(base, {"PATH+X": "/x"}, {"PATH+Y": "/y", "A": "2"}) == {"PATH": "/y:/x:/bin", "A": "2"}
    assert merged({}, {"LIBS+X": "/x"}) == {"LIBS": "/x"}


def test_the_log_is_prefixed_line_by_line_and_knows_its_last_lines() -> None:
    sink = Recorder()
    writer = LogWriter(sink, 1, lambda fatal: None)
    channel = Channel(writer, Label("S", 3, "win"))
    channel.write(b"one\ntw")
    channel.write(b"o\n\nthree")
    channel.finish()
    assert sink.text == "[win] one\n[win] two\n[win] \n[win] three\n"
    assert {(stage, step) for _, stage, step in sink.marks} == {("S", 3)}
    for i in range(1000):
        writer.line(f"line {i}", Label())
    assert writer.evidence().splitlines() == [f"line {i}" for i in range(980, 1000)]


def test_after_a_failing_sink_nothing_more_is_written() -> None:
    sink = Recorder(failure=OSError(errno.ENOSPC, "No space left on device"), fail_after=3)
    fatal: list[Fatal] = []
    writer = LogWriter(sink, 1, fatal.append)
    with pytest.raises(Fatal):
        writer.line("too long", Label())
    sink.failure = None
    with pytest.raises(Fatal, match="disk is full"):
        writer.line("x", Label())
    assert len(fatal) == 1
    assert sink.text == ""


def test_only_one_answer_counts_and_it_must_fit() -> None:
    writer = LogWriter(Recorder(), 1, lambda fatal: None)
    inputs = Inputs(writer)
    parameters = (
        InputParameter("C", "choice", "a", ("a", "b")),
        InputParameter("B", "booleanParam", default=True),
        InputParameter("S", "string", "x"),
    )
    answers: list[Any] = []
    ask = threading.Thread(
        target=lambda: answers.append(
            inputs.ask(InputRequest("q", None, "?", parameters=parameters), Scope(), Consumed())
        )
    )
    ask.start()
    until(lambda: "q" in inputs._open)
    for bad in ({"C": "z"}, {"X": "1"}, {"S": "a\0b"}, {"S": "x" * 100_000}):
        with pytest.raises(Invalid):
            inputs.answer("q", True, bad, "ann")
    takers = [threading.Thread(target=inputs.answer, args=("q", True, {"B": "no"}, f"p{i}")) for i in range(8)]
    for taker in takers:
        taker.start()
    for thread in (*takers, ask):
        thread.join(60)
    (answer,) = answers
    assert (answer.approved, answer.values) == (True, {"C": "a", "B": False, "S": "x"})
    assert not inputs.answer("q", True, {}, "late")
