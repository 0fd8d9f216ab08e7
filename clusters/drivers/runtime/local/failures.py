"""Why a goal is given up, as one sentence with evidence. Must not do anything about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from clusters.drivers.process import procfs
from clusters.drivers.runtime.base import Failure, Wanted
from fangduoduo_release.common.errors import DriverError
from fangduoduo_release.common.sentence import S, Sentence

from .instances import LocalInstance
from .logs import last_lines

CRASHES = 3


def of_instance(instance: LocalInstance, wanted: Wanted) -> Failure | None:
    """Why this instance will not become ready; None while it still may."""
    status = instance.status
    if status is None or status.ready:
        return None
    if status.reason == "cannot_start":
        program = wanted.spec.command[0][:200]
        sentence = S("The program “%(program)s” could not be started: %(reason)s.", program=program,
                     reason=status.detail)  # fmt: skip
        return _failure("missing_command", sentence, instance)
    if status.restarts >= CRASHES:
        return _failure("crash_loop", _crashed(instance), instance)
    if instance.age_s > wanted.spec.start_deadline_s:
        return _too_late(instance, wanted)
    return None


def port_taken(instance: LocalInstance) -> Failure:
    sentence = S("Port %(port)d was taken by another process, as were the ports tried before.",
                 port=instance.record.port)  # fmt: skip
    return _failure("port_taken", sentence, instance)


def rejected(error: DriverError) -> Failure:
    return Failure(error.code, error.sentence, error.evidence)


def as_json(failure: Failure) -> dict[str, Any]:
    return asdict(failure)


def from_json(data: dict[str, Any] | None) -> Failure | None:
    if not data:
        return None
    return Failure(
        data["code"], Sentence.from_json(data["sentence"]), data["evidence"], data["exit_code"], data["exit_signal"]
    )


def _crashed(instance: LocalInstance) -> Sentence:
    status = instance.status
    assert status is not None
    if status.reason in ("liveness", "startup"):
        return S("The process was restarted %(times)d times because its %(check)s check failed: %(reason)s.",
                 times=status.restarts, check=status.reason, reason=status.detail)  # fmt: skip
    if status.exit_signal is not None:
        return S("The process ended %(times)d times before it was ready, last by signal %(number)d.",
                 times=status.restarts, number=status.exit_signal)  # fmt: skip
    return S("The process ended %(times)d times before it was ready, last with exit code %(code)d.",
             times=status.restarts, code=status.exit_code or 0)  # fmt: skip


def _too_late(instance: LocalInstance, wanted: Wanted) -> Failure:
    status = instance.status
    assert status is not None
    port, seconds = instance.record.port, wanted.spec.start_deadline_s
    held = procfs.listening_ports([status.pid, *procfs.descendants(status.pid)]) if status.pid else set()
    if wanted.spec.port_name and status.pid and port not in held:
        if held:
            sentence = S("The process listens on port %(actual)d, not on the port it was given in PORT (%(port)d).",
                         actual=min(held), port=port)  # fmt: skip
        else:
            sentence = S("The process runs but did not listen on its port (PORT, %(port)d) within %(seconds)g seconds.",
                         port=port, seconds=seconds)  # fmt: skip
        return _failure("no_port", sentence, instance)
    sentence = S("The service did not become ready within %(seconds)g seconds: %(reason)s.", seconds=seconds,
                 reason=status.detail or "?")  # fmt: skip
    return _failure("not_ready", sentence, instance)


def _failure(code: str, sentence: Sentence, instance: LocalInstance) -> Failure:
    status = instance.status
    return Failure(
        code=code,
        sentence=sentence,
        evidence=last_lines(instance.path, 50),
        exit_code=status.exit_code if status else None,
        exit_signal=status.exit_signal if status else None,
    )
