"""Why a pod is not well: in words, with what its node and its events say. Pure, over objects as the API gives them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from fangduoduo_release.common.sentence import S, Sentence

from .pods import Object, is_ready, moment, path, statuses

PULLING = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
FOR_GOOD = re.compile(
    r"not found|manifest unknown|unauthorized|denied|forbidden|no match for platform|couldn't parse image|invalid reference"
    r"|couldn't find key|no such file or directory|exec format error",
    re.IGNORECASE,
)
CANNOT_START = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_LACKING = re.compile(r"Insufficient ([A-Za-z0-9./-]*[A-Za-z0-9])")
AFTERMATH_S = 60.0  # a container that has run for longer is not unwell because it ended once before
CRASHES = 2  # restarts of a container that never got ready, after which it is a loop


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod is not well. `final`: it will not get better by itself. `previous`: its last words are of the run before."""

    code: str
    sentence: Sentence
    final: bool = False
    exit_code: int | None = None
    evidence: str = ""
    container: str = ""
    previous: bool = False


def trouble_of(
    pod: Object, events: Iterable[Object], now: datetime, stuck: Container[str] = frozenset()
) -> Trouble | None:
    """Why this pod is not ready, as far as it tells; None when it is well, or simply on its way. `stuck`: containers whose
    trouble has lasted for as long as one waits."""
    if is_ready(pod) or path(pod, "metadata", "deletionTimestamp"):
        return None
    if path(pod, "status", "phase") == "Failed":
        return _failed(pod)
    known = list(events)
    every = (*statuses(pod, init=True), *statuses(pod))
    trouble = _unschedulable(pod) or next((found for one in every if (found := _container(one, now, stuck))), None)
    if trouble is None:
        return _probes(pod, known) or _mounts(pod, known)
    return _killed(pod, known, trouble) or _pulled_before(pod, known, trouble) or trouble


def _failed(pod: Object) -> Trouble:
    reason = str(path(pod, "status", "reason") or "Failed")
    message = str(path(pod, "status", "message") or "")
    sentence = S("The node ended the pod (%(reason)s): %(message)s", reason=reason, message=message[:300])
    return Trouble("start_failed", sentence, evidence=message)


def refused_by_nodes(pod: Object) -> Object | None:
    """The condition that says so."""
    conditions: list[Object] = path(pod, "status", "conditions") or []
    said = ("PodScheduled", "False", "Unschedulable")
    return next((one for one in conditions if (one.get("type"), one.get("status"), one.get("reason")) == said), None)


def _unschedulable(pod: Object) -> Trouble | None:
    condition = refused_by_nodes(pod)
    if condition is None:
        return None
    message = str(condition.get("message") or "")
    lacking = ", ".join(dict.fromkeys(_LACKING.findall(message)))
    if lacking:
        sentence = S("No node has room for it: too little %(what)s.", what=lacking)
    else:
        sentence = S("No node takes it: %(message)s", message=message[:300])
    return Trouble("unschedulable", sentence, evidence=message)


def hitch_of(status: Object) -> str:
    """What a node cannot get done for a container and tries again: `fetch` its image or `make` it; "" when neither. Both
    have several names, of which a node says one after the other."""
    waiting = path(status, "state", "waiting", "reason")
    return "fetch" if waiting in PULLING else "make" if waiting in CANNOT_START else ""


def _container(status: Object, now: datetime, stuck: Container[str]) -> Trouble | None:
    name = str(status.get("name") or "")
    waiting = str(path(status, "state", "waiting", "reason") or "")
    message = str(path(status, "state", "waiting", "message") or "")
    if waiting in PULLING:
        return _pull(status, waiting, message, name in stuck)
    if waiting in CANNOT_START:
        sentence = S("The container “%(name)s” cannot be made: %(message)s", name=name, message=message[:300])
        final = bool(FOR_GOOD.search(message)) or name in stuck
        return Trouble("start_failed", sentence, final, evidence=message, container=name)
    ended = path(status, "state", "terminated") or path(status, "lastState", "terminated")
    began = moment(path(status, "state", "running", "startedAt"))
    recovered = began is not None and (now - began).total_seconds() > AFTERMATH_S
    if ended and not path(status, "ready") and not recovered:
        return _crash(status, name, ended)
    return None


def _pull(status: Object, waiting: str, message: str, stuck: bool) -> Trouble:
    image = str(status.get("image") or "")
    final = stuck or waiting in {"InvalidImageName", "ErrImageNeverPull"} or bool(FOR_GOOD.search(message))
    sentence = S("The image “%(image)s” cannot be pulled.", image=image[:300])
    return Trouble("image_pull", sentence, final, evidence=message or waiting, container=str(status.get("name") or ""))


def _pulled_before(pod: Object, events: Iterable[Object], trouble: Trouble) -> Trouble | None:
    """While a node waits before it tries again, an older one says why only in the event of the try before."""
    if trouble.code != "image_pull" or trouble.final:
        return None
    every = (*statuses(pod, init=True), *statuses(pod))
    image = next((one.get("image") for one in every if one.get("name") == trouble.container), None)
    event = newest(
        pod, (one for one in events if _message(one).startswith(f'Failed to pull image "{image}"')), "Failed"
    )
    if event is None or not FOR_GOOD.search(_message(event)):
        return None
    return replace(trouble, final=True, evidence=_message(event))


def _crash(status: Object, name: str, ended: Object) -> Trouble:
    code, count = int(ended.get("exitCode") or 0), int(status.get("restartCount") or 0)
    waiting, running = path(status, "state", "waiting") is not None, path(status, "state", "running") is not None
    final, word = count >= CRASHES and not running, "crash_loop"
    if ended.get("reason") == "OOMKilled":
        sentence = S("It was killed because it used more memory than it may (exit code %(code)s).", code=code)
    elif ended.get("reason") == "ContainerCannotRun" or ended.get("reason") == "StartError":
        message = str(ended.get("message") or "")
        sentence = S("The container “%(name)s” cannot be started: %(message)s", name=name, message=message[:300])
        final, word = final or bool(FOR_GOOD.search(message)), "start_failed"
    else:
        sentence = S("It ended with exit code %(code)s.", code=code)
    return Trouble(
        word, sentence, final, exit_code=code, container=name,
        evidence=str(ended.get("message") or ""), previous=waiting or running,
    )  # fmt: skip


def _probes(pod: Object, events: Iterable[Object]) -> Trouble | None:
    """The newest failed probe. Kubernetes writes which and what it answered into one message."""
    event = newest(pod, events, "Unhealthy")
    if event is None:
        return None
    message = _message(event)
    said = message.partition(": ")[2].strip()[:300] or message[:300]
    sentence = S("Its %(which)s check fails: %(message)s", which=_which(message), message=said)
    if message.rstrip().endswith(" failed:"):  # a command that only ends with a code
        sentence = S("Its %(which)s check fails and says nothing.", which=_which(message))
    return Trouble("probe_failing", sentence, evidence=message)


def _which(message: str) -> str:
    """`readiness`, `liveness` or `startup`."""
    return message.partition(" probe")[0].strip().lower()[:20]


def _killed(pod: Object, events: Iterable[Object], ended: Trouble) -> Trouble | None:
    """A container that did not end by itself: its node ended it because a check failed, and that is the reason to tell."""
    if ended.exit_code not in {0, 137, 143} or ended.code != "crash_loop":
        return None
    event = newest(pod, events, "Unhealthy")
    found = _probes(pod, events) if event and _which(_message(event)) in {"liveness", "startup"} else None
    return found and replace(found, final=ended.final, container=ended.container, previous=ended.previous)


def _mounts(pod: Object, events: Iterable[Object]) -> Trouble | None:
    for reason in ("FailedMount", "FailedCreatePodSandBox", "FailedAttachVolume"):
        event = newest(pod, events, reason)
        if event is not None:
            message = _message(event)
            return Trouble(
                "start_failed", S("The node cannot prepare it: %(message)s", message=message[:300]), evidence=message
            )
    return None


def newest(pod: Object, events: Iterable[Object], reason: str) -> Object | None:
    """The event of that reason that happened to the pod last."""
    uid = path(pod, "metadata", "uid")
    found = [e for e in events if e.get("reason") == reason and path(e, "involvedObject", "uid") == uid]
    return max(found, key=when, default=None)


def _message(event: Object) -> str:
    return str(event.get("message") or event.get("note") or "")


def when(event: Object) -> str:
    """When an event happened last, as text that sorts."""
    series = path(event, "series", "lastObservedTime")
    return str(
        series
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or path(event, "metadata", "creationTimestamp")
        or ""
    )
