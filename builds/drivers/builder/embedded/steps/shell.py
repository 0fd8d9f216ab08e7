"""`sh`: runs a shell script as Jenkins does, and the other steps that concern the shell's surroundings.

The script is a file run by `/bin/sh -xe`, or by the interpreter its first line names.
"""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fangduoduo_release.common.sentence import S

from ..context import Branch, StepCall
from ..control import StepFailed
from ..orphans import BUILD_KEY, STEP_KEY
from ..process import Program, run
from ..sanitise import to_bytes

_STDOUT_LIMIT = 16 * 1024 * 1024
_MIN_FREE = 64 * 1024


def run_logged(branch: Branch, argv: Sequence[str], *, capture: bool = False) -> tuple[int, bytes]:
    """Run a program in the branch's folder with its output in the log; exit code and captured standard output."""
    channel = branch.channel()
    taken = _Taken()
    try:
        code = run(
            _program(branch, branch.folder(), argv, {}),
            branch.context.scope,
            branch.consumed,
            out=taken.keep if capture else channel.write,
            error=channel.write if capture else None,
            leftovers=branch.build.leftovers,
        )
    finally:
        channel.finish()
    return code, bytes(taken.data)


def run_quietly(
    branch: Branch, folder: Path, argv: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, bytes, bytes]:
    """Run a program of ours with nothing in the log: exit code, standard output, standard error."""
    out, error = _Taken(), _Taken()
    program = _program(branch, folder, argv, environment)
    code = run(program, branch.context.scope, branch.consumed, out=out.keep, error=error.keep)
    return code, bytes(out.data), bytes(error.data)


class _Taken:
    """Output kept in memory, up to a limit."""

    def __init__(self) -> None:
        self.data = bytearray()

    def keep(self, data: bytes) -> None:
        self.data.extend(data)
        if len(self.data) > _STDOUT_LIMIT:
            raise StepFailed(S("The output is larger than the %(mib)d MiB a step may return.", mib=16))


def _program(branch: Branch, folder: Path, argv: Sequence[str], extra: Mapping[str, str]) -> Program:
    marks = {BUILD_KEY: branch.build.spec.key, STEP_KEY: str(branch.context.step or 0)}
    environment = {**branch.environment(), "PWD": str(folder), **extra, **marks}
    return Program(argv, folder, _clean(environment), branch.build.spec.limits, marks)


def _clean(environment: dict[str, str]) -> dict[str, str]:
    """Only what the kernel takes as an environment."""
    good = {k: v for k, v in environment.items() if k and "=" not in k and "\0" not in k and "\0" not in v}
    return {_text(k): _text(v) for k, v in good.items()}


def _text(text: str) -> str:
    """Without lone surrogates, which no byte string stands for."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def sh(branch: Branch, call: StepCall) -> Any:
    script = call.text("script", 0)
    capture, status = call.flag("returnStdout"), call.flag("returnStatus")
    encoding = call.text("encoding", default="UTF-8")
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise StepFailed(S("“%(encoding)s” is no character encoding.", encoding=encoding[:40])) from None
    if capture and status:
        raise StepFailed(S("sh: returnStdout and returnStatus cannot be used together."))
    folder = branch.folder()
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    label = call.text("label", default="")
    if label:
        branch.log(f"# {label}")
    if "\0" in script:
        raise StepFailed(S("sh: the script holds a NUL byte."))
    file = branch.build.workspaces.private_file("script.sh", to_bytes(script))
    try:
        code, out = run_logged(branch, _argv(script, str(file)), capture=capture)
    except FileNotFoundError as error:
        raise StepFailed(S("sh: there is no interpreter “%(name)s”.", name=str(error.filename))) from error
    finally:
        branch.build.workspaces.forget_private(file)
    if status:
        return code
    if code:
        raise _failed(branch, code)
    return out.decode(encoding, "replace") if capture else None


def _failed(branch: Branch, code: int) -> StepFailed:
    space = os.statvfs(branch.folder() if branch.folder().is_dir() else branch.build.workspaces.root)
    if space.f_bavail * space.f_frsize < _MIN_FREE:
        return StepFailed(S("The disk is full: the script ended with exit code %(code)d.", code=code))
    return StepFailed(S("script returned exit code %(code)d", code=code))


def _argv(script: str, file: str) -> list[str]:
    first = script.split("\n", 1)[0]
    if not first.startswith("#!"):
        return ["/bin/sh", "-xe", file]
    # As the kernel reads it: the interpreter and at most one argument.
    interpreter, _, argument = first[2:].strip().partition(" ")
    if not interpreter:
        return ["/bin/sh", "-xe", file]
    return [interpreter, *([argument.strip()] if argument.strip() else []), file]


def echo(branch: Branch, call: StepCall) -> None:
    branch.log(call.text("message", 0, default="null"))


def is_unix(branch: Branch, call: StepCall) -> bool:
    branch.folder()
    return True


def with_env(branch: Branch, call: StepCall) -> Any:
    listed = call.get("overrides", 0, [])
    values = {}
    for item in listed if isinstance(listed, list | tuple) else [listed]:
        name, equals, value = str(item).partition("=")
        if not equals or not name or "\0" in str(item):
            raise StepFailed(S("withEnv: “%(item)s” is not NAME=value.", item=shlex.quote(str(item))[:80]))
        values[name] = value
    with branch.within(environment=branch.with_environment(values)):
        return call.run_body()


STEPS = {
    "sh": sh,
    "echo": echo,
    "print": echo,
    "println": echo,
    "isUnix": is_unix,
    "withEnv": with_env,
}
