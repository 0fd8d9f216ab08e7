"""Which pushes and changes build by themselves: judged from plain facts, each refusal with the sentence a person reads.

Patterns are Ant's globs, as pipelines have them (`release/*`, `**/*.md`, `docs/`). One that begins with “!” takes out
again, and the last that matches decides; where the first takes out, everything else is in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from builds.drivers.builder.embedded.antglob import pattern
from builds.models import BuildRules
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence
from projects.drivers.source.base import HEADS, TAGS, short_name
from projects.models import Project

MOST_PATTERNS, LONGEST_PATTERN = 50, 200
LONGEST_DEBOUNCE_S = 600
SLACK_S = 60.0  # between our clock and a server's
MARKER = re.compile(r"\[(?:skip ci|ci skip|no ci|skip build|build skip)\]|^skip-checks:\s*true\s*$", re.I | re.M)

Files = Callable[[], Sequence[str] | None]
"""Which paths were changed; None when that cannot be said. Asked only where a rule wants to know."""


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a name is in, and the pattern that decided (“” when none matched)."""

    inside: bool
    by: str = ""

    def __bool__(self) -> bool:
        return self.inside


def rules_of(project: Project) -> BuildRules:
    """The project's rules; where nobody made any, those that every project begins with (not saved)."""
    return BuildRules.objects.filter(project=project).first() or BuildRules(project=project)


def match(patterns: Sequence[str], name: str) -> Match:
    """Whether `name` is meant by these patterns."""
    found = Match(bool(patterns) and patterns[0].startswith("!"))
    for text in patterns:
        if pattern(text.removeprefix("!").removeprefix("/")).fullmatch(name):
            found = Match(not text.startswith("!"), text)
    return found


def judge_push(rules: BuildRules, ref: str, message: str, files: Files) -> Sentence | None:
    """Why a push of this ref with this last commit does not build; None: it does."""
    return judge_ref(rules, ref) or judge_content(rules, message, files)


def judge_ref(rules: BuildRules, ref: str) -> Sentence | None:
    """Why no push of this ref builds, whatever it brings; None: that depends."""
    name = short_name(ref)
    patterns, sentence = {
        HEADS: (rules.branches, S("The rules of this project do not build the branch “%(name)s”.", name=name)),
        TAGS: (rules.tags, S("The rules of this project do not build the tag “%(name)s”.", name=name)),
    }[HEADS if ref.startswith(HEADS) else TAGS]
    return None if match(patterns, name) else sentence


def judge_content(rules: BuildRules, message: str, files: Files) -> Sentence | None:
    """Why what was pushed does not build; None: it does."""
    marker = MARKER.search(message)
    if rules.skip_marker and marker:
        return S("The commit's message says “%(marker)s”.", marker=marker.group().strip())
    if rules.paths:
        changed = files()
        if changed is not None and not any(match(rules.paths, path) for path in changed):
            return S("Nothing was changed that the rules of this project build for.")
    return None


def judge_change(rules: BuildRules, branch: str, happened_at: float) -> Sentence | None:
    """Why no text of a change for this branch builds; None: that depends on what it brings."""
    if not rules.changes:
        return S("This project does not build changes under review.")
    since = rules.changes_since.timestamp() - SLACK_S if rules.changes_since is not None else 0.0
    if happened_at and happened_at < since:
        return S("It was uploaded before changes were built here; upload it again to have it built.")
    if branch.startswith("refs/") and not branch.startswith(HEADS):  # access rights and other settings of a repository
        return S("Changes for “%(name)s” are not built: it is no branch.", name=branch)
    return judge_ref(rules, HEADS + branch.removeprefix(HEADS))


def check_patterns(field: str, patterns: Iterable[str]) -> list[str]:
    """Patterns as they are kept: without empty lines and blanks around. Raises Invalid, naming the field."""
    found = [text.strip() for text in patterns]
    found = [text for text in found if text]
    for text in found:
        bare = text.removeprefix("!")
        if not bare or bare.startswith("!") or len(text) > LONGEST_PATTERN or not text.isprintable():
            raise _wrong(field, S("“%(pattern)s” is no pattern.", pattern=text[:60]))
        if "\\" in text or "[" in text:
            raise _wrong(field, S("“%(pattern)s”: patterns know “*”, “**” and “?” only.", pattern=text[:60]))
    if len(found) > MOST_PATTERNS:
        raise _wrong(field, S("There may be at most %(most)s patterns.", most=MOST_PATTERNS))
    return found


def _wrong(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_rule", fields={field: [sentence]})
