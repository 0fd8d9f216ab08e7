"""Three texts become one: nothing of either side is lost, and what cannot be decided is shown with its lines."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from builds.merging import Labels, conflicts_in, merge3, refuse_markers
from fangduoduo_release.common.errors import Invalid, Unavailable

BASE = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


def test_changes_in_different_places_come_together() -> None:
    merged = merge3(BASE, BASE.replace("one", "ONE"), BASE.replace("seven", "SEVEN\neight"))
    assert merged.text == BASE.replace("one", "ONE").replace("seven", "SEVEN\neight")
    assert merged.conflicts == ()


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    both = BASE.replace("four", "4")
    assert merge3(BASE, both, both) == merge3(BASE, both, BASE)
    assert merge3(BASE, both, both).conflicts == ()


def test_different_changes_of_one_line_are_a_conflict_with_its_lines_and_whose_they_are() -> None:
    labels = Labels("shop, pipeline revision 4", "node revision 1", "node revision 3")
    merged = merge3(BASE, BASE.replace("four", "ours"), BASE.replace("four", "theirs"), labels)
    (conflict,) = merged.conflicts
    assert (conflict.ours, conflict.base, conflict.theirs) == ("ours", "four", "theirs")
    lines = merged.text.splitlines()
    assert lines[conflict.first - 1] == "<<<<<<< shop, pipeline revision 4"
    assert lines[conflict.last - 1] == ">>>>>>> node revision 3"
    assert "||||||| node revision 1" in lines
    assert (conflict.first, conflict.last) == (4, 10)


def test_every_conflict_is_listed_in_order() -> None:
    ours = BASE.replace("two", "2o").replace("six", "6o\n6oo")
    theirs = BASE.replace("two", "2t").replace("six", "")
    merged = merge3(BASE, ours, theirs)
    assert [(c.ours, c.theirs) for c in merged.conflicts] == [("2o", "2t"), ("6o\n6oo", "")]
    assert merged.conflicts[0].last < merged.conflicts[1].first


def test_a_text_without_a_last_newline_does_not_conflict_with_itself() -> None:
    merged = merge3("a\nb", "a\nb\n", "a\nb\nc")
    assert (merged.text, merged.conflicts) == ("a\nb\nc\n", ())


@pytest.mark.parametrize(
    "text", ["", "流水线\n构建 🚀\n", "a\r\nb\r\n", "x" * 200_000 + "\n", "<<<<<<<\n", "-p\n--diff3\n"]
)
def test_any_text_survives_being_merged_with_itself(text: str) -> None:
    assert merge3(text, text, text).text == text
    assert merge3(text, text, text).conflicts == ()


def test_labels_are_words_and_never_options_or_lines() -> None:
    merged = merge3("a\n", "b\n", "c\n", Labels("--output=/tmp/x", "two\nlines", "L" * 500))
    assert merged.text.startswith("<<<<<<< --output=/tmp/x\n")
    assert "||||||| two lines\n" in merged.text
    assert len(merged.conflicts) == 1


def test_many_conflicts_are_still_an_answer() -> None:
    base = "".join(f"{n}\n\n\n\n" for n in range(300))
    ours, theirs = (base.replace("\n\n\n\n", f"{side}\n\n\n\n") for side in "xy")
    assert len(merge3(base, ours, theirs).conflicts) > 100


def test_whatever_is_changed_nothing_new_appears_and_nothing_kept_is_lost() -> None:
    """Random edits: every line of the merge is from one of the three, and lines both sides kept are there."""
    chance = random.Random(7)
    for _ in range(40):
        base = [f"line {n}" for n in range(40)]
        sides = []
        for side in ("o", "t"):
            lines = list(base)
            for _edit in range(chance.randint(0, 5)):
                at = chance.randrange(len(lines))
                lines[at : at + chance.randint(0, 2)] = [f"{side} {chance.random()}"] * chance.randint(0, 2)
            sides.append(lines)
        ours, theirs = sides
        merged = merge3("\n".join(base), "\n".join(ours), "\n".join(theirs))
        lines = merged.text.splitlines()
        plain = [line for line in lines if line[:7] not in {"<<<<<<<", "|||||||", "=======", ">>>>>>>"}]
        assert set(plain) <= {*base, *ours, *theirs}
        assert {line for line in base if line in ours and line in theirs} <= set(plain)
        assert conflicts_in(merged.text) == merged.conflicts


def test_a_text_with_a_marker_is_refused_with_its_line() -> None:
    merged = merge3("a\n", "b\n", "c\n").text
    with pytest.raises(Invalid) as refused:
        refuse_markers("pipeline {\n" + merged)
    assert refused.value.code == "conflict_markers"
    assert refused.value.sentence.params["line"] == 2
    assert "conflict" in str(refused.value)


@pytest.mark.parametrize("left", ["<<<<<<< x", "||||||| x", ">>>>>>> x", ">>>>>>>"])
def test_one_forgotten_marker_is_enough(left: str) -> None:
    with pytest.raises(Invalid):
        refuse_markers(f"a\nb\n{left}\n")


@pytest.mark.parametrize(
    "fine", ["a << b\n", "    <<<<<<< in the middle of a line\n", "=======\n", "<<<<<<<<<< a banner\n", ""]
)
def test_other_texts_are_left_alone(fine: str) -> None:
    refuse_markers(fine)


def test_a_git_that_does_not_answer_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec sleep 600\n")
    git.chmod(0o755)
    monkeypatch.setattr("builds.merging.ENVIRONMENT", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("builds.merging.TIMEOUT_S", 0.2)
    began = time.monotonic()
    with pytest.raises(Unavailable) as failed:
        merge3("a\n", "b\n", "c\n")
    assert time.monotonic() - began < 60
    assert "git" in str(failed.value)


def test_a_git_that_refuses_is_one_sentence_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\necho no such luck >&2\nexit 255\n")
    git.chmod(0o755)
    monkeypatch.setattr("builds.merging.ENVIRONMENT", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    with pytest.raises(Unavailable) as failed:
        merge3("a\n", "b\n", "c\n")
    assert failed.value.evidence == "no such luck\n"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    merge3("a\n", "b\n", "c\n")
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(["git", "--version"], check=True, capture_output=True).returncode == 0
