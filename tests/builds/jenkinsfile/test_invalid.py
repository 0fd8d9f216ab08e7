"""What Jenkins refuses is refused, with the sentence and the place where a person must look."""

from __future__ import annotations

import pytest

from builds.jenkinsfile import validate

from .cases import Case, corpus

CASES = corpus("invalid.txt")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_refused_text_says_what_is_wrong_and_where(case: Case) -> None:
    result = validate(case.text)
    assert not result.valid
    said = [(problem.line, problem.column, str(problem.message)) for problem in result.errors]
    assert any(case.says in sentence for *_, sentence in said), said
    assert any(
        (line, column) == (case.line, case.column) for line, column, sentence in said if case.says in sentence
    ), (
        said,
        (case.line, case.column),
    )


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 80
    assert len({case.name for case in CASES}) == len(CASES)
