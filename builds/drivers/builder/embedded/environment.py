"""The `environment { }` directive: values that may name each other in any order, and credentials.

Knows how values are resolved, not where they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from builds.jenkinsfile.groovy.nodes import (
    Binary,
    Call,
    Expression,
    GString,
    Property,
    Variable,
)
from builds.jenkinsfile.model import EnvironmentEntry
from fangduoduo_release.common.sentence import S

from .context import Branch
from .control import StepFailed
from .steps.credentials import environment_credentials


@contextmanager
def environment_block(branch: Branch, entries: Sequence[EnvironmentEntry]) -> Iterator[None]:
    """Run what follows with these entries in the environment; credentials first, as in Jenkins."""
    if not entries:
        yield
        return
    secret = {e.name: _credential_id(branch, e.value) for e in entries if _is_credentials(e.value)}
    plain = [e for e in entries if e.name not in secret]
    with (
        environment_credentials(branch, secret) as values,
        branch.within(environment=branch.with_environment(values)),
        branch.within(environment=_resolved(branch, plain)),
    ):
        yield


def _is_credentials(value: Expression) -> bool:
    return isinstance(value, Call) and value.target is None and value.name == "credentials"


def _credential_id(branch: Branch, value: Expression) -> str:
    if not isinstance(value, Call) or len(value.args) != 1:
        raise StepFailed(S("credentials() takes the id of one credential."))
    return branch.text(value.args[0])


def _resolved(branch: Branch, entries: Sequence[EnvironmentEntry]) -> dict[str, str]:
    """The contextual environment with the entries on it, each evaluated after those it names."""
    by_name = {e.name: e for e in entries}
    done: dict[str, str] = {}
    busy: list[str] = []

    def resolve(name: str) -> None:
        # A name within its own value means the outer one (`PATH = "${env.PATH}:/x"`); a circle does too.
        if name in done or name in busy:
            return
        busy.append(name)
        entry = by_name[name]
        for other in _names(entry.value):
            if other in by_name and other != name:
                resolve(other)
        with branch.within(environment=branch.with_environment(done)):
            done[name] = branch.text(entry.value)
        busy.pop()

    for entry in entries:
        resolve(entry.name)
    return branch.with_environment(done)


def _names(value: Expression) -> set[str]:
    """The variables an expression may read: bare names and `env.NAME`."""
    if isinstance(value, Variable):
        return {value.name}
    if isinstance(value, Property):
        if isinstance(value.target, Variable) and value.target.name == "env" and isinstance(value.name, str):
            return {value.name}
        return _names(value.target)
    if isinstance(value, GString):
        return set().union(*(_names(p) for p in value.parts if not isinstance(p, str)), set())
    if isinstance(value, Binary):
        return _names(value.left) | _names(value.right)
    if isinstance(value, Call):
        inner = [*value.args, *([value.target] if value.target is not None else [])]
        return set().union(*(_names(a) for a in inner), set())
    return set()
