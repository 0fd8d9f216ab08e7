"""A sentence is kept apart from its values, so that it can be stored, come back, and be said in another language."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fangduoduo_release.common.errors import (
    AppError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Rejected,
    TooMany,
    Unavailable,
)
from fangduoduo_release.common.sentence import S, Sentence, told_by

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans(), max_size=4)


@quick
@given(msgid=st.text(min_size=1), params=VALUES)
def test_what_is_stored_comes_back(msgid: str, params: dict[str, object]) -> None:
    sentence = Sentence(msgid, params)
    assert Sentence.from_json(json.loads(json.dumps(sentence.as_json()))) == sentence


def test_values_are_filled_in_and_a_percent_sign_alone_is_one() -> None:
    assert str(S("Version #%(number)s failed.", number=7)) == "Version #7 failed."
    assert str(S("CPU is at 100%.")) == "CPU is at 100%."


def test_what_a_value_holds_is_never_read_as_a_place_for_another() -> None:
    assert str(S("%(who)s: %(note)s", who="%(note)s", note="100 %")) == "%(note)s: 100 %"


@pytest.mark.parametrize("data", [{}, {"msgid": ""}, {"msgid": "", "params": None}])
def test_of_nothing_comes_an_empty_sentence(data: dict[str, object]) -> None:
    assert str(Sentence.from_json(data)) == ""


def test_a_stored_sentence_shares_nothing_with_the_one_it_was_made_from() -> None:
    params = {"a": "1"}
    stored = Sentence("%(a)s", params).as_json()
    params["a"] = "2"
    assert stored["params"] == {"a": "1"}


SAID = {"msgid": "It failed.", "params": {}}
OTHER = {"msgid": "It is away.", "params": {}}


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (SAID, SAID),
        ({"code": "failed", "sentence": SAID, "evidence": "x"}, SAID),
        ({"code": "failed", "sentence": SAID, "trouble": OTHER}, OTHER),
        ({"trouble": {"code": "away", "sentence": OTHER}}, OTHER),
        ({"code": "failed"}, None),
        ({"sentence": "only text"}, None),
        ({"sentence": {"msgid": ""}}, None),
        ({"trouble": None, "sentence": SAID}, SAID),
        ({}, None),
        (None, None),
        ("It failed.", None),
        ([SAID], None),
    ],
    ids=["itself", "within", "trouble-first", "trouble-within", "none", "text", "empty", "no-trouble", "nothing",
         "null", "words", "list"],
)  # fmt: skip
def test_the_sentence_within_a_stored_error_is_found_whatever_its_shape(error: object, found: object) -> None:
    assert told_by(error) == found


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AppError(S("x")), 400, "error"),
        (Invalid(S("x")), 422, "invalid"),
        (NotFound(S("x")), 404, "not_found"),
        (Conflict(S("x")), 409, "conflict"),
        (Denied(S("x"), rule="role"), 403, "denied"),
        (TooMany(S("x"), retry_after=3), 429, "too_many"),
        (Unavailable(S("x")), 504, "unavailable"),
        (Rejected(S("x")), 502, "rejected"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_status_and_a_code_of_its_own_stays_with_it(
    error: AppError, status: int, code: str
) -> None:
    assert (error.status, error.code) == (status, code)
    assert str(error) == str(error.sentence) == "x"
    assert AppError(S("x"), code="special").code == "special"
    assert AppError.code == "error", "a code given to one error is not given to all"
