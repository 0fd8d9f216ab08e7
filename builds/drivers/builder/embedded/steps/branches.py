"""Steps that scripts use to make stages and branches of their own: `stage`, `parallel`, `node`."""

from __future__ import annotations

from typing import Any

from builds.jenkinsfile.groovy.values import Function
from fangduoduo_release.common.sentence import S

from ..context import Branch, StepCall
from ..control import Fatal, Result, StepFailed
from ..lanes import side_by_side
from ..values import flag_of


def stage(branch: Branch, call: StepCall) -> Any:
    """A stage of the script's own, told of below the declarative stage it runs in."""
    name = branch.build.writer.masked(call.text("name", 0))
    outer = branch.context.stage
    path = (*(outer.path if outer else ()), name)
    report = branch.build.report
    record = report.begin(path, "stage")
    layer = branch.with_environment({"STAGE_NAME": name})
    try:
        with branch.within(stage=record, environment=layer):
            branch.log(f"Stage: {name}")
            value = call.run_body()
    except Exception as error:
        report.end_with(record, error)
        raise
    report.end_with(record, None)
    if outer is not None and record.warning > Result.SUCCESS:
        outer.warn(record.warning, record.sentence)
    return value


def parallel(branch: Branch, call: StepCall) -> None:
    given = dict(call.named)
    if len(call.args) == 1 and isinstance(call.args[0], dict):
        given |= call.args[0]
    fail_fast = flag_of(given.pop("failFast", False))
    lanes = []
    for name, closure in given.items():
        if not isinstance(closure, Function):
            raise StepFailed(S("parallel: “%(name)s” is no block of steps.", name=str(name)[:80]))
        lanes.append((str(name), _lane(closure)))
    error = side_by_side(branch, lanes, fail_fast=fail_fast)
    if error is not None:
        raise error


def _lane(closure: Function) -> Any:
    def run(fork: Branch) -> Exception | None:
        try:
            fork.interpreter.invoke(closure)
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001 - handed to `parallel`, which raises it in its own branch
            fork.log_error(error)
            return error
        return None

    return run


def node(branch: Branch, call: StepCall) -> Any:
    """Another executor of a Jenkins node: here another workspace of this host."""
    with branch.build.workspaces.take() as folder:
        layer = branch.with_environment({"WORKSPACE": str(folder)})
        with branch.within(workspace=folder, folder=folder, environment=layer):
            return call.run_body()


STEPS = {"stage": stage, "parallel": parallel, "node": node}
