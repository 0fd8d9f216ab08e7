"""What a declarative pipeline says, as frozen data: the border between the language and whoever runs it.

Expressions stay Groovy nodes; whoever runs the pipeline evaluates them with `groovy.evaluate.Interpreter` when their
turn comes. Knows nothing of builds, agents or Django.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from fangduoduo_release.common.sentence import Sentence

from .groovy.nodes import Closure, Expression, NamedArgument, Position, Statement


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning at its place."""

    line: int
    column: int
    message: Sentence


@dataclass(frozen=True, slots=True)
class Invocation:
    """`name(args)` or `name key: value`: the shape shared by steps, options, triggers, parameters and conditions.

    `args` are the positional arguments without the trailing closure that a step has as its body.
    """

    name: str
    position: Position
    args: tuple[Expression, ...] = ()
    named: tuple[NamedArgument, ...] = ()

    def argument(self, name: str, index: int | None = 0) -> Expression | None:
        """The expression given for `name`, or positionally at `index`; None when it is not given."""
        for item in self.named:
            if item.name == name:
                return item.value
        if index is not None and index < len(self.args):
            return self.args[index]
        return None


@dataclass(frozen=True, slots=True)
class Step(Invocation):
    """One step. `body` holds the steps of a block step (`dir('x') { … }`), else None.

    `script` holds the Groovy statements of `script { … }` (then `name` is "script" and `body` is None).
    """

    body: tuple[Step, ...] | None = None
    script: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """`agent any` has kind "any"; `agent { label 'x' }` kind "label" and `value`.

    `docker 'x'` and `docker { image 'x' }` both give kind "docker"; the first has `value`, the second `options`.
    """

    kind: str
    position: Position
    value: Expression | None = None
    options: tuple[NamedArgument, ...] = ()

    def option(self, name: str) -> Expression | None:
        """The expression of one option, or None."""
        return next((item.value for item in self.options if item.name == name), None)


@dataclass(frozen=True, slots=True)
class EnvironmentEntry:
    """`NAME = value`; `credentials('id')` stays a Call in `value`."""

    name: str
    value: Expression
    position: Position


@dataclass(frozen=True, slots=True)
class Tool:
    """`maven 'name'` in `tools`."""

    kind: str
    value: Expression
    position: Position


@dataclass(frozen=True, slots=True)
class Parameter(Invocation):
    """One build parameter: `name` is its kind (string, text, booleanParam, choice, password, credentials, file, …)."""

    @property
    def kind(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Option(Invocation):
    """One entry of `options`."""


@dataclass(frozen=True, slots=True)
class Trigger(Invocation):
    """One entry of `triggers`."""


@dataclass(frozen=True, slots=True)
class Condition(Invocation):
    """One condition of `when`: branch, environment, expression, not, allOf, anyOf, changeset, tag, …

    `children` for not/allOf/anyOf; `closure` for `expression { … }`.
    """

    children: tuple[Condition, ...] = ()
    closure: Closure | None = None


@dataclass(frozen=True, slots=True)
class When:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]
    position: Position
    before_agent: bool = False
    before_input: bool = False
    before_options: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """The `input` directive of a stage; id, ok, submitter and submitterParameter are in `options`."""

    message: Expression
    position: Position
    options: tuple[NamedArgument, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def option(self, name: str) -> Expression | None:
        """The expression of one option, or None."""
        return next((item.value for item in self.options if item.name == name), None)


@dataclass(frozen=True, slots=True)
class PostCondition:
    """One condition of `post` with its steps. `POST_ORDER` says in which order they run."""

    name: str
    steps: tuple[Step, ...]
    position: Position


POST_ORDER = (
    "always", "changed", "fixed", "regression", "aborted", "failure", "success", "unstable", "unsuccessful",
    "notBuilt", "cleanup",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """`axis { name 'OS' values 'a', 'b' }`; in an exclude `negated` is True for `notValues`."""

    name: str
    values: tuple[str, ...]
    position: Position
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Exclude:
    """A cell is left out when every axis named here matches."""

    axes: tuple[Axis, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Matrix:
    """`matrix { axes … excludes … stages … }`; the directives in between apply to each cell."""

    axes: tuple[Axis, ...]
    excludes: tuple[Exclude, ...]
    cell: Stage
    position: Position

    def cells(self) -> Iterator[dict[str, str]]:
        """Every combination of axis values that is not excluded, the first axis changing fastest; made one by one."""
        names = [axis.name for axis in self.axes]
        for chosen in product(*(axis.values for axis in reversed(self.axes))):
            values = dict(zip(names, reversed(chosen), strict=True))
            if not any(_excluded(values, exclude) for exclude in self.excludes):
                yield values

    def cell_name(self, values: dict[str, str]) -> str:
        """The name Jenkins gives a cell: `Matrix - OS = 'linux', ARCH = 'arm'`."""
        return "Matrix - " + ", ".join(f"{name} = '{value}'" for name, value in values.items())


# More cells than this are not drawn and do not run in the embedded builder.
MAX_CELLS = 256


def _excluded(values: dict[str, str], exclude: Exclude) -> bool:
    return all((values.get(axis.name) in axis.values) != axis.negated for axis in exclude.axes)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; exactly one of `steps`, `stages`, `parallel`, `matrix` is filled.

    The `cell` of a matrix is a Stage named "" whose `stages` are what each cell runs.
    """

    name: str
    position: Position
    agent: Agent | None = None
    when: When | None = None
    input: Input | None = None
    environment: tuple[EnvironmentEntry, ...] = ()
    tools: tuple[Tool, ...] = ()
    options: tuple[Option, ...] = ()
    steps: tuple[Step, ...] = ()
    stages: tuple[Stage, ...] = ()
    parallel: tuple[Stage, ...] = ()
    matrix: Matrix | None = None
    post: tuple[PostCondition, ...] = ()
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One `pipeline { … }` and the statements around it (`before`: imports, variables, methods; `after`)."""

    position: Position
    agent: Agent
    stages: tuple[Stage, ...]
    environment: tuple[EnvironmentEntry, ...] = ()
    tools: tuple[Tool, ...] = ()
    options: tuple[Option, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    libraries: tuple[Expression, ...] = ()
    post: tuple[PostCondition, ...] = ()
    before: tuple[Statement, ...] = ()
    after: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class StageNode:
    """One stage in the graph as it will be. `kind`: stage, parallel (branches are children), matrix or cell.

    `path` is the chain of names from the top; unique within a pipeline, the key that runs and pages share.
    """

    name: str
    path: tuple[str, ...]
    kind: str
    position: Position
    children: tuple[StageNode, ...] = ()


@dataclass(frozen=True, slots=True)
class ParseResult:
    """`pipeline` is None exactly when there is an error; problems are in the order of the text."""

    pipeline: Pipeline | None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Validation:
    """What a person is told of a text."""

    valid: bool
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    stages: tuple[StageNode, ...] = field(default=())
