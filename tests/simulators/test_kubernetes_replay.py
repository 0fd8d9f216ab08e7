"""The simulated cluster answers as the recorded one did: status, the headers that mean something, the body.

One play through the recordings in the order in which they were made; each recording is then a test of its own.
Bodies are compared value by value; only names, times, addresses and versions have a word in their place.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.waiting import until

from .kubernetes_exec import Exchange, exchanges, replay
from .kubernetes_play import plain, unlike
from .kubernetes_rig import Pace, Rig
from .recordings import KUBERNETES, Recording, read

EXECS = exchanges(KUBERNETES)
RECORDINGS = {file.stem: read(file) for file in sorted(KUBERNETES.glob("*.txt")) if file.stem not in EXECS}
LEFT_OUT: dict[str, str] = {}
"""Recordings that are not held to, each with its reason."""
LEFT_OUT_PARTS = {
    "/remainingItemCount": "how many there are, and whether that is known",
    "MissingClusterDNS": "the recorded cluster had no DNS",
}
"""Parts of bodies that are not compared."""
HEADERS = ("Cache-Control", "Content-Type", "X-Content-Type-Options", "X-Kubernetes-Pf-Prioritylevel-Uid")
LIMITED = "system:serviceaccount:facts:limited"
SECOND = 0.05  # how long one of the deadline's ten lasts


class Play:
    """Replays recordings against the rig and keeps how the answers differ."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.found: dict[str, list[str]] = {}
        self.client = httpx.Client(base_url=rig.url, verify=ssl.create_default_context(cadata=rig.ca), timeout=60)
        self.pod = ""

    def __call__(self, *names: str) -> None:
        for name in names:
            recording = RECORDINGS[name]
            answer = self._send(recording)
            self.found[name] = [*_in_head(recording, answer), *_in_body(recording, answer.text)]

    def _send(self, recording: Recording, target: str = "") -> httpx.Response:
        headers = {name: value for name, value in recording.sent.items() if name in ("Accept", "Content-Type")}
        if "Authorization" in recording.sent:
            token = {"unauthorized": "wrong", "forbidden": self.rig.users.named[LIMITED].token}
            headers["Authorization"] = f"Bearer {token.get(recording.name, self.rig.token)}"
        headers["User-Agent"] = ""
        target = target or recording.target.replace("hello-84f5fdbb-cr5jd", self.pod)
        return self.client.request(recording.method, target, content=recording.sent_body, headers=headers)

    def watched(self, name: str, what: Callable[[], None], *, first: int = 0) -> None:
        """What a watch says while something is done; compared event by event."""
        recording = RECORDINGS[name]
        revision = first or self.rig.revision()
        target = re.sub(r"resourceVersion=\d+", f"resourceVersion={revision}", recording.target)
        wanted = [json.loads(line) for line in recording.body.splitlines() if line]
        lines: list[str] = []
        seen = threading.Event()
        heads: list[httpx.Response] = []

        def listen() -> None:
            headers = self.rig.headers
            with self.client.stream("GET", target, headers=headers) as stream:
                heads.append(stream)
                seen.set()
                for line in stream.iter_lines():
                    lines.append(line)
                    if len(lines) >= len(wanted):
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        assert seen.wait(60)
        what()
        thread.join(60)
        found = [json.loads(line) for line in lines]
        self.found[name] = [*_in_head(recording, heads[0]), *_in_events(wanted, found)]

    def watched_pods(self, name: str, what: Callable[[], None], first: int) -> None:
        """Pods are watched until the time is up; each recorded one must have its like, for as long as it was watched."""
        recording = RECORDINGS[name]
        target = recording.target.replace("timeoutSeconds=10", "timeoutSeconds=1")
        target = re.sub(r"resourceVersion=\d+", f"resourceVersion={first}", target)
        what()
        self.settled()  # what was before the watch began it tells, too, and then it has all the time it needs
        answer = self.client.get(target, headers=self.rig.headers)
        wanted, found = (
            [json.loads(line) for line in text.splitlines() if line] for text in (recording.body, answer.text)
        )
        self.found[name] = [*_in_head(recording, answer), *_in_pods(wanted, found)]

    def apply(self, image: str) -> None:
        config = yaml.safe_load(RECORDINGS["apply-create"].sent_body)
        config["spec"]["template"]["spec"]["containers"][0]["image"] = image
        answer = self.client.patch(
            RECORDINGS["apply-create"].target,
            content=yaml.safe_dump(config),
            headers={**self.rig.headers, "Content-Type": "application/apply-patch+yaml"},
        )
        assert answer.status_code == 200, answer.text

    def settled(self) -> None:
        self.rig.rolled_out("facts", "hello")
        until(lambda: len(self.rig.all("pods", "facts")) == len(self.rig.pods("facts")), what="the old pods' end")


def _in_head(recording: Recording, answer: httpx.Response) -> Iterator[str]:
    if answer.status_code != recording.status:
        yield f"status {recording.status} was recorded, {answer.status_code} is answered"
    for name in HEADERS:
        was, now = recording.headers.get(name), answer.headers.get(name)
        if was != now and not (name.endswith("Uid") and bool(was) == bool(now)):
            yield f"{name}: {was!r} was recorded, {now!r} is answered"


def _in_body(recording: Recording, body: str) -> Iterator[str]:
    if not recording.headers["Content-Type"].startswith("application/json"):
        was, now = ([re.sub(r"^\S+Z ", "TIME ", line) for line in text.splitlines()] for text in (recording.body, body))
        if was != now:
            yield f"{was} was recorded, {now} is answered"
        return
    wanted, found = json.loads(recording.body), json.loads(body)
    if wanted.get("kind") == "EventList":
        yield from _in_event_lists(wanted, found)
        return
    for difference in unlike(plain(wanted), plain(found)):
        if not any(part in difference for part in LEFT_OUT_PARTS):
            yield difference


def _in_event_lists(wanted: Any, found: Any) -> Iterator[str]:
    """Which pods come first is chance: each recorded event must have its like among ours."""
    ours = [plain(each) for each in found["items"]]
    for each in wanted["items"]:
        if each["reason"] in LEFT_OUT_PARTS:
            continue
        event = plain(each)
        alike = [other for other in ours if other["reason"] == each["reason"]]
        if event not in alike:
            yield f"{each['reason']}: {[*unlike(event, alike[0])] if alike else 'missing'}"


def _in_events(wanted: list[Any], found: list[Any]) -> Iterator[str]:
    for number, each in enumerate(wanted):
        if number >= len(found):
            yield f"event {number} is missing: {each['type']}"
            continue
        for difference in unlike(plain(each), plain(found[number])):
            yield f"event {number} of {len(wanted)}: {difference}"


def _in_pods(wanted: list[Any], found: list[Any]) -> Iterator[str]:
    yield from unlike(plain(wanted[-1]), plain(found[-1]), "bookmark")
    lives, ours = (_lives(events) for events in (wanted, found))
    for name, life in lives.items():
        alike = [other[-len(life) :] for other in ours.values() if len(other) >= len(life)]
        if life not in alike:
            nearest = min((list(unlike(life, other)) for other in alike), key=len, default=["nothing is like it"])
            yield f"{name}: {nearest}"


def _lives(events: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in events[:-1]:
        found.setdefault(each["object"]["metadata"]["name"], []).append(plain(each))
    return found


# -- the play -----------------------------------------------------------------------------------------------------------


def _begin(play: Play) -> None:
    play("version", "unauthenticated-no-token", "unauthorized", "not-found", "apply-dry-run-create", "apply-create")
    play.settled()
    play("list-pods-label", "list-pods-limit", "apply-unchanged", "apply-conflict", "apply-invalid")
    play("apply-selector-immutable", "apply-unknown-field-strict", "create-already-exists")


def _roll(play: Play) -> None:
    first = play.rig.revision()
    play.watched("watch-deployment-rolling-update", lambda: play.apply("rig.local/app:v2"))
    play.settled()
    play.watched_pods("watch-pods-rolling-update", lambda: play.apply("rig.local/app:v3"), first)
    play.settled()
    play("replicasets-revisions")


def _fail(play: Play) -> None:
    rig = play.rig

    def crash() -> None:
        """Its deadline passes when it has crashed for the second time."""
        play.apply("rig.local/app:crash")
        until(lambda: any(pod["status"]["containerStatuses"][0]["restartCount"] == 1
                          and "terminated" in pod["status"]["containerStatuses"][0]["state"]
                          for pod in rig.pods("facts")), what="the second crash")  # fmt: skip
        rig.pace.second = SECOND
        rig.call(rig.controllers.everything)

    play.watched("watch-deployment-failed-rollout", crash)
    play("pods-crashloop")
    play.apply("rig.local/nosuch:v9")
    until(lambda: any("ErrImagePull" in json.dumps(pod["status"]) for pod in rig.pods("facts"))
          and len(rig.all("pods", "facts")) == 3, what="an image that cannot be pulled")  # fmt: skip
    play("pods-image-pull-error")
    recording = RECORDINGS["events"]
    answer = play._send(recording, recording.target.replace("limit=12", "limit=500"))
    play.found["events"] = [*_in_head(recording, answer), *_in_body(recording, answer.text)]


def _look(play: Play) -> None:
    rig = play.rig
    play.apply("rig.local/app:v1")
    play.settled()
    play("scale-get", "scale-put")
    play.settled()
    play.pod = rig.pods("facts")[0]["metadata"]["name"]
    rig.call(rig.compact)
    play.watched("watch-gone-410", lambda: None, first=1)
    play("list-continue-bad")
    until(
        lambda: play.client.get(f"/api/v1/namespaces/facts/pods/{play.pod}/log", headers=rig.headers).text, what="log"
    )
    rig.say("facts", play.pod, ["v1 tick 1", "v1 tick 2", "v1 tick 3"])
    play("log-tail-timestamps")
    _follow(play)
    play("log-missing-pod", "log-previous-none", "log-wrong-container", "exec-plain-get")


def _follow(play: Play) -> None:
    """Lines come while the log is followed, and the end of the container ends it."""
    recording = RECORDINGS["log-follow"]
    target = recording.target.replace("hello-84f5fdbb-cr5jd", play.pod)
    lines = []
    with play.client.stream("GET", target, headers=play.rig.headers) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if len(lines) == 5:
                break
            play.rig.say("facts", play.pod, [f"v1 tick {len(lines) + 3}"])
    play.found["log-follow"] = [*_in_head(recording, stream), *_in_body(recording, "\n".join(lines))]


def _end(play: Play) -> None:
    play("delete-foreground", "forbidden")
    rig = play.rig
    for name, kind, status in (("httproute-get", "HTTPRoute", "traefik"), ("virtualservice-get", "VirtualService", "")):
        recorded = json.loads(RECORDINGS[name].body)
        rig.create(kind, "default", json.loads(recorded["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
                   | {"metadata": {"name": "shop", "annotations": recorded["metadata"]["annotations"]}},
                   manager="kubectl-client-side-apply")  # fmt: skip
        if status:
            rig.status(kind, "default", "shop", recorded["status"], manager=status)
    play("httproute-get", "virtualservice-get", "httproute-patch-weights", "httproute-bad-weight")


@pytest.fixture(scope="module")
def played() -> dict[str, list[str]]:
    pace = Pace(second=3600, start=0.05, stop=0.03, shown=3600, pull_backoff=3600, reaction=0.01)
    with Rig(pace=pace) as rig:
        rig.namespace("facts")
        rig.user(LIMITED)
        for tag in ("v1", "v2", "v3"):
            rig.image(f"rig.local/app:{tag}", imported=True)
        rig.image("rig.local/app:v1", imported=True, lines=("v1 begins",))
        rig.image("rig.local/app:crash", imported=True, exit_code=3)
        play = Play(rig)
        for chapter in (_begin, _roll, _fail, _look):
            chapter(play)
        for name, exchange in EXECS.items():
            play.found[name] = replay(rig, play.pod, exchange)
        _end(play)
        assert rig.failures == []
    return play.found


@pytest.mark.parametrize("name", sorted({**RECORDINGS, **EXECS}))
def test_answers_as_recorded(played: dict[str, list[str]], name: str) -> None:
    if name in LEFT_OUT:
        pytest.skip(LEFT_OUT[name])
    assert not played[name], "\n".join(played[name])


def test_every_recording_is_replayed_or_left_out_with_a_reason(played: dict[str, list[str]]) -> None:
    assert {*RECORDINGS, *EXECS} == set(played) | set(LEFT_OUT)
    assert all(LEFT_OUT.values())
    assert all(isinstance(each, Exchange) for each in EXECS.values())
