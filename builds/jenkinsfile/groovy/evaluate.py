"""Evaluates Groovy nodes in bounds: what `script { … }`, interpolation and `when { expression }` need.

The caller owns the steps (`call_step`) and the scope; nothing here touches files, processes or the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fangduoduo_release.common.sentence import Sentence

from .nodes import Expression, Position, Statement


class NotRunnable(Exception):
    """What is written is Groovy that cannot run here; never caught by the script's own try/catch."""

    def __init__(self, sentence: Sentence, position: Position | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.position = position


class GroovyError(Exception):
    """An exception that a script may catch. Steps that fail raise it, or a subclass, with the Java names they go by."""

    type_names: tuple[str, ...] = ("Exception", "Throwable")

    def __init__(self, sentence: Sentence, type_names: tuple[str, ...] | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        if type_names is not None:
            self.type_names = type_names


class CurrentBuild(Protocol):
    """What `currentBuild` offers; values are None, str, int or bool."""

    def read(self, name: str) -> Any:
        """result, currentResult, displayName, description, number, …; KeyError for an unknown name."""

    def write(self, name: str, value: Any) -> None:
        """result, displayName or description; KeyError for what cannot be written."""


@dataclass(slots=True)
class Scope:
    """What a script sees. `binding` are the script's own global variables, shared by all stages of a run."""

    env: MutableMapping[str, str]
    params: Mapping[str, Any]
    build: CurrentBuild
    binding: dict[str, Any] = field(default_factory=dict)


class CallStep(Protocol):
    """Runs one step. `body` runs the block's statements and gives its value; None when there is no block."""

    def __call__(
        self,
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        body: Callable[[], Any] | None,
        position: Position,
    ) -> Any: ...


class Interpreter:
    """`evaluate` an expression, `execute` statements; both raise NotRunnable, GroovyError or what a step raises."""

    def __init__(self, scope: Scope, call_step: CallStep) -> None:
        self.scope = scope
        self.call_step = call_step

    def evaluate(self, expression: Expression) -> Any:
        """The value as str, int, Decimal, bool, None, list, dict or an opaque closure; a GString is a str."""
        raise NotImplementedError

    def execute(self, statements: Sequence[Statement]) -> Any:
        """Runs the statements; the value is that of the last one, or of `return`."""
        raise NotImplementedError
