"""The parameters a build is started with: what was sent, judged by what the job declares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .beans import DEEP, NESTED, Bean
from .config import CLASSES, Declared

_VALUES = {"string": "String", "text": "Text", "boolean": "Boolean", "choice": "String", "password": "Password"}


class BadValue(Exception):
    """Jenkins throws here, so the answer is 500."""


@dataclass(frozen=True, slots=True)
class Value:
    """One parameter of one build."""

    kind: str
    name: str
    value: str | bool = field(repr=False)

    def bean(self) -> Bean:
        shown: dict[str, tuple[int, Any]] = {"name": (DEEP, self.name)}
        if self.kind != "password":
            shown["value"] = (DEEP, self.value)
        return Bean(f"hudson.model.{_VALUES[self.kind]}ParameterValue", shown)

    @property
    def text(self) -> str:
        return str(self.value).lower() if isinstance(self.value, bool) else self.value

    @property
    def shown(self) -> str:
        return f"{self.name}={'****' if self.kind == 'password' else self.text}"


def values_of(declared: Sequence[Declared], given: Mapping[str, Sequence[str]]) -> tuple[Value, ...]:
    """One value for each declared parameter; what is not declared is dropped. Raises BadValue."""
    found = []
    for parameter in declared:
        raw = given.get(parameter.name, [parameter.default])[0]
        if parameter.kind == "choice" and raw not in parameter.choices:
            raise BadValue(parameter.name)
        found.append(
            Value(parameter.kind, parameter.name, raw.lower() in ("true", "on") if parameter.kind == "boolean" else raw)
        )
    return tuple(found)


def fields_of_json(text: str) -> dict[str, list[str]]:
    """The fields of the `json` form field that Jenkins' own pages send: `{"parameter": [{"name", "value"}, …]}`."""
    try:
        data = json.loads(text)
        listed = data.get("parameter", []) if isinstance(data, dict) else []
        rows = listed if isinstance(listed, list) else [listed]
        return {row["name"]: [_text(row.get("value", ""))] for row in rows}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadValue(text[:80]) from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameters_action(values: Sequence[Value]) -> Bean:
    return Bean("hudson.model.ParametersAction", {"parameters": (NESTED, lambda: [v.bean() for v in values])})


def definitions_property(declared: Sequence[Declared]) -> Bean:
    """How a job lists the parameters it declares."""
    return Bean(
        "hudson.model.ParametersDefinitionProperty",
        {"parameterDefinitions": (NESTED, lambda: [_definition(d) for d in declared])},
    )


def _definition(declared: Declared) -> Bean:
    default = Value(declared.kind, declared.name, declared.default == "true" if declared.kind == "boolean" else declared.default)  # fmt: skip
    shown: dict[str, tuple[int, Any]] = {
        "defaultParameterValue": (DEEP, _with_value(default)),
        "description": (DEEP, declared.description),
        "name": (DEEP, declared.name),
        "type": (DEEP, CLASSES[declared.kind].rpartition(".")[2]),
    }
    if declared.kind == "choice":
        shown["choices"] = (DEEP, list(declared.choices))
    return Bean(CLASSES[declared.kind], shown)


def _with_value(value: Value) -> Bean:
    """One level deeper than in a build, and still shown."""
    bean = value.bean()
    return Bean(bean.cls, {name: (DEEP + 1, held) for name, (_, held) in bean.properties.items()})
