"""What Jenkins accepts is accepted, and what cannot run here is a warning at its place."""

from __future__ import annotations

import pytest

from builds.jenkinsfile import parse, validate

from .cases import Case, corpus, wrapped

CASES = corpus("valid.txt")


def _said(case: Case) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, str(problem.message)) for problem in validate(case.text).warnings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_accepted_text_has_no_errors_and_stages(case: Case) -> None:
    result = validate(case.text)
    assert [(p.line, p.column, str(p.message)) for p in result.errors] == []
    assert result.valid
    assert result.stages


@pytest.mark.parametrize("case", [case for case in CASES if case.says], ids=lambda case: case.name)
def test_what_cannot_run_here_is_a_warning_at_its_place(case: Case) -> None:
    assert (case.line, case.column) in {(line, column) for line, column, text in _said(case) if case.says in text}, (
        _said(case)
    )


@pytest.mark.parametrize("case", [case for case in CASES if not case.says], ids=lambda case: case.name)
def test_what_can_run_here_is_not_warned_of(case: Case) -> None:
    assert _said(case) == []


@pytest.mark.parametrize("ending", ["\r\n", "\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_line_ends_of_other_systems_mean_the_same(case: Case, ending: str) -> None:
    unix, other = validate(case.text), validate(case.text.replace("\n", ending))
    assert other.valid
    assert other.stages == unix.stages
    assert [(p.line, p.column) for p in other.warnings] == [(p.line, p.column) for p in unix.warnings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_byte_order_mark_changes_nothing(case: Case) -> None:
    assert validate("\ufeff" + case.text) == validate(case.text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tabs_for_spaces_mean_the_same(case: Case) -> None:
    assert validate(case.text.replace("  ", "\t")).valid


def test_a_valid_text_gives_a_pipeline_and_an_invalid_one_none() -> None:
    assert parse(wrapped("steps", "echo 'x'")).pipeline is not None
    assert parse(wrapped("steps", "echo")).pipeline is None


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
