"""Reads the steps of a declarative block and checks what Jenkins checks of them."""

from __future__ import annotations

from .groovy import nodes as n
from .model import Stage, Step
from .reading import Reader, as_named, block_of
from .signatures import check_invocation
from .steps import BLOCKED_STEPS, SIGNATURES

# A `step([$class: 'X'])` keeps its map; any other map as the only argument is the step's named arguments.
_META = "$class"


def read_steps(reader: Reader, closure: n.Closure, position: n.Position) -> tuple[Step, ...]:
    """The steps of a branch; an empty one is an error at `position`."""
    if not closure.body:
        reader.error(position, "No steps specified for branch")
    return _steps(reader, closure)


def _steps(reader: Reader, closure: n.Closure) -> tuple[Step, ...]:
    found = (_step(reader, statement) for statement in closure.body)
    return tuple(step for step in found if step is not None)


def _step(reader: Reader, statement: n.Statement) -> Step | None:
    call = reader.call(statement)
    if call is None:
        reader.error(statement.position, "Expected a step")
        return None
    name = reader.name(call)
    if name is None:
        return None
    closure = block_of(call)
    if name == "script":
        if closure is None:
            reader.error(call.position, "Script step without a block")
            return None
        return Step("script", call.position, script=closure.body)
    if name in BLOCKED_STEPS:
        reader.error(
            call.position, 'Invalid step "%(name)s" used - not allowed in this context - %(why)s',
            name=name, why=BLOCKED_STEPS[name],
        )  # fmt: skip
        return None
    args: tuple[n.Expression, ...] = call.args
    named = call.named
    body: tuple[Step, ...] | None = None
    if closure is not None:
        args = args[:-1]
        body = _steps(reader, closure)
    sole = next(iter(args)) if len(args) == 1 and not named else None
    if isinstance(sole, n.MapLiteral) and sole.entries and not _is_meta(sole):
        args, named = (), as_named(sole)
    step = Step(name, call.position, args, named, body=body)
    if (signature := SIGNATURES.get(name)) is not None:
        check_invocation(reader, step, signature)
    return step


def _is_meta(value: n.MapLiteral) -> bool:
    return any(not isinstance(key, n.Literal) or key.value == _META for key, _ in value.entries)


def read_parallel_step(reader: Reader, closure: n.Closure) -> tuple[tuple[Stage, ...], bool] | None:
    """The older `steps { parallel(a: { … }, failFast: true) }` as stages, and failFast; None for any other block."""
    call = reader.call(closure.body[0]) if len(closure.body) == 1 else None
    if call is None or call.target is not None or call.name != "parallel":
        return None
    items = call.named
    if not items and len(call.args) == 1 and isinstance(call.args[0], n.MapLiteral):
        items = as_named(call.args[0])
    branches: list[Stage] = []
    fail_fast = False
    for item in items:
        if item.name == "failFast":
            fail_fast = _fail_fast(reader, item)
        elif not isinstance(item.value, n.Closure):
            reader.error(item.position, "Expected closure or failFast")
        elif not isinstance(item.name, str):
            reader.error(item.position, "Expected string literal")
        else:
            steps = read_steps(reader, item.value, item.position)
            branches.append(Stage(item.name, item.position, steps=steps))
    if not branches:
        reader.error(call.position, "No steps specified for branch")
    names = [branch.name for branch in branches]
    for branch in branches:
        if names.count(branch.name) > 1 and names.index(branch.name) != branches.index(branch):
            reader.error(branch.position, 'Duplicate parallel branch name: "%(name)s"', name=branch.name)
    return tuple(branches), fail_fast


def _fail_fast(reader: Reader, item: n.NamedArgument) -> bool:
    if isinstance(item.value, n.Literal) and isinstance(item.value.value, bool):
        return item.value.value
    reader.error(item.position, "Expected a boolean with %(name)s", name="failFast")
    return False
