"""The `options { }` of a pipeline or a stage: which wrap what is inside, which are flags, which mean nothing here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from builds.jenkinsfile.model import Option
from fangduoduo_release.common.sentence import S, Sentence

from .context import Branch, StepCall
from .steps.flow import retry, timeout, timestamps
from .values import flag_of

_WRAPPERS = {"timeout": timeout, "retry": retry, "timestamps": timestamps}
# Taken by the walk, or always so here (colours; one build of a project's branch at a time is the portal's rule).
_SILENT = {
    "ansiColor",
    "checkoutToSubdirectory",
    "disableConcurrentBuilds",
    "disableResume",
    "parallelsAlwaysFailFast",
    "preserveStashes",
    "skipDefaultCheckout",
    "skipStagesAfterUnstable",
}


def flag(branch: Branch, options: Sequence[Option], name: str) -> bool:
    """True when the option is there and not switched off by its argument."""
    for option in options:
        if option.name == name:
            value = option.argument("value")
            return value is None or flag_of(branch.evaluate(value))
    return False


def text(branch: Branch, options: Sequence[Option], name: str) -> str:
    """The single argument of an option as text; empty without it."""
    return next((branch.text(o.args[0]) for o in options if o.name == name and o.args), "")


def note_ignored(branch: Branch, options: Sequence[Option]) -> None:
    for option in options:
        if option.name not in _WRAPPERS and option.name not in _SILENT:
            branch.log(f"The option {option.name} has no effect here.")


def no_tools(kind: str) -> Sentence:
    return S("The embedded builder installs no tools: “%(kind)s” is what this host has.", kind=kind)


def wrapped(branch: Branch, options: Sequence[Option], body: Callable[[], Any]) -> Any:
    """Run `body` inside of the options that wrap, the first written outermost."""
    for index, option in enumerate(options):
        wrapper = _WRAPPERS.get(option.name)
        if wrapper is None:
            continue
        rest = options[index + 1 :]
        args = [branch.evaluate(a) for a in option.args]
        named = {}
        for item in option.named:
            named[item.name if isinstance(item.name, str) else branch.text(item.name)] = branch.evaluate(item.value)
        inner = partial(wrapped, branch, rest, body)
        return wrapper(branch, StepCall(option.name, args, named, inner, option.position))
    return body()
