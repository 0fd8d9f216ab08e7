"""Reads `options`, `parameters`, `triggers`, `input` and `post`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .groovy import nodes as n
from .model import POST_ORDER, Input, Option, Parameter, PostCondition, Step, Trigger
from .reading import Reader, block_of, listed
from .rules_parameters import check_parameter

# Options that Jenkins and the plugins every Jenkins has know.
STAGE_OPTIONS = frozenset({"skipDefaultCheckout", "timeout", "retry", "timestamps", "ansiColor", "lock", "withCredentials",
                           "catchError", "warnError", "throttle", "withEnv"})  # fmt: skip
PIPELINE_OPTIONS = frozenset({
    "authorizationMatrix", "buildDiscarder", "catchError", "checkoutToSubdirectory", "disableConcurrentBuilds",
    "disableRestartFromStage", "disableResume", "durabilityHint", "newContainerPerStage", "overrideIndexTriggers",
    "parallelsAlwaysFailFast", "preserveStashes", "quietPeriod", "rateLimitBuilds", "retry", "script",
    "skipDefaultCheckout", "skipStagesAfterUnstable", "timeout", "timestamps", "waitUntil", "warnError",
    "withContext", "withCredentials", "withEnv", "ws",
})  # fmt: skip
# Properties of a whole job: never within a stage.
_JOB_OPTIONS = frozenset({
    "buildDiscarder", "checkoutToSubdirectory", "disableConcurrentBuilds", "disableRestartFromStage", "disableResume",
    "durabilityHint", "newContainerPerStage", "overrideIndexTriggers", "parallelsAlwaysFailFast", "preserveStashes",
    "quietPeriod", "rateLimitBuilds", "skipStagesAfterUnstable",
})  # fmt: skip
# What certainly is no option, however many plugins there are.
_NEVER_OPTIONS = frozenset({
    "agent", "bat", "echo", "environment", "error", "git", "input", "junit", "node", "parallel", "parameters", "post",
    "properties", "sh", "sleep", "stage", "stages", "stash", "steps", "string", "tools", "triggers", "unstash", "when",
    "writeFile", "readFile", "archiveArtifacts", "booleanParam", "choice", "text", "password", "cron", "pollSCM",
})  # fmt: skip
TRIGGERS = frozenset({"cron", "pollSCM", "upstream"})
_INPUT_FIELDS = frozenset({"message", "id", "ok", "submitter", "submitterParameter", "parameters"})

Made = TypeVar("Made", Option, Parameter, Trigger)


def read_options(reader: Reader, call: n.Call, *, stage: bool) -> tuple[Option, ...]:
    """`options { timeout(time: 1) }`."""
    options = _definitions(reader, call, "options", "Options", "Expected an option", Option)
    _unique(reader, options, 'Duplicate option name: "%(name)s"')
    known = STAGE_OPTIONS if stage else PIPELINE_OPTIONS
    for option in options:
        if option.name in _NEVER_OPTIONS or (stage and option.name in _JOB_OPTIONS):
            reader.error(
                option.position, 'Invalid option type "%(name)s". Valid option types: %(known)s',
                name=option.name, known=listed(sorted(known)),
            )  # fmt: skip
        elif option.name not in known:
            reader.warn(
                option.position,
                "The option “%(name)s” comes from a Jenkins plugin; the embedded builder ignores it. Known are %(known)s.",
                name=option.name, known=listed(sorted(known)),
            )  # fmt: skip
    return options


def read_triggers(reader: Reader, call: n.Call) -> tuple[Trigger, ...]:
    """`triggers { cron('@daily') }`."""
    triggers = _definitions(reader, call, "triggers", "Triggers", "Expected a trigger", Trigger)
    _unique(reader, triggers, 'Duplicate trigger name: "%(name)s"')
    for trigger in triggers:
        if trigger.name in _NEVER_OPTIONS - TRIGGERS:
            reader.error(
                trigger.position, 'Invalid trigger type "%(name)s". Valid trigger types: %(known)s',
                name=trigger.name, known=listed(sorted(TRIGGERS)),
            )  # fmt: skip
        else:
            reader.warn(
                trigger.position, "The trigger “%(name)s” is Jenkins' own; the embedded builder does not follow it.",
                name=trigger.name,
            )  # fmt: skip
    return triggers


def read_parameters(reader: Reader, call: n.Call) -> tuple[Parameter, ...]:
    """`parameters { string(name: 'X') }`."""
    missing = "Expected a build parameter definition"
    parameters = _definitions(reader, call, "parameters", "Build parameters", missing, Parameter)
    for parameter in parameters:
        check_parameter(reader, parameter)
    return parameters


def _definitions(
    reader: Reader, call: n.Call, section: str, plural: str, expected: str, make: type[Made]
) -> tuple[Made, ...]:
    closure = reader.block(call, section)
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "%(section)s can not be empty", section=section)
    found: list[Made] = []
    for statement in closure.body:
        item = reader.call(statement)
        if item is None:
            if isinstance(statement, n.ExpressionStatement) and isinstance(statement.expression, n.MapLiteral):
                reader.error(statement.position, "%(what)s cannot be defined as maps", what=plural)
            else:
                reader.error(statement.position, expected)
            continue
        name = reader.name(item)
        if name is None:
            continue
        if block_of(item) is not None:
            reader.error(item.position, "%(what)s definitions cannot have blocks", what=plural)
        elif not reader.mixed(item) and _no_closures(reader, item):
            found.append(make(name, item.position, item.args, item.named))
    return tuple(found)


def _no_closures(reader: Reader, call: n.Call) -> bool:
    values = [*call.args, *(item.value for item in call.named)]
    for value in values:
        if isinstance(value, n.Closure):
            reader.error(value.position, "Method call arguments cannot use closures")
            return False
        if isinstance(value, n.Call) and value.target is None and not _no_closures(reader, value):
            return False
    return True


def _unique(reader: Reader, items: tuple[Made, ...], msgid: str) -> None:
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            reader.error(item.position, msgid, name=item.name)
        seen.add(item.name)


def read_input(reader: Reader, call: n.Call) -> Input | None:
    """The `input { message '…' }` of a stage."""
    closure = reader.block(call, "input")
    if closure is None:
        return None
    message: n.Expression | None = None
    options: list[n.NamedArgument] = []
    parameters: tuple[Parameter, ...] = ()
    invalid = 'Not a valid section definition: "%(text)s". Some extra configuration is required.'
    known_errors = len(reader.errors)
    for name, item in reader.sections(closure.body, invalid):
        if name == "parameters":
            parameters = read_parameters(reader, item)
            continue
        if name not in _INPUT_FIELDS:
            reader.error(item.position, 'Not a valid field for input: "%(name)s"', name=name)
            continue
        none, many = 'No argument for field "%(name)s"', 'Too many arguments for field "%(name)s"'
        value = reader.single(item, none, many)
        if value is not None and name == "message":
            message = value
        elif value is not None:
            options.append(n.NamedArgument(item.position, name, value))
    if message is None:
        if len(reader.errors) == known_errors:
            reader.error(call.position, "No message specified for input")
        return None
    return Input(message, call.position, tuple(options), parameters)


def read_post(
    reader: Reader, call: n.Call, read_steps: Callable[[Reader, n.Closure, n.Position], tuple[Step, ...]]
) -> tuple[PostCondition, ...]:
    """`post { always { … } }`."""
    closure = block_of(call)
    if closure is None:
        reader.error(call.position, "Expected a block")
        return ()
    if not closure.body:
        reader.error(call.position, "%(section)s can not be empty", section="post")
    found: dict[str, PostCondition] = {}
    for statement in closure.body:
        item = reader.call(statement)
        body = None if item is None else block_of(item)
        if item is None or body is None:
            reader.error(
                statement.position,
                "The 'post' section can only contain build condition names with code blocks. "
                "Valid condition names are %(known)s",
                known=listed(POST_ORDER),
            )
            continue
        name = reader.name(item)
        if name is None:
            continue
        if name not in POST_ORDER:
            reader.error(
                item.position, 'Invalid condition "%(name)s" - valid conditions are %(known)s',
                name=name, known=listed(POST_ORDER),
            )  # fmt: skip
        elif name in found:
            reader.error(item.position, 'Duplicate build condition name: "%(name)s"', name=name)
        steps = read_steps(reader, body, item.position)
        found.setdefault(name, PostCondition(name, steps, item.position))
    return tuple(found.values())
