"""Where one branch (thread) of a build stands: stage, folder, environment, scope; and how it runs steps.

The same path serves declarative steps and steps called from `script`. Knows nothing of single steps (see `steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builds.jenkinsfile.groovy.evaluate import GroovyError, Interpreter, NotRunnable
from builds.jenkinsfile.groovy.evaluate import Scope as GroovyScope
from builds.jenkinsfile.groovy.nodes import Expression, Position
from builds.jenkinsfile.model import Step
from builds.jenkinsfile.steps import not_runnable
from fangduoduo_release.common.sentence import S, Sentence

from .control import Consumed, NoAgent, Result, Scope, StepFailed
from .logwriter import Channel, Label, disk_sentence
from .orphans import BUILD_KEY
from .runtime import Build, merged
from .values import flag_of, text_of


@dataclass(slots=True)
class StageRecord:
    """A running stage as the steps see it: they may only mark it."""

    id: str
    path: tuple[str, ...]
    warning: Result = Result.SUCCESS
    sentence: Sentence | None = None
    paused: Callable[[bool], None] = lambda paused: None

    def warn(self, result: Result, sentence: Sentence | None) -> None:
        if result > self.warning:
            self.warning, self.sentence = result, sentence


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of a step; blocks change them for what is inside."""

    scope: Scope
    stage: StageRecord | None = None
    workspace: Path | None = None
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    branch: str = ""
    step: int | None = None
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class StepCall:
    """One call of a step with evaluated arguments; `body` runs its block in the branch's context of that moment."""

    name: str
    args: Sequence[Any]
    named: Mapping[str, Any]
    body: Callable[[], Any] | None
    position: Position

    def get(self, name: str, index: int | None = None, default: Any = None) -> Any:
        if name in self.named:
            return self.named[name]
        if index is not None and index < len(self.args) and not isinstance(self.args[index], Mapping):
            return self.args[index]
        if len(self.args) == 1 and isinstance(self.args[0], Mapping) and name in self.args[0]:
            return self.args[0][name]
        return default

    def text(self, name: str, index: int | None = None, default: str | None = None) -> str:
        """A text argument. StepFailed when it is missing and has no default."""
        value = self.get(name, index)
        if value is None:
            if default is None:
                raise StepFailed(S("%(step)s: %(name)s is missing.", step=self.name, name=name))
            return default
        return text_of(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.get(name)
        return default if value is None else flag_of(value)

    def run_body(self) -> Any:
        if self.body is None:
            raise StepFailed(S("%(step)s needs a block of steps.", step=self.name))
        return self.body()


RunStep = Callable[["Branch", StepCall], Any]


class EnvironmentView(MutableMapping[str, str]):
    """`env` of scripts: reads what a step would see here, writes for the whole build."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def __getitem__(self, name: str) -> str:
        return self._branch.environment()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not name or "=" in name or "\0" in name:
            raise StepFailed(S("“%(name)s” is no name of an environment variable.", name=name[:80]))
        self._branch.build.overrides[name] = text_of(value)

    def __delitem__(self, name: str) -> None:
        self._branch.build.overrides.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._branch.environment())

    def __len__(self) -> int:
        return len(self._branch.environment())


class Branch:
    """One thread's way through the pipeline."""

    def __init__(self, build: Build, context: Context, steps: Mapping[str, RunStep], consumed: Consumed) -> None:
        self.build = build
        self.context = context
        self.steps = steps
        self.consumed = consumed
        scope = GroovyScope(
            env=EnvironmentView(self), params=build.parameters, build=build.current, binding=build.binding
        )
        self.interpreter = Interpreter(scope, self.call_step)

    def fork(self, name: str, scope: Scope) -> Branch:
        """A branch for another thread, starting where this one stands."""
        return Branch(
            self.build,
            replace(self.context, scope=scope, branch=name),
            self.steps,
            Consumed(set(self.consumed.seen)),
        )

    def join(self, other: Branch) -> None:
        """What a finished branch has felt is felt."""
        self.consumed.seen |= other.consumed.seen

    @contextmanager
    def within(self, **changes: Any) -> Iterator[None]:
        """Run what follows in a changed context."""
        before = self.context
        self.context = replace(before, **changes)
        try:
            yield
        finally:
            self.context = before

    def check(self) -> None:
        self.context.scope.check(self.consumed)

    def environment(self) -> dict[str, str]:
        """The environment of a step here and now."""
        build = self.build
        result = merged(build.base, build.overrides, self.context.environment)
        result[BUILD_KEY] = build.spec.key
        return result

    def with_environment(self, values: Mapping[str, str]) -> dict[str, str]:
        """The contextual layer with more values on it (for `within(environment=…)`)."""
        plain = {k: v for k, v in values.items() if "+" not in k}
        paths = {k: v for k, v in values.items() if "+" in k}
        layer = {**self.context.environment, **plain}
        if paths:
            seen = merged(self.build.base, self.build.overrides, layer)
            after = merged(seen, paths)
            layer |= {k.partition("+")[0]: after[k.partition("+")[0]] for k in paths if k.partition("+")[0]}
        return layer

    def folder(self) -> Path:
        """Where file steps work. NoAgent under `agent none`."""
        if self.context.folder is None:
            raise NoAgent(S("This step needs an agent, but “agent none” is in force here."))
        return self.context.folder

    def label(self) -> Label:
        context = self.context
        return Label(context.stage.id if context.stage else None, context.step, context.branch, context.timestamps)

    def channel(self) -> Channel:
        return Channel(self.build.writer, self.label(), touch=self.context.scope.touch)

    def log(self, text: str) -> None:
        self.context.scope.touch()
        self.build.writer.line(text, self.label())

    def log_error(self, error: BaseException, where: str = "") -> None:
        """One line for an error, the first time it is met on its way up."""
        if self.build.first_met(error):
            self.log(f"ERROR{where}: {sentence_of(error)}")

    def evaluate(self, expression: Expression) -> Any:
        return self.interpreter.evaluate(expression)

    def text(self, expression: Expression | None, default: str = "") -> str:
        return default if expression is None else text_of(self.evaluate(expression))

    def run_steps(self, steps: Sequence[Step]) -> Any:
        """Declarative steps one after the other."""
        value: Any = None
        for step in steps:
            value = self._run_step(step)
        return value

    def _run_step(self, step: Step) -> Any:
        if step.script is not None:
            self.check()
            return self.interpreter.execute(step.script)
        body: Callable[[], Any] | None = None
        if step.body is not None:
            steps = step.body

            def body() -> Any:
                return self.run_steps(steps)

        args = [self.evaluate(a) for a in step.args]
        named = {n.name if isinstance(n.name, str) else self.text(n.name): self.evaluate(n.value) for n in step.named}
        return self.interpreter.run_step(step.name, args, named, body, step.position)

    def call_step(
        self,
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        body: Callable[[], Any] | None,
        position: Position,
    ) -> Any:
        """One step: the single door for declarative steps and for scripts."""
        self.check()
        run = self.steps.get(name)
        if run is None:
            raise NotRunnable(not_runnable(name), position)
        with self.within(step=self.build.next_step()):
            try:
                return run(self, StepCall(name, args, named, body, position))
            except OSError as error:
                raise StepFailed(sentence_of(error)) from error


def sentence_of(error: BaseException) -> Sentence:
    """What a person reads of an error that ended a stage or the build."""
    if isinstance(error, GroovyError | NotRunnable):
        return error.sentence
    if isinstance(error, OSError):
        full = disk_sentence(error)
        if full is not None:
            return full
        if error.filename:
            return S(
                "%(path)s: %(reason)s.", path=str(error.filename)[-200:], reason=error.strerror or type(error).__name__
            )
        return S("The system refused: %(reason)s.", reason=error.strerror or type(error).__name__)
    if isinstance(error, RecursionError):
        return S("The pipeline is nested too deeply.")
    sentence = getattr(error, "sentence", None)
    if isinstance(sentence, Sentence):
        return sentence
    return S("The builder met an error of its own: %(error)s.", error=f"{type(error).__name__}: {error}"[:300])
