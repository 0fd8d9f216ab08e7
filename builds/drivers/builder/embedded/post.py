"""The `post` section: which conditions hold, and running them in Jenkins' order.

An error in one condition does not keep the later ones from running. Knows nothing of how stages are walked.
"""

from __future__ import annotations

from collections.abc import Sequence

from builds.jenkinsfile.model import POST_ORDER, PostCondition
from fangduoduo_release.common.sentence import S

from .context import Branch, sentence_of
from .control import Fatal, Result, result_of
from .results import RESULTS


def condition_holds(
    name: str,
    *,
    run: Result | None,
    error: BaseException | None,
    previous: Result | None,
    stage: bool,
) -> bool:
    """Whether a condition holds for the build's result so far (`run`), the stage's error and the build before this one.

    `stage`: the section belongs to a stage, where success and failure also look at the stage's own error."""
    known = run or Result.SUCCESS
    failed = None if error is None else result_of(error)
    worst = max(known, failed or Result.SUCCESS)
    if name in ("always", "cleanup"):
        return True
    if name == "changed":
        return previous is None or previous != known
    if name == "fixed":
        return previous in (Result.FAILURE, Result.UNSTABLE) and known == Result.SUCCESS
    if name == "regression":
        return previous is not None and known > previous
    if name == "aborted":
        return known == Result.ABORTED
    if name == "failure":
        if stage and known != Result.ABORTED:
            return error is not None
        return known == Result.FAILURE
    if name == "success":
        if stage and known == Result.FAILURE:
            return error is None
        return worst == Result.SUCCESS
    if name == "unstable":
        return known == Result.UNSTABLE
    if name == "unsuccessful":
        return worst != Result.SUCCESS
    return name == "notBuilt" and known == Result.NOT_BUILT


def run_post(
    branch: Branch, conditions: Sequence[PostCondition], error: Exception | None, *, stage: bool
) -> Exception | None:
    """Run what holds, in order; the first error there was, that of the stage included. Raises only Fatal."""
    by_name = {c.name: c for c in conditions}
    spec = branch.build.spec
    previous = RESULTS[spec.previous_result] if spec.previous_result else None
    for name in POST_ORDER:
        condition = by_name.get(name)
        if condition is None:
            continue
        run = branch.build.result.value
        if not condition_holds(name, run=run, error=error, previous=previous, stage=stage):
            continue
        try:
            branch.log(f"Post: {name}")
            branch.run_steps(condition.steps)
        except Fatal:
            raise
        except Exception as failed:  # noqa: BLE001 - whatever fails in one condition, the later ones still run
            sentence = sentence_of(failed)
            branch.build.result.worsen(
                result_of(failed), S("In “post { %(name)s }”: %(reason)s", name=name, reason=str(sentence))
            )
            branch.log_error(failed, f" in post {name}")
            error = error or failed
    return error
