"""Evaluates Groovy nodes in bounds: what `script { … }`, interpolation and `when { expression }` need.

The caller owns the steps (`call_step`) and the scope; nothing here touches files, processes or the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from fangduoduo_release.common.sentence import S, Sentence

from . import nodes as n
from .compute import Computer
from .errors import GroovyError, NotRunnable, java_names, missing_property
from .execute import JumpSignal, ReturnSignal, elements, method_key
from .methods import STATICS, call_method, convert, item_of, property_of, set_property, slice_of
from .values import Frame, Function, Native, Thrown, text_of, truth

_RESULTS = ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED")
# Objects that Jenkins gives to scripts and that exist nowhere else.
_JENKINS_ONLY = frozenset(
    {"docker", "jenkins", "hudson", "manager", "library", "openshift", "scm", "pipeline", "steps"}
)
_COLLECTIONS: Mapping[str, Callable[..., Any]] = {
    "ArrayList": lambda values=(): list(values) if not isinstance(values, int) else [],
    "LinkedList": lambda values=(): list(values),
    "HashSet": lambda values=(): list(values),
    "LinkedHashSet": lambda values=(): list(values),
    "HashMap": lambda values=None: dict(values or {}),
    "LinkedHashMap": lambda values=None: dict(values or {}),
    "TreeMap": lambda values=None: dict(values or {}),
    "String": lambda value="": text_of(value),
}


class CurrentBuild(Protocol):
    """What `currentBuild` offers; values are None, str, int or bool, or lists and maps of them."""

    def read(self, name: str) -> Any:
        """result, currentResult, displayName, description, number, …; KeyError for an unknown name."""

    def write(self, name: str, value: Any) -> None:
        """result, displayName or description; KeyError for what cannot be written."""


@dataclass(slots=True)
class Scope:
    """What a script sees. `binding` are the script's own global variables and methods, shared by all stages of a run."""

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
        position: n.Position,
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Static:
    """A class name where an object is meant: `Math`, `String`."""

    name: str


class Interpreter(Computer):
    """`evaluate` an expression, `execute` statements; both raise NotRunnable, GroovyError or what a step raises.

    One interpreter serves one thread; several may share a Scope's binding.
    """

    def __init__(self, scope: Scope, call_step: CallStep) -> None:
        super().__init__()
        self.scope = scope
        self.binding = scope.binding
        self.call_step = call_step
        self._level = 0
        self._values: Mapping[type[n.Expression], Callable[[Any], Any]] = {
            n.Literal: lambda e: e.value,
            n.GString: self.interpolated,
            n.Variable: self._variable,
            n.Property: self._property,
            n.Index: self._index,
            n.Call: lambda e: self.weigh(self._call(e)),
            n.New: self._new,
            n.Unary: self.unary_value,
            n.Postfix: lambda e: self.step_by(e.operand, e.operator, after=True),
            n.Binary: self.binary_value,
            n.Ternary: lambda e: self.value(e.then if truth(self.value(e.condition)) else e.otherwise),
            n.Elvis: self.elvis_value,
            n.Assign: self.assign_value,
            n.Cast: lambda e: convert(e.type_name, self.value(e.value)),
            n.ListLiteral: lambda e: self.items(e.items),
            n.MapLiteral: self.map_value,
            n.Range: self.range_value,
            n.Spread: lambda e: self.value(e.value),
            n.MethodPointer: self._pointer,
            n.Closure: lambda e: Function(e.parameters, e.body, self.frame),
        }

    # --- doors ------------------------------------------------------------------------------------------------

    def evaluate(self, expression: n.Expression) -> Any:
        """The value as str, int, Decimal, bool, None, list, dict or an opaque closure; a GString is a str."""
        return self._enter(Frame(), lambda: self.value(expression))

    def execute(self, statements: Sequence[n.Statement]) -> Any:
        """Runs the statements; the value is that of the last one, or of `return`."""
        return self._enter(Frame(), lambda: self.run(statements))

    def define(self, statements: Sequence[n.Statement]) -> None:
        """Runs what stands around the pipeline block: its variables and methods go to the binding, for all stages."""
        self._enter(None, lambda: self.run(statements))

    def run_step(
        self,
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        body: Callable[[], Any] | None,
        position: n.Position,
    ) -> Any:
        """A declarative step: a method of the Jenkinsfile's own when there is one of that name, else `call_step`."""
        if method_key(name) not in self.binding:
            return self.call_step(name, args, named, body, position)
        given = [*([dict(named)] if named else []), *args, *([Native(lambda *_: body())] if body else [])]
        return self._enter(Frame(), lambda: self.invoke(self.binding[method_key(name)], *given))

    def _enter(self, frame: Frame | None, work: Callable[[], Any]) -> Any:
        if self._level == 0:
            self._turns = self._made = 0
        self._level += 1
        try:
            with self.in_frame(frame):
                return work()
        except ReturnSignal as signal:
            return signal.value
        except JumpSignal as signal:
            raise NotRunnable(S("“%(word)s” stands outside of a loop.", word=signal.kind)) from None
        except RecursionError:
            raise NotRunnable(S("The script is nested too deeply to run.")) from None
        finally:
            self._level -= 1

    def value(self, expression: n.Expression) -> Any:
        """The value of an expression, within `evaluate` or `execute`."""
        return self._values[type(expression)](expression)

    # --- names ------------------------------------------------------------------------------------------------

    def _variable(self, expression: n.Variable) -> Any:
        name = expression.name
        holder = self.holder(name)
        if holder is not None:
            return holder[name]
        if name == "env":
            return self.scope.env
        if name == "params":
            return self.scope.params
        if name == "currentBuild":
            return self.scope.build
        if name in STATICS:
            return _Static(name)
        if name in self.scope.params:
            return self.scope.params[name]
        value = self.scope.env.get(name)
        if value is not None:
            return value
        if name in _JENKINS_ONLY or (name[0].isupper() and not name.isupper()):
            raise NotRunnable(only_in_jenkins(name), expression.position)
        raise missing_property(name)

    def _property(self, expression: n.Property) -> Any:
        target = self.value(expression.target)
        name = expression.name if isinstance(expression.name, str) else text_of(self.value(expression.name))
        if target is None and expression.safe:
            return None
        if expression.spread:
            return [None if item is None else self._read(item, name) for item in elements(target)]
        return self._read(target, name, expression.position)

    def _read(self, target: Any, name: str, position: n.Position | None = None) -> Any:
        if target is self.scope.build:
            try:
                return self.scope.build.read(name)
            except KeyError:
                raise NotRunnable(only_in_jenkins(f"currentBuild.{name}"), position) from None
        if isinstance(target, _Static):
            raise NotRunnable(only_in_jenkins(f"{target.name}.{name}"), position)
        return property_of(target, name)

    def _index(self, expression: n.Index) -> Any:
        target = self.value(expression.target)
        if target is None and expression.safe:
            return None
        if len(expression.index) == 1:
            only = expression.index[0]
            if isinstance(only, n.Range) and isinstance(target, str | list | tuple):
                return slice_of(target, self.value(only.low), self.value(only.high), only.inclusive)
            return item_of(target, self.value(only))
        return item_of(target, self.items(expression.index))

    def _pointer(self, expression: n.MethodPointer) -> Any:
        target = expression.target
        if isinstance(target, n.Variable) and target.name == "this":
            name = expression.name
            return Native(lambda *args: self._bare(name, list(args), {}, expression.position))
        value = self.value(target)
        return Native(lambda *args: call_method(self.invoke, value, expression.name, list(args)))

    # --- calls ------------------------------------------------------------------------------------------------

    def _call(self, expression: n.Call) -> Any:
        target = expression.target
        name = expression.name if isinstance(expression.name, str) else text_of(self.value(expression.name))
        if target is None or (isinstance(target, n.Variable) and target.name == "this"):
            args, named = self._arguments(expression)
            return self._bare(name, args, named, expression.position)
        value = self.value(target)
        if value is None and expression.safe:
            return None
        args, named = self._arguments(expression)
        if named:
            args = [named, *args]
        if expression.spread:
            return [None if item is None else self._method(item, name, args, expression) for item in elements(value)]
        return self._method(value, name, args, expression)

    def _arguments(self, expression: n.Call) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {}
        for item in expression.named:
            key = item.name if isinstance(item.name, str) else text_of(self.value(item.name))
            named[key] = self.value(item.value)
        return self.items(expression.args), named

    def _bare(self, name: str, args: list[Any], named: dict[str, Any], position: n.Position) -> Any:
        holder = self.holder(name)
        if holder is not None and isinstance(holder[name], Function | Native):
            return self.invoke(holder[name], *([named] if named else []), *args)
        method = self.binding.get(method_key(name))
        if method is not None:
            return self.invoke(method, *([named] if named else []), *args)
        if name in ("println", "print"):
            return self.call_step("echo", [text_of(args[0]) if args else ""], {}, None, position)
        body: Callable[[], Any] | None = None
        if args and isinstance(args[-1], Function):
            closure = args.pop()

            def body() -> Any:
                return self.invoke(closure)

        return self.call_step(name, args, named, body, position)

    def _method(self, value: Any, name: str, args: list[Any], expression: n.Call) -> Any:
        if isinstance(value, _Static):
            function = STATICS[value.name].get(name)
            if function is None:
                raise NotRunnable(only_in_jenkins(f"{value.name}.{name}"), expression.position)
            return self._static(function, value.name, name, args)
        if value is self.scope.build:
            return self._build_method(name, args, expression.position)
        return call_method(self.invoke, value, name, args)

    def _static(self, function: Callable[..., Any], owner: str, name: str, args: list[Any]) -> Any:
        try:
            return function(*args)
        except (TypeError, ValueError, ArithmeticError):
            raise GroovyError(
                S("%(name)s does not take these arguments.", name=f"{owner}.{name}"),
                java_names("groovy.lang.MissingMethodException"),
            ) from None

    def _build_method(self, name: str, args: list[Any], position: n.Position) -> Any:
        if name in ("resultIsBetterOrEqualTo", "resultIsWorseOrEqualTo") and len(args) == 1:
            current, other = text_of(self._read(self.scope.build, "currentResult")), text_of(args[0])
            if current in _RESULTS and other in _RESULTS:
                order = _RESULTS.index(current) - _RESULTS.index(other)
                return order <= 0 if "Better" in name else order >= 0
        if name.startswith("get") and not args and len(name) > 3:
            return self._read(self.scope.build, name[3].lower() + name[4:], position)
        if name.startswith("set") and len(args) == 1 and len(name) > 3:
            return self.write(self.scope.build, name[3].lower() + name[4:], args[0], position)
        raise NotRunnable(only_in_jenkins(f"currentBuild.{name}()"), position)

    def _new(self, expression: n.New) -> Any:
        simple = expression.type_name.rpartition(".")[2]
        args = self.items(expression.args)
        if expression.plain and (simple.endswith(("Exception", "Error")) or simple == "Throwable"):
            message = text_of(args[0]) if args and not isinstance(args[0], Thrown) else expression.type_name
            return Thrown(GroovyError(S("%(message)s", message=message), java_names(expression.type_name)))
        if expression.plain and simple == "Date" and not args:
            return datetime.now(UTC)
        if expression.plain and simple in _COLLECTIONS and len(args) <= 1:
            return _COLLECTIONS[simple](*args)
        raise NotRunnable(only_in_jenkins(f"new {expression.type_name}"), expression.position)

    def write(self, target: Any, name: str, value: Any, position: n.Position | None = None) -> None:
        """`target.name = value`, env and currentBuild among the targets."""
        if target is self.scope.build:
            try:
                self.scope.build.write(name, value)
            except KeyError:
                raise NotRunnable(only_in_jenkins(f"currentBuild.{name} = …"), position) from None
        elif target is self.scope.env:
            self._write_env(name, value)
        else:
            set_property(target, name, value)

    def put(self, target: Any, index: Any, value: Any) -> None:
        """`target[index] = value`, env among the targets."""
        if target is self.scope.env:
            self._write_env(text_of(index), value)
        else:
            super().put(target, index, value)

    def _write_env(self, name: str, value: Any) -> None:
        if value is None:
            self.scope.env.pop(name, None)
        else:
            self.scope.env[name] = text_of(value)


def exists_here(name: str) -> bool:
    """Whether a name (or `new Type`) may have a value here: a guess for warnings, generous with environment variables."""
    if name.startswith("new "):
        simple = name[4:].rpartition(".")[2]
        return simple.endswith(("Exception", "Error", "Throwable")) or simple == "Date" or simple in _COLLECTIONS
    return name in STATICS or name in ("env", "params", "currentBuild", "scm", "this") or name.isupper()


def only_in_jenkins(name: str) -> Sentence:
    """Why an object of Jenkins cannot be used here; `validate` warns with the same sentence."""
    return S("“%(name)s” exists only in Jenkins and cannot be used in the embedded builder.", name=name)


__all__ = ["CallStep", "CurrentBuild", "GroovyError", "Interpreter", "NotRunnable", "Scope"]
