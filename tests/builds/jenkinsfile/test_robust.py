"""Whatever the text, `validate` answers: with sentences and places, never with an exception."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.jenkinsfile import MAX_BYTES, parse, validate
from builds.jenkinsfile.model import Validation

from .cases import corpus, wrapped

TEXTS = [case.text for case in [*corpus("valid.txt"), *corpus("invalid.txt")]]
PIECES = [
    "{", "}", "(", ")", "[", "]", "'", '"', "'''", '"""', "${", "$", "/", "//", "/*", "*/", "\\", "\n", ";", ":", ",", "->",
    "?", "?:", "=", "==", "==~", "..", "<", ">", "<<", "@", "new ", "def ", "if ", "else ", "class X ", "\0", "\ufeff", "é",
    "\ud800", "#!", "stage", "steps ", "pipeline ", "null", "1e999", "0x", "😀", "\t", "\r", "!", "~", "*", "**", "...",
]  # fmt: skip
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _sound(text: str, result: Validation) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert result.valid == (not result.errors)
    for problem in [*result.errors, *result.warnings]:
        assert str(problem.message)
        assert 1 <= problem.line <= len(lines) + 1
        assert 1 <= problem.column <= max(map(len, lines)) + 2


def only_sentence(text: str) -> str:
    """The one sentence said of a text."""
    result = validate(text)
    assert not result.valid
    assert len(result.errors) == 1
    return str(result.errors[0].message)


@quick
@given(st.data())
def test_mutated_jenkinsfiles_give_answers(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = at + data.draw(st.sampled_from([0, 0, 1, 2, 5, 20]))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    _sound(text, validate(text))


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_noise_gives_answers(text: str) -> None:
    _sound(text, validate(text))


@quick
@given(st.text(max_size=60))
def test_any_text_gives_answers_within_a_script(text: str) -> None:
    inside = wrapped("script", text + "\n")
    _sound(inside, validate(inside))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), st.integers(0, 3000))
def test_texts_cut_short_give_answers(text: str, at: int) -> None:
    _sound(text[:at], validate(text[:at]))


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff", "\r\n"])
def test_an_empty_text_is_one_sentence(text: str) -> None:
    assert only_sentence(text) == "The Jenkinsfile is empty."


def test_a_huge_text_is_one_sentence() -> None:
    assert only_sentence("a" * (MAX_BYTES + 1)) == "The Jenkinsfile is larger than 1024 KiB."
    assert only_sentence("好" * (MAX_BYTES // 2)) == "The Jenkinsfile is larger than 1024 KiB."


def test_a_nul_byte_is_one_sentence_with_its_place() -> None:
    result = validate(wrapped("steps", "echo 'x'\necho 'a\0b'\n"))
    assert [(p.line, p.column, str(p.message)) for p in result.errors] == [
        (7, 8, "The Jenkinsfile contains a NUL byte.")
    ]


def test_a_lone_surrogate_is_one_sentence() -> None:
    (problem,) = validate("{{\r{\ud800").errors
    assert (problem.line, problem.column) == (2, 2)  # also where lines end as they once did on a Mac
    assert only_sentence(wrapped("steps", "echo '\ud83d'")) == "The Jenkinsfile is not valid Unicode text."


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + ")" * 5000,
        "[" * 5000 + "]" * 5000,
        "{" * 5000 + "}" * 5000,
        "a{" * 5000 + "}" * 5000,
        "x = " + "!" * 5000 + "y",
        "x = " + "y = " * 5000 + "z",
        "x = " + "a ? " * 5000 + "b" + " : c" * 5000,
        "x = " + "a ?: " * 5000 + "b",
        "x = a" + " + a" * 5000,
        "x = a" + ".b" * 5000,
        "x = a" + "()" * 5000,
        "x = a" + "[0]" * 5000,
        "x = " + "(int) " * 5000 + "y",
        "if (a) " * 5000 + "b()",
        "if (a) { } " + "else if (a) { } " * 5000,
        "a: " * 5000 + "b",
        "x = " + '"${' * 5000 + "1" + '}"' * 5000,
        "x = " + "{ -> " * 5000 + "}" * 5000,
        "new a" * 5000,
        "@a" * 5000,
        "List<" * 5000 + "x",
        "a b " * 5000,
    ],
)
def test_deep_nesting_is_bounded(text: str) -> None:
    result = parse(text)
    assert result.pipeline is None
    assert len(result.errors) == 1


def test_deep_nesting_is_said_so() -> None:
    assert only_sentence("(" * 5000 + ")" * 5000) == "This is nested too deeply to be read."


def test_what_people_nest_is_not_too_deep() -> None:
    stages = "steps { script { if (a) { " * 1 + "x = [[[[[[[[[[1]]]]]]]]]]\n" + "} } }"
    for name in range(12):
        stages = f"stages {{ stage('S{name}') {{ {stages} }} }}"
    assert validate(f"pipeline {{ agent any\n{stages} }}").valid
    long = " +\n".join(["'line'"] * 250)
    assert validate(wrapped("steps", f"echo {long}\n")).valid


@pytest.mark.parametrize("text", ["/*" * 100_000, "'" * 100_001, "$a" * 100_000, "a /b " * 20_000, '"$x' * 30_000])
def test_long_nonsense_is_answered_in_time(text: str) -> None:
    assert not validate(text).valid
