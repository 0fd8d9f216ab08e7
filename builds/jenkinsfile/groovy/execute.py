"""Runs Groovy statements in bounds; expressions are the subclass's business (`evaluate`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fangduoduo_release.common.sentence import S, Sentence

from . import nodes as n
from .errors import GroovyError, NotRunnable, java_names
from .patterns import Matcher, subject
from .values import Frame, Function, Thrown, same, text_of, truth

MAX_ITERATIONS = 100_000
MAX_CALLS = 40
MAX_MADE = 256 * 1024 * 1024


class ReturnSignal(Exception):
    """`return value`, on its way to the closure or method it leaves."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class JumpSignal(Exception):
    """`break` or `continue`, on its way to its loop."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


class StatementRunner:
    """Statements; `frame` holds the local variables, None where variables are the script's own."""

    frame: Frame | None
    binding: dict[str, Any]

    def __init__(self) -> None:
        self.frame = None
        self._turns = 0
        self._made = 0
        self._calls = 0
        self._runners: Mapping[type[n.Statement], Callable[[Any], Any]] = {
            n.ExpressionStatement: lambda s: self.value(s.expression),
            n.Declare: self._declare,
            n.If: self._if,
            n.ForIn: self._for_in,
            n.ForClassic: self._for_classic,
            n.While: self._while,
            n.Try: self._try,
            n.Switch: self._switch,
            n.Return: self._return,
            n.Jump: self._jump,
            n.Throw: self._throw,
            n.Assert: self._assert,
            n.Block: lambda s: self.block(s.body),
            n.MethodDefinition: self._define,
            n.Import: lambda s: None,
            n.OpaqueStatement: self._opaque,
        }

    def value(self, expression: n.Expression) -> Any:
        """The value of an expression."""
        raise NotImplementedError

    def assign(self, target: n.Expression, value: Any) -> None:
        """Gives a variable, property or item its value."""
        raise NotImplementedError

    def run(self, statements: Sequence[n.Statement]) -> Any:
        """Runs statements in the current frame; the value of the last one."""
        result: Any = None
        for statement in statements:
            result = self._runners[type(statement)](statement)
        return result

    def block(self, statements: Sequence[n.Statement]) -> Any:
        """Runs statements with local variables of their own."""
        with self.in_frame(Frame(self.frame)):
            return self.run(statements)

    @contextmanager
    def in_frame(self, frame: Frame | None) -> Iterator[None]:
        """Runs what follows with another frame."""
        before, self.frame = self.frame, frame
        try:
            yield
        finally:
            self.frame = before

    def turn(self, position: n.Position | None = None) -> None:
        """Counts a turn of a loop or a call of a closure; too many cannot run."""
        self._turns += 1
        if self._turns > MAX_ITERATIONS:
            raise NotRunnable(S("The script repeats more than %(limit)s times.", limit=MAX_ITERATIONS), position)

    def weigh(self, value: Any) -> Any:
        """`value`, counted against what one script may make in all: texts by length, lists by their items."""
        if isinstance(value, str):
            self._made += len(value)
        elif isinstance(value, list):
            self._made += 8 * len(value)
        if self._made > MAX_MADE:
            raise NotRunnable(S("The script makes more than %(limit)s MiB of texts and lists.", limit=MAX_MADE >> 20))
        return value

    def invoke(self, function: Any, *args: Any) -> Any:
        """Calls a closure or method with its arguments."""
        if not isinstance(function, Function):
            return function.call(*args)
        self.turn()
        if self._calls >= MAX_CALLS:
            raise NotRunnable(S("The script calls itself more than %(limit)s times deep.", limit=MAX_CALLS))
        self._calls += 1
        try:
            with self.in_frame(Frame(function.frame)):
                self._bind(function, args)
                return self.run(function.body)
        except ReturnSignal as signal:
            return signal.value
        finally:
            self._calls -= 1

    def _bind(self, function: Function, args: Sequence[Any]) -> None:
        frame = self.frame
        assert frame is not None
        parameters = function.parameters
        if parameters is None:
            frame.values["it"] = args[0] if args else None
            return
        if len(args) == 1 and len(parameters) > 1 and isinstance(args[0], list | tuple):
            args = list(args[0])
        for index, parameter in enumerate(parameters):
            if parameter.varargs:
                frame.values[parameter.name] = list(args[index:])
            elif index < len(args):
                frame.values[parameter.name] = args[index]
            elif parameter.default is not None:
                frame.values[parameter.name] = self.value(parameter.default)
            elif function.is_method:
                raise GroovyError(
                    S("The method needs %(wanted)s arguments, not %(given)s.", wanted=len(parameters), given=len(args)),
                    java_names("groovy.lang.MissingMethodException"),
                )
            else:
                frame.values[parameter.name] = None

    # --- statements -------------------------------------------------------------------------------------------

    def _declare(self, statement: n.Declare) -> Any:
        value = None if statement.value is None else self.value(statement.value)
        values = self.binding if self.frame is None else self.frame.values
        if not statement.multiple:
            values[statement.names[0]] = value
            return value
        items = list(value) if isinstance(value, list | tuple) else []
        for index, name in enumerate(statement.names):
            values[name] = items[index] if index < len(items) else None
        return value

    def _if(self, statement: n.If) -> Any:
        if truth(self.value(statement.condition)):
            return self.block(statement.then)
        return self.block(statement.otherwise)

    def _for_in(self, statement: n.ForIn) -> Any:
        items = self.value(statement.items)
        for item in elements(items):
            self.turn(statement.position)
            with self.in_frame(Frame(self.frame, {statement.name: item})):
                if self._loop_body(statement.body):
                    break

    def _for_classic(self, statement: n.ForClassic) -> Any:
        with self.in_frame(Frame(self.frame)):
            self.run(statement.start)
            while statement.condition is None or truth(self.value(statement.condition)):
                self.turn(statement.position)
                with self.in_frame(Frame(self.frame)):
                    if self._loop_body(statement.body):
                        break
                for step in statement.step:
                    self.value(step)

    def _while(self, statement: n.While) -> Any:
        first = not statement.check_first
        while first or truth(self.value(statement.condition)):
            first = False
            self.turn(statement.position)
            with self.in_frame(Frame(self.frame)):
                if self._loop_body(statement.body):
                    break

    def _loop_body(self, body: Sequence[n.Statement]) -> bool:
        """Runs one turn; True when the loop is left."""
        try:
            self.run(body)
        except JumpSignal as signal:
            return signal.kind == "break"
        return False

    def _try(self, statement: n.Try) -> Any:
        try:
            return self.block(statement.body)
        except GroovyError as error:
            for clause in statement.catches:
                if not clause.types or any(_is_type(error, name) for name in clause.types):
                    with self.in_frame(Frame(self.frame, {clause.name: Thrown(error)})):
                        return self.run(clause.body)
            raise
        finally:
            if statement.finally_body:
                self.block(statement.finally_body)

    def _switch(self, statement: n.Switch) -> Any:
        value = self.value(statement.value)
        start = next(
            (at for at, case in enumerate(statement.cases) if case.value and self._is_case(case.value, value)), None
        )
        if start is None:
            start = next((at for at, case in enumerate(statement.cases) if case.value is None), len(statement.cases))
        result: Any = None
        try:
            with self.in_frame(Frame(self.frame)):
                for case in statement.cases[start:]:
                    result = self.run(case.body)
        except JumpSignal as signal:
            if signal.kind != "break":
                raise
        return result

    def _is_case(self, expression: n.Expression, value: Any) -> bool:
        wanted = self.value(expression)
        if isinstance(wanted, list | tuple):
            return any(same(item, value) for item in wanted)
        if isinstance(wanted, Mapping):
            return value in wanted
        if isinstance(wanted, Function):
            return truth(self.invoke(wanted, value))
        if isinstance(wanted, re.Pattern):
            return isinstance(value, str) and wanted.fullmatch(subject(value)) is not None
        return same(wanted, value)

    def _return(self, statement: n.Return) -> Any:
        raise ReturnSignal(None if statement.value is None else self.value(statement.value))

    def _jump(self, statement: n.Jump) -> Any:
        raise JumpSignal(statement.kind)

    def _throw(self, statement: n.Throw) -> Any:
        value = self.value(statement.value)
        if isinstance(value, Thrown):
            raise value.error
        raise GroovyError(S("%(message)s", message=text_of(value)), java_names("java.lang.Exception"))

    def _assert(self, statement: n.Assert) -> Any:
        if truth(self.value(statement.condition)):
            return
        message = "Assertion failed" if statement.message is None else text_of(self.value(statement.message))
        raise GroovyError(S("%(message)s", message=message), java_names("java.lang.AssertionError"))

    def _define(self, statement: n.MethodDefinition) -> Any:
        self.binding[method_key(statement.name)] = Function(statement.parameters, statement.body, None, is_method=True)

    def _opaque(self, statement: n.OpaqueStatement) -> Any:
        raise NotRunnable(not_understood(statement.what), statement.position)


def not_understood(what: str) -> Sentence:
    """The sentence for Groovy that the embedded builder does not know; `validate` warns with the same one."""
    return S("The embedded builder does not understand this Groovy (“%(what)s”); the stage will fail there.", what=what)


def method_key(name: str) -> str:
    """Where a binding keeps a method, apart from variables of the same name."""
    return f"{name}()"


def elements(value: Any) -> list[Any]:
    """What `for … in value` goes over."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [{"key": key, "value": item} for key, item in value.items()]
    if isinstance(value, Matcher):
        return value.items()
    return list(value) if isinstance(value, list | tuple | str) else [value]


def _is_type(error: GroovyError, name: str) -> bool:
    return name in error.type_names or name.rpartition(".")[2] in error.type_names
