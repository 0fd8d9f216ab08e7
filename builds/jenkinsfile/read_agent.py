"""Reads `agent`, `tools`, `environment`, `libraries`: where and with what a stage runs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .groovy import nodes as n
from .model import Agent, EnvironmentEntry, Tool
from .reading import Reader, as_map, block_of, listed

BARE_AGENTS = ("any", "none")
# Kinds with the options they need and those they know; None where a plugin decides.
AGENTS: Mapping[str, tuple[frozenset[str], frozenset[str] | None]] = {
    "label": (frozenset({"label"}), frozenset({"label"})),
    "node": (frozenset({"label"}), frozenset({"label", "customWorkspace", "retries"})),
    "docker": (
        frozenset({"image"}),
        frozenset({
            "image", "alwaysPull", "args", "containerPerStageRoot", "customWorkspace", "label",
            "registryCredentialsId", "registryUrl", "reuseNode",
        }),
    ),
    "dockerfile": (
        frozenset(),
        frozenset({
            "additionalBuildArgs", "args", "containerPerStageRoot", "customWorkspace", "dir", "filename", "label",
            "registryCredentialsId", "registryUrl", "reuseNode",
        }),
    ),
    "kubernetes": (frozenset(), None),
}  # fmt: skip
_ALL_AGENTS = ("any", "docker", "dockerfile", "kubernetes", "label", "node", "none")
_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_BARE = 'Only "agent none", "agent any" or "agent {...}" are allowed.'


def read_agent(reader: Reader, call: n.Call) -> Agent | None:
    """`agent any`, `agent { kind … }`."""
    closure = block_of(call)
    if closure is None:
        return _bare_agent(reader, call)
    if not closure.body:
        reader.error(call.position, "Expected an agent")
        return None
    if len(closure.body) > 1:
        reader.error(call.position, "Only one agent type is allowed per agent section")
        return None
    kind_call = reader.call(closure.body[0])
    if kind_call is None:
        reader.error(closure.body[0].position, "Expected an agent")
        return None
    kind = reader.name(kind_call)
    return None if kind is None else _agent_kind(reader, kind, kind_call)


def _bare_agent(reader: Reader, call: n.Call) -> Agent | None:
    if not call.args and not call.named:
        reader.error(call.position, "No argument for agent")
        return None
    value = call.args[0] if len(call.args) == 1 and not call.named else None
    word = None if value is None else reader.text(value)
    if word in BARE_AGENTS and value is not None:
        return Agent(str(word), value.position)
    reader.error(call.position, _BARE)
    return None


def _agent_kind(reader: Reader, kind: str, call: n.Call) -> Agent | None:
    if kind in BARE_AGENTS:
        return Agent(kind, call.position)
    if kind not in AGENTS:
        reader.error(
            call.position, 'Invalid agent type "%(kind)s" specified. Must be one of %(known)s',
            kind=kind, known=listed(_ALL_AGENTS),
        )  # fmt: skip
        return None
    if len(call.args) == 1 and isinstance(call.args[0], n.Closure) and not call.named:
        kind = "node" if kind == "label" else kind
        options = _closure_map(reader, call.args[0])
        required, known = AGENTS[kind]
        for name in sorted(required - set(options)):
            reader.error(
                call.position, 'Missing required parameter for agent type "%(kind)s": %(name)s', kind=kind, name=name
            )
        for name, item in options.items():
            if known is not None and name not in known:
                reader.error(
                    item.position,
                    'Invalid config option "%(name)s" for agent type "%(kind)s". Valid config options are %(known)s',
                    name=name, kind=kind, known=listed(sorted(known)),
                )  # fmt: skip
        _check_dockerfile(reader, kind, options)
        return Agent(kind, call.position, None, tuple(options.values()))
    if kind == "dockerfile" and len(call.args) == 1 and isinstance(call.args[0], n.Literal):
        return Agent(kind, call.position, call.args[0])
    value = reader.single(call, 'No argument for map key "%(name)s"', 'Too many arguments for map key "%(name)s"')
    return None if value is None else Agent(kind, call.position, value)


def _check_dockerfile(reader: Reader, kind: str, options: Mapping[str, n.NamedArgument]) -> None:
    item = options.get("filename") if kind == "dockerfile" else None
    name = item.value.value if item and isinstance(item.value, n.Literal) else None
    if item and isinstance(name, str) and ("/" in name or "\\" in name):
        reader.error(item.value.position, "Dockerfile filename cannot contain directory separators.")


def _closure_map(reader: Reader, closure: n.Closure) -> dict[str, n.NamedArgument]:
    options: dict[str, n.NamedArgument] = {}
    for statement in closure.body:
        call = reader.call(statement)
        if call is None:
            reader.error(statement.position, "Expected to find 'someKey \"someValue\"'")
            continue
        name = reader.name(call)
        if name is None:
            continue
        none, many = 'No argument for map key "%(name)s"', 'Too many arguments for map key "%(name)s"'
        value = reader.single(call, none, many)
        if isinstance(value, n.Closure):
            value = as_map(value.position, tuple(_closure_map(reader, value).values()))
        if value is not None:
            options[name] = n.NamedArgument(call.position, name, value)
    return options


def read_tools(reader: Reader, call: n.Call) -> tuple[Tool, ...]:
    """`tools { maven 'name' }`."""
    closure = reader.block(call, "tools")
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "No tools specified")
    tools: list[Tool] = []
    for statement in closure.body:
        item = reader.call(statement)
        if item is None:
            reader.error(statement.position, "Expected to find 'someTool \"someVersion\"'")
            continue
        kind = reader.name(item)
        if kind is None:
            continue
        none, many = 'No argument for tool "%(name)s"', 'Too many arguments for tool "%(name)s"'
        value = reader.single(item, none, many)
        if value is not None:
            tools.append(Tool(kind, value, item.position))
    return tuple(tools)


def read_libraries(reader: Reader, call: n.Call) -> tuple[n.Expression, ...]:
    """`libraries { lib('name@version') }`."""
    closure = reader.block(call, "libraries")
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "%(section)s can not be empty", section="libraries")
    found: list[n.Expression] = []
    for statement in closure.body:
        item = reader.call(statement)
        fits = item is not None and item.target is None and item.name == "lib" and not item.named
        if item is None or not fits or len(item.args) != 1 or isinstance(item.args[0], n.Closure):
            reader.error(
                statement.position, 'Expected a "lib(...)" but got %(text)s', text=reader.snippet(statement.position)
            )
        else:
            found.append(item.args[0])
    return tuple(found)


def read_environment(reader: Reader, call: n.Call) -> tuple[EnvironmentEntry, ...]:
    """`environment { NAME = value }`."""
    closure = reader.block(call, "environment")
    if closure is None:
        return ()
    if not closure.body:
        reader.error(call.position, "No variables specified for environment")
    entries: dict[str, EnvironmentEntry] = {}
    for statement in closure.body:
        entry = _environment_entry(reader, statement)
        if entry is None:
            continue
        if entry.name in entries:
            reader.error(entry.position, 'Duplicate environment variable name: "%(name)s"', name=entry.name)
        else:
            entries[entry.name] = entry
    return tuple(entries.values())


def _environment_entry(reader: Reader, statement: n.Statement) -> EnvironmentEntry | None:
    expression = statement.expression if isinstance(statement, n.ExpressionStatement) else None
    if not (isinstance(expression, n.Assign) and expression.operator == "="):
        reader.error(
            statement.position,
            '"%(text)s" is not a valid environment expression. Use "key = value" pairs with valid Java/shell keys.',
            text=reader.snippet(statement.position),
        )
        return None
    name = expression.target.name if isinstance(expression.target, n.Variable) else None
    if name is None or not _IDENTIFIER.fullmatch(name):
        reader.error(
            statement.position,
            '"%(name)s" is not a valid identifier and cannot be used for an environment variable. Identifiers must '
            "start with a letter or underscore and can contain only letters, numbers or underscores.",
            name=name or reader.snippet(statement.position).split("=")[0].strip(),
        )
        return None
    if not _environment_value(reader, expression.value):
        return None
    return EnvironmentEntry(name, expression.value, statement.position)


def _environment_value(reader: Reader, value: n.Expression) -> bool:
    if isinstance(value, n.Literal | n.GString):
        return True
    if isinstance(value, n.Call):
        return _environment_call(reader, value)
    if isinstance(value, n.Binary):
        return _concatenation(reader, value)
    reader.error(value.position, "Environment variable values must either be strings or function calls.")
    return False


def _environment_call(reader: Reader, call: n.Call) -> bool:
    if call.target is None and call.name == "$" and block_of(call) is not None:
        reader.error(
            call.position, '%(text)s cannot be used as a value directly. Did you mean "%(text)s"?',
            text=reader.snippet(call.position),
        )  # fmt: skip
        return False
    plain = not call.named and all(isinstance(arg, n.Literal | n.GString) for arg in call.args)
    if call.target is None and call.name == "credentials" and not plain:
        reader.error(call.position, "Internal function call parameters must be strings.")
        return False
    return True


def _concatenation(reader: Reader, value: n.Binary) -> bool:
    expression: n.Expression = value
    while isinstance(expression, n.Binary):
        if expression.operator != "+":
            reader.error(expression.position, "Environment variable values can only be joined together with '+'s.")
            return False
        if not isinstance(expression.right, n.Literal | n.GString):
            return _no_string(reader, expression.right)
        expression = expression.left
    return True if isinstance(expression, n.Literal | n.GString) else _no_string(reader, expression)


def _no_string(reader: Reader, value: n.Expression) -> bool:
    reader.error(
        value.position, "Environment variable values to be concatenated together must be single or double quoted."
    )
    return False
