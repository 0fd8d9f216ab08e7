"""Steps that steer the pipeline: errors, results, time limits, repetition."""

from __future__ import annotations

import threading
from typing import Any

from builds.jenkinsfile.groovy.evaluate import GroovyError, NotRunnable
from fangduoduo_release.common.sentence import S, Sentence

from ..context import Branch, StepCall, sentence_of
from ..control import Fatal, Interrupted, Result, Scope, StepFailed
from ..results import parse_result
from ..values import number_of, seconds_of, spoken, truth


def error(branch: Branch, call: StepCall) -> None:
    raise StepFailed(S("%(message)s", message=call.text("message", 0, default="")))


def unstable(branch: Branch, call: StepCall) -> None:
    message = call.text("message", 0)
    branch.log(f"WARNING: {message}")
    mark(branch, Result.UNSTABLE, Result.UNSTABLE, S("%(message)s", message=message))


def mark(branch: Branch, build: Result, stage: Result, sentence: Sentence | None) -> None:
    """Worsen the build's result and mark the stage."""
    if build > Result.SUCCESS:
        branch.build.result.worsen(build, branch.build.writer.masked_sentence(sentence))
    if branch.context.stage is not None and stage > Result.SUCCESS:
        branch.context.stage.warn(stage, sentence)


def catch_error(branch: Branch, call: StepCall) -> None:
    _catch(branch, call, parse_result(call.get("buildResult", None, "FAILURE") or "SUCCESS"),
           parse_result(call.get("stageResult", None, "SUCCESS") or "SUCCESS"), call.text("message", default=""))  # fmt: skip


def warn_error(branch: Branch, call: StepCall) -> None:
    _catch(branch, call, Result.UNSTABLE, Result.UNSTABLE, call.text("message", 0, default=""))


def _catch(branch: Branch, call: StepCall, build: Result, stage: Result, message: str) -> None:
    interruptions = call.flag("catchInterruptions", default=True)
    try:
        call.run_body()
    except Fatal:
        raise
    except (GroovyError, NotRunnable, OSError) as caught:
        if isinstance(caught, Interrupted):
            if caught.actual and not interruptions:
                raise
            build = stage = caught.result
        said = sentence_of(caught)
        if message:
            branch.log(f"ERROR: {message}")
        branch.log(f"ERROR: {said}")
        mark(branch, build, stage, S("%(message)s", message=message) if message else said)


def sleep(branch: Branch, call: StepCall) -> None:
    seconds = seconds_of(call.get("time", 0), call.get("unit", 1), "SECONDS")
    branch.context.scope.wait(branch.consumed, threading.Event(), seconds)


def timeout(branch: Branch, call: StepCall) -> Any:
    seconds = seconds_of(call.get("time", 0), call.get("unit", 1), "MINUTES")
    return within_time(branch, seconds, call.run_body, activity=call.flag("activity"))


def within_time(branch: Branch, seconds: float, body: Any, *, activity: bool = False) -> Any:
    """Run `body` under a time limit; to what stands around it the interrupt then is an ordinary failure."""
    sentence = S("The time limit of %(limit)s was exceeded.", limit=spoken(seconds))
    scope = Scope(branch.context.scope, seconds=seconds, sentence=sentence, activity=activity)
    try:
        with branch.within(scope=scope):
            return body()
    except Interrupted as interrupted:
        if scope.owns(interrupted):
            interrupted.actual = False
        raise


def retry(branch: Branch, call: StepCall) -> Any:
    count = int(number_of(call.get("count", 0), "count"))
    return again(branch, count, call.run_body)


def again(branch: Branch, count: int, body: Any) -> Any:
    """Run `body` up to `count` times until it does not fail. A cancel is not retried."""
    left = max(1, count)
    while True:
        try:
            return body()
        except (GroovyError, OSError) as failed:
            left -= 1
            if left <= 0 or (isinstance(failed, Interrupted) and failed.actual):
                raise
            branch.log(f"ERROR: {sentence_of(failed)}")
            branch.log("Retrying")
            branch.check()


def wait_until(branch: Branch, call: StepCall) -> None:
    pause = 0.25
    while not truth(call.run_body()):
        branch.context.scope.wait(branch.consumed, threading.Event(), pause)
        pause = min(15.0, pause * 1.2)


def timestamps(branch: Branch, call: StepCall) -> Any:
    with branch.within(timestamps=True):
        return call.run_body()


def just_run(branch: Branch, call: StepCall) -> Any:
    """Blocks that mean nothing here: colours are always kept."""
    return call.run_body()


def script(branch: Branch, call: StepCall) -> Any:
    return call.run_body()


STEPS = {
    "error": error,
    "unstable": unstable,
    "catchError": catch_error,
    "warnError": warn_error,
    "sleep": sleep,
    "timeout": timeout,
    "retry": retry,
    "waitUntil": wait_until,
    "timestamps": timestamps,
    "ansiColor": just_run,
    "script": script,
}
