"""Runs git as a careful guest: clean environment, argv lists, time and output limits, and errors people understand.

Everything that calls git goes through here, so that no prompt, hook, user configuration or transport nobody asked for
can slip in. It must not know what the commands mean.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .git_complaints import explain

# Every call gets these; the repository's own configuration cannot override them.
BASE_CONFIG: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.directory", "*"),
    ("protocol.ext.allow", "never"),
    ("protocol.file.allow", "user"),
    ("advice.detachedHead", "false"),
)
STDERR_MAX = 64 * 1024
# A constant: the limit and the command arrive as arguments, never inside the text.
_LIMITED = 'ulimit -f "$1" && shift && exec "$@"'


def clean_env(
    config: Sequence[tuple[str, str]] = (), *, transports: str = "", extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment for a git process: nothing of ours but PATH and TMPDIR, no prompts, no user settings.

    `transports` lists what git may speak ("http:https"), nothing by default. `config` goes through GIT_CONFIG_COUNT,
    so that a secret in it shows neither in argv nor in a log.
    """
    env = {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "TMPDIR": tempfile.gettempdir(),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": transports or "none",
    }
    pairs = [*BASE_CONFIG, *config]
    env["GIT_CONFIG_COUNT"] = str(len(pairs))
    for index, (key, value) in enumerate(pairs):
        env[f"GIT_CONFIG_KEY_{index}"] = key
        env[f"GIT_CONFIG_VALUE_{index}"] = value
    env.update(extra or {})
    return env


@dataclass(frozen=True, slots=True)
class Answer:
    """How a git call ended; `truncated` says that it was stopped because it wrote more than was asked for."""

    code: int
    out: bytes
    err: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Git:
    """Git on this machine. `timeout` in seconds and `max_output` in bytes hold for calls that say nothing else."""

    program: str = "git"
    timeout: float = 20.0
    max_output: int = 32 << 20

    def run(
        self,
        *args: str,
        repository: Path | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Standard output of a call that must succeed. Raises the AppError that fits git's complaint."""
        answer = self.ask(*args, repository=repository, stdin=stdin, timeout=timeout, env=env)
        if answer.code != 0:
            raise explain(answer.err, code=answer.code)
        if answer.truncated:
            raise Rejected(S("Git answered with more data than is reasonable here."), code="git_output_too_large")
        return answer.out

    def ask(
        self,
        *args: str,
        repository: Path | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        max_output: int | None = None,
        env: Mapping[str, str] | None = None,
        max_file: int = 0,
    ) -> Answer:
        """How the call ended, whatever it was. Raises Unavailable when git is missing or takes longer than allowed.

        `max_file` (bytes) stops any file, such as a pack that is being fetched, from growing further.
        """
        where = [f"--git-dir={repository}"] if repository else []
        argv = [self.program, *where, *args]
        if max_file:
            argv = ["/bin/sh", "-c", _LIMITED, "sh", str(max(1, max_file // 512)), *argv]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env) if env is not None else clean_env(),
                start_new_session=True,
            )
        except OSError as error:
            raise cannot_start(error) from error
        seconds = self.timeout if timeout is None else timeout
        try:
            return _converse(process, stdin, time.monotonic() + seconds, max_output or self.max_output)
        except TimeoutError:
            raise Unavailable(
                S("Git took longer than %(seconds)s s and was stopped.", seconds=round(seconds)), code="git_timeout"
            ) from None
        finally:
            end(process)


def _converse(process: subprocess.Popen[bytes], stdin: bytes, deadline: float, max_output: int) -> Answer:
    """Feed and read all three pipes at once, so that no full pipe can block the other; TimeoutError at `deadline`."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    out, err = bytearray(), bytearray()
    todo = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        if todo:
            selector.register(process.stdin, selectors.EVENT_WRITE, None)
        else:
            process.stdin.close()
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(left):
                if key.data is None:
                    todo = _feed(process, todo)
                    if not todo:
                        selector.unregister(process.stdin)
                        with contextlib.suppress(BrokenPipeError):
                            process.stdin.close()
                    continue
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.data is out:
                    out += chunk
                    if len(out) > max_output:
                        return Answer(0, bytes(out[:max_output]), err.decode(errors="replace"), truncated=True)
                elif len(err) < STDERR_MAX:
                    err += chunk
    try:
        code = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return Answer(code, bytes(out), err.decode(errors="replace"))


def _feed(process: subprocess.Popen[bytes], todo: memoryview) -> memoryview:
    assert process.stdin
    try:
        return todo[os.write(process.stdin.fileno(), todo[:65536]) :]
    except BrokenPipeError:
        return todo[:0]  # git made up its mind without reading the rest; its exit code tells
    except BlockingIOError:
        return todo


def cannot_start(error: OSError) -> Unavailable:
    sentence = S("Git cannot be started on this machine: %(reason)s.", reason=error.strerror or "?")
    return Unavailable(sentence, code="git_missing")


def end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the call survives it: its whole group is told to go (git removes its lock files), then killed."""
    if process.poll() is None:
        for wanted, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, wanted)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
