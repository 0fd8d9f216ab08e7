"""The `parameters { }` of a pipeline: defaults, types, and the values a build was started with.

A value the pipeline did not declare is dropped, as Jenkins does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builds.jenkinsfile.model import Parameter
from fangduoduo_release.common.sentence import S

from .context import Branch
from .control import StepFailed
from .values import flag_of, text_of


def typed_values(branch: Branch, declared: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared parameter with its value (bool for booleanParam, else str). StepFailed for one that cannot be."""
    values: dict[str, Any] = {}
    for parameter in declared:
        named = {n.name: branch.evaluate(n.value) for n in parameter.named if isinstance(n.name, str)}
        name = text_of(named.get("name") or "")
        if not name:
            continue
        values[name] = _value(parameter.kind, name, named, given.get(name))
        if parameter.kind == "password" and values[name]:
            branch.build.writer.add_secrets([str(values[name])])
    return values


def _value(kind: str, name: str, named: Mapping[str, Any], given: Any) -> Any:
    default = named.get("defaultValue")
    if kind == "booleanParam":
        return flag_of(default if given is None else given)
    if kind == "choice":
        raw = named.get("choices") or ()
        choices = raw.split("\n") if isinstance(raw, str) else [text_of(c) for c in raw]
        value = text_of(given) if given is not None else (choices[0] if choices else "")
        if choices and value not in choices:
            raise StepFailed(S("“%(value)s” is not one of the choices of “%(name)s”.", value=value[:80], name=name))
        return value
    chosen = default if given is None else given
    value = "" if chosen is None else text_of(chosen)
    if "\0" in value:
        raise StepFailed(S("The value of “%(name)s” cannot be used.", name=name))
    return value
