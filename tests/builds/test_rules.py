"""Which pushes build: patterns, paths, markers, changes; the last pattern that matches decides, and each no has its reason."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from builds import rules
from builds.models import BuildRules
from fangduoduo_release.common.errors import Invalid
from tests import world


def made(**facts: object) -> BuildRules:
    return BuildRules(**facts)


def unasked() -> Sequence[str] | None:
    raise AssertionError("nobody wants to know which files were changed")


@pytest.mark.parametrize(
    ("patterns", "name", "inside", "by"),
    [
        (["**"], "main", True, "**"),
        (["**"], "feature/a/b", True, "**"),
        (["*"], "feature/a", False, ""),
        (["*"], "main", True, "*"),
        (["release/*"], "release/1.0", True, "release/*"),
        (["release/*"], "release/1.0/hot", False, ""),
        (["release/**"], "release/1.0/hot", True, "release/**"),
        (["**", "!wip/**"], "wip/x", False, "!wip/**"),
        (["**", "!wip/**", "wip/keep"], "wip/keep", True, "wip/keep"),
        (["!wip/**"], "main", True, ""),
        (["!wip/**"], "wip/x", False, "!wip/**"),
        (["v?"], "v1", True, "v?"),
        (["v?"], "v10", False, ""),
        ([], "main", False, ""),
        (["/src/**"], "src/a.py", True, "/src/**"),
        (["src/"], "src/deep/a.py", True, "src/"),
        (["main"], "Main", False, ""),
        (["ümlaut/*"], "ümlaut/x", True, "ümlaut/*"),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns: list[str], name: str, inside: bool, by: str) -> None:
    assert rules.match(patterns, name) == rules.Match(inside, by)


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/a/b/c", "refs/tags/v1", "refs/tags/deep/v1"])
def test_without_rules_every_branch_and_tag_builds(ref: str) -> None:
    assert rules.judge_push(made(), ref, "Change something", unasked) is None


def test_branches_and_tags_have_patterns_of_their_own() -> None:
    mine = made(branches=["main"], tags=[])
    assert rules.judge_ref(mine, "refs/heads/main") is None
    assert "the branch “dev”" in str(rules.judge_ref(mine, "refs/heads/dev"))
    assert "the tag “main”" in str(rules.judge_ref(mine, "refs/tags/main"))


@pytest.mark.parametrize(
    "message",
    [
        "Fix a word [skip ci]",
        "[ci skip] docs",
        "Docs\n\n[NO CI]",
        "Docs\n\nskip-checks: true",
        "Docs\n\nSkip-Checks:true\nSigned-off-by: Ann",
        "[skip build]",
    ],
)
def test_a_commit_may_ask_not_to_be_built(message: str) -> None:
    assert "message says" in str(rules.judge_push(made(), "refs/heads/main", message, unasked))
    assert rules.judge_push(made(skip_marker=False), "refs/heads/main", message, unasked) is None


@pytest.mark.parametrize(
    "message", ["skip ci", "[skip] ci", "We no longer write skip-checks: true anywhere", "[ci]", ""]
)
def test_what_only_looks_like_a_marker_builds(message: str) -> None:
    assert rules.judge_push(made(), "refs/heads/main", message, unasked) is None


@pytest.mark.parametrize(
    ("paths", "changed", "builds"),
    [
        (["src/**"], ["src/a.py", "README.md"], True),
        (["src/**"], ["README.md"], False),
        (["!docs/**"], ["docs/a.md"], False),
        (["!docs/**"], ["docs/a.md", "src/a.py"], True),
        (["!**/*.md"], ["README.md", "deep/down/NOTES.md"], False),
        (["src/**", "!src/gen/**"], ["src/gen/a"], False),
        (["src/**"], [], False),
        (["src/**"], None, True),  # nobody can say what changed: better a build too many
    ],
)
def test_paths_decide_by_what_was_changed(paths: list[str], changed: list[str] | None, builds: bool) -> None:
    verdict = rules.judge_push(made(paths=paths), "refs/heads/main", "x", lambda: changed)
    assert (verdict is None) is builds


def test_files_are_asked_for_only_where_it_matters() -> None:
    assert rules.judge_push(made(paths=["src/**"], branches=["main"]), "refs/heads/dev", "x", unasked) is not None
    assert rules.judge_push(made(paths=["src/**"]), "refs/heads/main", "[skip ci]", unasked) is not None


def test_changes_build_only_where_it_was_switched_on() -> None:
    assert "does not build changes" in str(rules.judge_change(made(), "main", 0))
    assert rules.judge_change(made(changes=True), "main", 0) is None
    assert "the branch “dev”" in str(rules.judge_change(made(changes=True, branches=["main"]), "dev", 0))


def test_changes_from_before_the_switch_are_left_alone() -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    mine = made(changes=True, changes_since=since)
    assert "before changes were built" in str(rules.judge_change(mine, "main", since.timestamp() - 61))
    assert rules.judge_change(mine, "main", since.timestamp() - 1) is None  # clocks differ, and count whole seconds
    assert rules.judge_change(mine, "main", 0) is None  # the server did not say when


@pytest.mark.parametrize("bad", ["!", "!!main", "a" * 201, "a\tb\x00", "rel[0-9]", "a\\b"])
def test_what_is_no_pattern_is_refused_with_its_field(bad: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.check_patterns("tags", ["ok", bad])
    assert list(refused.value.fields) == ["tags"]


def test_patterns_are_kept_without_what_is_around_them() -> None:
    assert rules.check_patterns("branches", [" main ", "", "!wip/*", "  "]) == ["main", "!wip/*"]
    with pytest.raises(Invalid, match="at most 50"):
        rules.check_patterns("branches", [f"b{n}" for n in range(51)])


@pytest.mark.django_db
def test_a_project_without_rules_has_those_it_began_with() -> None:
    project = world.project()
    assert rules.rules_of(project).branches == ["**"]
    BuildRules.objects.create(project=project, branches=["main"])
    assert rules.rules_of(project).branches == ["main"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [("*a" * 12 + "b", "a" * 250), ("**/" + "a/**/" * 30 + "b", "a/" * 2000), ("**/" + "*a*a/" * 20 + "b", "aaaa/" * 800)],
)  # fmt: skip
def test_no_pattern_makes_judging_slow(typed: str, name: str) -> None:
    """Whoever may look at a project may try patterns, in a process that answers everybody."""
    began = time.thread_time()
    assert not rules.match(rules.check_patterns("paths", [typed]), name)
    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    ("typed", "inside", "outside"),
    [
        ("a*b*c", "axbxbc", "axbxb"),
        ("**/a*/**/b", "x/aa/y/a/b", "x/a/y"),
        ("a/**/b/**", "a/x/b", "a/x"),
        ("**/a/*/b", "a/x/a/y/b", "a/b"),
        ("*a*a", "bababa", "bab"),
        ("a?*c", "abc", "ac"),
    ],
)
def test_stars_find_their_way_wherever_it_is(typed: str, inside: str, outside: str) -> None:
    assert rules.match([typed], inside)
    assert not rules.match([typed], outside)
