"""Why the newest template of a service will not come up: what the server refuses, what its pods have, what took too long. Pure."""

from __future__ import annotations

import re

from clusters.drivers.runtime.base import Failure
from fangduoduo_release.common.sentence import S

from .pods import Object, path
from .troubles import Trouble

# What an API server says of pods that it will never take; all else (a webhook that does not answer) may pass,
# and so may a quota that is used up: pods that leave are charged to it until they are gone.
QUOTA = "exceeded quota"
FINAL = re.compile(r"admission webhook .* denied|forbidden|is invalid", re.DOTALL)


def condition(item: Object, kind: str) -> Object:
    for one in path(item, "status", "conditions") or []:
        if one.get("type") == kind:
            found: Object = one
            return found
    return {}


def failure_of(
    deployment: Object, newest: Object | None, refusal: str, trouble: Trouble | None, *, full: bool
) -> Failure | None:
    """Why the newest template will not come up; None while it may. `newest`: its ReplicaSet. `full`: a quota has had no room
    for its pods for as long as one waits."""
    progress = condition(deployment, "Progressing")
    late = _is_late(deployment, newest, progress)
    if refusal and (late or (full if QUOTA in refusal else FINAL.search(refusal))):
        return refused(refusal)
    if trouble is not None and trouble.final:
        return _of(trouble)
    if late:
        if trouble is not None:
            return _of(trouble)
        sentence = S("It made no progress for as long as a start may take.")
        return Failure("deadline", sentence, evidence=str(progress.get("message") or ""))
    return None


def _is_late(deployment: Object, newest: Object | None, progress: Object) -> bool:
    """Whether it is the newest template that made no progress for as long as it may. A controller goes on saying so of an
    earlier one until it sees progress, so what counts is whom its message names: the Deployment itself where it has no
    ReplicaSet yet."""
    if progress.get("status") != "False" or progress.get("reason") != "ProgressDeadlineExceeded":
        return False
    kind, item = ("ReplicaSet", newest) if newest is not None else ("Deployment", deployment)
    return str(progress.get("message") or "").startswith(f'{kind} "{path(item, "metadata", "name")}" ')


def refusal_of(newest: Object | None) -> str:
    """Why the API server lets no pods of the newest template be made; "" when it does. The Deployment's own condition may
    still be that of an earlier template."""
    found = condition(newest or {}, "ReplicaFailure")
    return str(found.get("message") or "") if found.get("status") == "True" else ""


def _of(trouble: Trouble) -> Failure:
    return Failure(trouble.code, trouble.sentence, evidence=trouble.evidence, exit_code=trouble.exit_code)


def refused(message: str) -> Failure:
    if QUOTA in message:
        return Failure(
            "quota", S("The namespace's quota is used up: %(reason)s", reason=message[:300]), evidence=message
        )
    if "admission webhook" in message and "denied" in message:
        sentence = S("An admission webhook refused its pods: %(reason)s", reason=message[:300])
        return Failure("webhook_denied", sentence, evidence=message)
    return Failure("start_failed", S("Its pods cannot be made: %(reason)s", reason=message[:300]), evidence=message)
