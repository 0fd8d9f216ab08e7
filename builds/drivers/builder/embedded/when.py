"""The conditions of `when`. Knows the facts of the build, not what happens to a stage that is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from builds.jenkinsfile.groovy.nodes import Closure
from builds.jenkinsfile.model import Condition, When
from fangduoduo_release.common.sentence import S

from .antglob import pattern as ant_pattern
from .context import Branch
from .control import StepFailed
from .values import flag_of, same, text_of, truth

_CAUSES = {
    "push": {"SCMTrigger", "SCMTriggerCause", "BranchEventCause", "BranchIndexingCause", "GenericCause"},
    "user": {"UserIdCause", "UserCause"},
    "retry": {"UserIdCause", "UserCause", "ReplayCause"},
    "schedule": {"TimerTrigger", "TimerTriggerCause"},
    "upstream": {"UpstreamCause", "BuildUpstreamCause"},
    "restart": {"RestartDeclarativePipelineCause"},
}


def holds(branch: Branch, when: When) -> bool:
    """True when every condition holds. Raises what an expression raises."""
    return all(_holds(branch, c) for c in when.conditions)


def _holds(branch: Branch, condition: Condition) -> bool:
    judge = _JUDGES.get(condition.name)
    if judge is None:
        raise StepFailed(S("The condition “%(name)s” of “when” cannot be judged here.", name=condition.name))
    return judge(branch, condition)


def _argument(branch: Branch, condition: Condition, name: str, index: int | None = None) -> Any:
    expression = condition.argument(name, index)
    return None if expression is None else branch.evaluate(expression)


def _text(branch: Branch, condition: Condition, name: str, index: int | None = None, default: str = "") -> str:
    value = _argument(branch, condition, name, index)
    return default if value is None else text_of(value)


def compare(actual: str, wanted: str, comparator: str, *, case_sensitive: bool = False) -> bool:
    """Jenkins' comparators: GLOB (Ant, by default without regard to case), REGEXP (in full), EQUALS."""
    if comparator in ("EQUALS", "EXACT"):
        return actual == wanted
    if comparator == "REGEXP":
        return _regex(wanted).fullmatch(actual) is not None
    if comparator != "GLOB":
        raise StepFailed(S("“%(comparator)s” is no comparator.", comparator=comparator[:40]))
    return ant_pattern(wanted, case_sensitive=case_sensitive).fullmatch(actual.replace("\\", "/")) is not None


def _regex(text: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise StepFailed(S("“%(pattern)s” is no regular expression.", pattern=text[:200])) from error


def _named(variable: str) -> Callable[[Branch, Condition], bool]:
    def judge(branch: Branch, condition: Condition) -> bool:
        actual = branch.environment().get(variable, "")
        wanted = _text(branch, condition, "pattern", 0)
        if not actual:
            return False
        if not wanted:
            return variable == "TAG_NAME"
        return compare(actual, wanted, _text(branch, condition, "comparator", default="GLOB").upper())

    return judge


def _building_tag(branch: Branch, condition: Condition) -> bool:
    return bool(branch.environment().get("TAG_NAME"))


def _environment(branch: Branch, condition: Condition) -> bool:
    actual = branch.environment().get(_text(branch, condition, "name"), "")
    wanted = _text(branch, condition, "value")
    if flag_of(_argument(branch, condition, "ignoreCase")):
        return actual.lower() == wanted.lower()
    return actual == wanted


def _equals(branch: Branch, condition: Condition) -> bool:
    return same(_argument(branch, condition, "expected"), _argument(branch, condition, "actual"))


def _expression(branch: Branch, condition: Condition) -> bool:
    closure: Closure | None = condition.closure
    return truth(branch.interpreter.execute(closure.body)) if closure is not None else False


def _not(branch: Branch, condition: Condition) -> bool:
    return not all(_holds(branch, c) for c in condition.children)


def _all_of(branch: Branch, condition: Condition) -> bool:
    return all(_holds(branch, c) for c in condition.children)


def _any_of(branch: Branch, condition: Condition) -> bool:
    return any(_holds(branch, c) for c in condition.children)


def _changeset(branch: Branch, condition: Condition) -> bool:
    wanted = _text(branch, condition, "pattern", 0) or _text(branch, condition, "glob")
    comparator = _text(branch, condition, "comparator", default="GLOB").upper()
    sensitive = flag_of(_argument(branch, condition, "caseSensitive"))
    paths = {path for change in branch.build.changes() for path in change.paths}
    return any(compare(path, wanted, comparator, case_sensitive=sensitive) for path in paths)


def _changelog(branch: Branch, condition: Condition) -> bool:
    wanted = _regex(_text(branch, condition, "pattern", 0), re.MULTILINE | re.DOTALL)
    changes = branch.build.changes()
    return any(wanted.fullmatch(text) for c in changes for text in (c.message, c.message.partition("\n")[0]))


def _triggered_by(branch: Branch, condition: Condition) -> bool:
    wanted = (_text(branch, condition, "cause", 0) or "").rpartition(".")[2].rpartition("$")[2]
    detail = _text(branch, condition, "detail")
    spec = branch.build.spec
    if detail and detail != spec.triggered_by:
        return False
    return wanted in _CAUSES.get(spec.trigger, set())


def _restarted(branch: Branch, condition: Condition) -> bool:
    return branch.build.spec.trigger == "restart"


def _never(branch: Branch, condition: Condition) -> bool:
    """`changeRequest`: builds here are of branches and tags only."""
    return False


_JUDGES: dict[str, Callable[[Branch, Condition], bool]] = {
    "branch": _named("BRANCH_NAME"),
    "tag": _named("TAG_NAME"),
    "buildingTag": _building_tag,
    "environment": _environment,
    "equals": _equals,
    "expression": _expression,
    "not": _not,
    "allOf": _all_of,
    "anyOf": _any_of,
    "changeset": _changeset,
    "changelog": _changelog,
    "changeRequest": _never,
    "triggeredBy": _triggered_by,
    "isRestartedRun": _restarted,
}
