"""A difference between two texts is whole: who has the old text and the difference has the new one, however large they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fangduoduo_release.common.differences import MOST_LINES, unified

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\Z")
TEXTS = st.lists(st.sampled_from(["a", "b", "", "- c", "+ d", "@@ e", "--- f"]), max_size=12).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def patched(old: str, diff: str) -> str:
    """What `patch` would make of it, written down anew so that nothing is taken on trust."""
    before, out, at = old.splitlines(), [], 0
    for line in diff.splitlines()[2:]:
        hunk = HUNK.match(line)
        if hunk:
            count = int(hunk[2] or 1)
            start = int(hunk[1]) - (1 if count else 0)
            out += before[at:start]
            at = start
        elif line.startswith("+"):
            out.append(line[1:])
        else:
            assert before[at] == line[1:], "the difference speaks of another text"
            at += 1
            out += [line[1:]] if line.startswith(" ") else []
    return "".join(f"{line}\n" for line in [*out, *before[at:]])


@quick
@given(old=TEXTS, new=TEXTS)
def test_the_old_text_and_the_difference_make_the_new_one(old: str, new: str) -> None:
    assert patched(old, unified(old, new, "old", "new")) == new


@quick
@given(text=st.text(max_size=60))
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert unified(text, text, "old", "new") == ""


@quick
@given(old=st.text(max_size=40), new=st.text(max_size=40))
def test_two_texts_that_are_not_the_same_are_never_shown_as_the_same(old: str, new: str) -> None:
    assert (unified(old, new, "old", "new") == "") is (old == new)


def test_it_says_which_text_is_which() -> None:
    assert unified("a\n", "b\n", "base 1", "base 2").splitlines()[:2] == ["--- base 1", "+++ base 2"]


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("a\nb", "a\nc"), ("a\n", "b"), ("a", "b\n")])
def test_a_last_line_without_an_end_does_not_run_into_the_next_one(old: str, new: str) -> None:
    diff = unified(old, new, "old", "new")
    assert diff.endswith("\n")
    assert f"-{old.splitlines()[-1]}\n+{new.splitlines()[-1]}\n" in diff


def test_what_is_new_altogether_and_what_is_gone_altogether() -> None:
    assert unified("", "a\nb\n", "old", "new").splitlines()[2:] == ["@@ -0,0 +1,2 @@", "+a", "+b"]
    assert unified("a\nb\n", "", "old", "new").splitlines()[2:] == ["@@ -1,2 +0,0 @@", "-a", "-b"]


def numbered(word: str, count: int) -> str:
    return "".join(f"{word} {number}\n" for number in range(count))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (numbered("old", MOST_LINES + 1), numbered("new", MOST_LINES + 1)),
        ("head\n" + numbered("old", MOST_LINES + 1) + "tail\n", "head\n" + numbered("new", 3) + "tail\n"),
        ("head\ntail\n", "head\n" + numbered("new", MOST_LINES + 1) + "tail\n"),
        ("head\n" + numbered("old", MOST_LINES + 1) + "tail\n", "head\ntail\n"),
        ("", numbered("new", MOST_LINES + 1)),
        (numbered("same", MOST_LINES + 1), numbered("same", MOST_LINES + 1) * 3),
    ],
    ids=["all", "middle", "put-in", "taken-out", "from-nothing", "grown"],
)
def test_texts_that_are_too_long_to_compare_closely_are_replaced_whole(old: str, new: str) -> None:
    diff = unified(old, new, "old", "new")
    assert diff.count("\n@@ ") == 1
    assert patched(old, diff) == new


def test_long_texts_that_differ_little_are_still_compared_closely() -> None:
    """The bound is on the part that differs: a manifest of many lines with one of them changed stays readable."""
    old = numbered("line", 3 * MOST_LINES)
    new = old.replace("line 6000\n", "another\n")
    diff = unified(old, new, "old", "new")
    assert patched(old, diff) == new
    assert len(diff.splitlines()) == 2 + 1 + 3 + 2 + 3
