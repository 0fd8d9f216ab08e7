"""A small world for the interpreter: real scope, and steps that note how they were called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builds.jenkinsfile.groovy.evaluate import GroovyError, Interpreter, NotRunnable, Scope
from builds.jenkinsfile.groovy.nodes import Position
from builds.jenkinsfile.groovy.statements import parse_groovy
from builds.jenkinsfile.steps import RUNNABLE_STEPS, not_runnable
from fangduoduo_release.common.sentence import S


class Build:
    """`currentBuild` on a dict."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"result": None, "currentResult": "SUCCESS", "number": 7, "displayName": "#7"}

    def read(self, name: str) -> Any:
        return self.values[name]

    def write(self, name: str, value: Any) -> None:
        if name not in ("result", "displayName", "description"):
            raise KeyError(name)
        self.values[name] = value


@dataclass
class World:
    """Runs texts; `steps` are the calls so far: (name, positional, named, position)."""

    env: dict[str, str] = field(default_factory=lambda: {"FOO": "foo", "EMPTY": ""})
    params: dict[str, Any] = field(default_factory=lambda: {"P": "p", "FLAG": True})
    build: Build = field(default_factory=Build)
    steps: list[tuple[str, list[Any], dict[str, Any], Position]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope = Scope(self.env, self.params, self.build)
        self.interpreter = Interpreter(self.scope, self.call_step)

    def call_step(
        self,
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        body: Callable[[], Any] | None,
        position: Position,
    ) -> Any:
        self.steps.append((name, list(args), dict(named), position))
        if name == "error":
            raise GroovyError(
                S("%(message)s", message=args[0]), ("AbortException", "IOException", "Exception", "Throwable")
            )
        if name not in RUNNABLE_STEPS:
            raise NotRunnable(not_runnable(name), position)
        if body is not None:
            return body()
        if name == "sh":
            script = named.get("script", args[0] if args else "")
            return (
                self.outputs.get(script, "out\n")
                if named.get("returnStdout")
                else 0
                if named.get("returnStatus")
                else None
            )
        return None

    def run(self, text: str) -> Any:
        return self.interpreter.execute(parse_groovy(text))

    def called(self) -> list[str]:
        """The steps so far, short: `echo x`."""
        return [
            " ".join([name, *map(str, args), *(f"{k}:{v}" for k, v in named.items())])
            for name, args, named, _ in self.steps
        ]


def run(text: str) -> Any:
    """The value of a text in a fresh world."""
    return World().run(text)
