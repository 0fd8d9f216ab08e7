"""What maintainers do to the rules by which their project builds by itself; every door calls this."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from builds.models import BuildRules
from builds.rules import LONGEST_DEBOUNCE_S, check_patterns, rules_of
from fangduoduo_release.audit import trail
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from projects.drivers.source.base import Reviewing
from projects.models import Project

PATTERNS = ("branches", "tags", "paths")
SWITCHES = ("skip_marker", "changes", "vote", "comment")
FIELDS = (*PATTERNS, *SWITCHES, "debounce_s", "cancel")


def has_reviews(project: Project) -> bool:
    """Whether changes are reviewed where the project's repository lives."""
    return issubclass(driver_class(settings.DRIVERS, "source", project.source_kind), Reviewing)


def save_rules(*, actor: Any, project: Project, **changes: Any) -> BuildRules:
    """Change the rules that are named; the others stay as they are. Raises Denied, Invalid (naming the fields)."""
    policy.require(actor, "change_project", project)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two who save at once: one after the other
        rules = rules_of(project)
        wanted = _checked(project, {name: v for name, v in changes.items() if getattr(rules, name, None) != v})
        before = {name: getattr(rules, name) for name in wanted}
        if before == wanted:
            return rules
        if wanted.get("changes") and not rules.changes:
            rules.changes_since = timezone.now()
        for name, value in wanted.items():
            setattr(rules, name, value)
        rules.save()
        trail.record(actor, "project.rules", project, before=before, after=wanted)
    return rules


def _checked(project: Project, changes: dict[str, Any]) -> dict[str, Any]:
    problems: dict[str, list[Sentence]] = {}
    wanted: dict[str, Any] = {}
    for name, value in changes.items():
        try:
            wanted[name] = _one(project, name, value)
        except Invalid as error:
            problems[name] = [error.sentence]
    if problems:
        raise Invalid(next(iter(problems.values()))[0], code="bad_rules", fields=problems)
    return wanted


def _one(project: Project, name: str, value: Any) -> Any:
    if name in PATTERNS:
        if isinstance(value, str) or not all(isinstance(one, str) for one in value):
            raise Invalid(S("Patterns are a list of texts."))
        return check_patterns(name, value)
    if name == "debounce_s":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_DEBOUNCE_S:
            raise Invalid(S("Wait between 0 and %(most)s seconds.", most=LONGEST_DEBOUNCE_S))
        return value
    if name == "cancel":
        if value not in BuildRules.Cancel.values:
            raise Invalid(S("“%(value)s” is none of the choices.", value=str(value)[:60]))
        return str(value)
    if name not in SWITCHES:
        raise Invalid(S("“%(field)s” cannot be changed.", field=name))
    if not isinstance(value, bool):
        raise Invalid(S("This is either on or off."))
    if value and name in {"changes", "vote"} and not has_reviews(project):
        raise Invalid(S("The repository of this project lives where no changes are reviewed."), code="no_reviews")
    return value
