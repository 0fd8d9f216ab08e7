"""Visits to running instances: a command run beside one, an active check of each, a word on what is going on.

Must not change anything about the instances.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clusters.drivers.process import procfs
from clusters.drivers.process.shim_probe import SocketAttempt
from clusters.drivers.runtime.base import ExecResult, Instance, ProbeResult
from fangduoduo_release.common.errors import AppError, Invalid, NotFound, Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .instances import LocalInstance, substitute

MOST_OUTPUT = 1024 * 1024


def run_beside(pid: int, argv: list[str], timeout_s: float) -> ExecResult:
    """Run `argv` with the environment and in the directory of `pid`; its whole group ends with it."""
    if not argv or any("\0" in word for word in argv):
        raise Invalid(S("A command needs a program and no NUL characters."), code="bad_command")
    env = procfs.environment(pid)
    try:
        cwd = Path(f"/proc/{pid}/cwd").readlink()
        process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, bufsize=0,
        )  # fmt: skip
    except FileNotFoundError as error:
        if not env:
            raise NotFound(S("The instance has just ended.")) from error
        raise Rejected(
            S("There is no program “%(program)s”.", program=argv[0][:200]), code="missing_command"
        ) from error
    except OSError as error:
        raise Rejected(
            S("“%(program)s” cannot be run: %(reason)s.", program=argv[0][:200], reason=error.strerror or "?"),
            code="missing_command",
        ) from error
    return _collect(process, time.monotonic() + timeout_s)


def _collect(process: subprocess.Popen[bytes], deadline: float) -> ExecResult:
    assert process.stdout is not None
    assert process.stderr is not None
    output = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    out, err = output.values()
    truncated = timed_out = False
    with selectors.DefaultSelector() as ready, process.stdout, process.stderr:
        for fd in output:
            ready.register(fd, selectors.EVENT_READ)
        while ready.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                timed_out = True
                break
            for key, _ in ready.select(left):
                data = os.read(key.fd, 65536)
                if not data:
                    ready.unregister(key.fd)
                room = MOST_OUTPUT - len(output[key.fd])
                truncated = truncated or len(data) > room
                output[key.fd] += data[:room]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0 if timed_out else max(0.0, deadline - time.monotonic()))
    timed_out = timed_out or process.returncode is None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return ExecResult(process.wait(5), bytes(out), bytes(err), truncated, timed_out)


def probe_all(instances: Sequence[LocalInstance], manifest_text: str, host: str) -> tuple[ProbeResult, ...]:
    """Check each instance once, with the readiness check of the goal (a TCP connect when it has none)."""
    check = json.loads(manifest_text)["spec"]["health"]["readiness"] or {"kind": "tcp", "timeout_s": 1.0, "port": 0}
    deadline = time.monotonic() + 8.0
    return tuple(
        _probe(one, check, host, min(float(check["timeout_s"]), deadline - time.monotonic())) for one in instances
    )


def _probe(instance: LocalInstance, check: dict[str, Any], host: str, timeout_s: float) -> ProbeResult:
    begun = time.monotonic()
    if check["kind"] == "exec":
        status = instance.status
        env = procfs.environment(status.pid) if status else {}
        words = [substitute(word, env) for word in check["command"]]
        try:
            result = run_beside(status.pid if status else 0, words, timeout_s)
            passed, detail = result.exit_code == 0, f"exit code {result.exit_code}"
        except AppError as error:
            passed, detail = False, str(error)
    else:
        path = check["path"] if check["kind"] == "http" else ""
        attempt = SocketAttempt(host, check["port"] or instance.record.port, path, begun + timeout_s)
        while attempt.verdict is None:
            poller = select.poll()
            poller.register(attempt.fd, attempt.events)
            if poller.poll(max(0.0, attempt.deadline - time.monotonic()) * 1000):
                attempt.step(time.monotonic())
            if attempt.verdict is None and time.monotonic() >= attempt.deadline:
                attempt.give_up()
        passed, detail = bool(attempt.verdict), attempt.detail
    took = (time.monotonic() - begun) * 1000
    sentence = None if passed else S("The check does not pass: %(reason)s.", reason=detail)
    return ProbeResult(instance.record.name, passed, took, sentence)


def doing(instances: Sequence[Instance], ready: int, total: int, settled: bool) -> Sentence | None:
    """What a person should read while it goes on."""
    leaving = sum(1 for instance in instances if instance.state in ("draining", "stopping"))
    if settled:
        return None
    if ready < total:
        return S("%(ready)d of %(total)d instances are ready.", ready=ready, total=total)
    if leaving:
        return S("%(count)d old instances finish their requests.", count=leaving)
    return S("The traffic moves to the new instances.")
