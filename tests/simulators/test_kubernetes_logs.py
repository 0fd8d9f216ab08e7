"""Logs of containers in the simulated cluster."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.waiting import until

from .kubernetes_ground import PODS, SPACE, Caller, deployment


@pytest.fixture
def pod(caller: Caller) -> str:
    """Of a container that has said three lines."""
    caller.applied(deployment(replicas=1))
    caller.rig.rolled_out(SPACE, "web")
    name = str(caller.rig.pods(SPACE)[0]["metadata"]["name"])
    caller.rig.say(SPACE, name, ["one", "two", "三"])
    return name


def _text(caller: Caller, pod: str, **query: object) -> str:
    answer = caller.http.get(f"{PODS}/{pod}/log", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain"
    return answer.content.decode()


def test_the_end_of_it_or_all(caller: Caller, pod: str) -> None:
    assert _text(caller, pod) == "one\ntwo\n三\n"
    assert _text(caller, pod, tailLines=2) == "two\n三\n"
    assert _text(caller, pod, tailLines=0) == ""
    assert _text(caller, pod, limitBytes=5) == "one\nt"
    assert _text(caller, pod, container="app", tailLines=1) == "三\n"


def test_since_a_moment(caller: Caller, pod: str) -> None:
    stamps = [line.split(" ")[0] for line in _text(caller, pod, timestamps="true").splitlines()]
    assert stamps == sorted(stamps)
    assert _text(caller, pod, sinceTime=stamps[1]) == "two\n三\n"
    later = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert _text(caller, pod, sinceTime=later) == ""
    assert _text(caller, pod, sinceSeconds=3600) == "one\ntwo\n三\n"


def test_follow_ends_with_the_container(caller: Caller, pod: str) -> None:
    lines: list[str] = []

    def follow() -> None:
        with caller.http.stream("GET", f"{PODS}/{pod}/log", params={"follow": "true", "tailLines": 1}) as stream:
            lines.extend(stream.iter_lines())

    thread = threading.Thread(target=follow)
    thread.start()
    until(lambda: caller.rig.call(lambda: caller.rig.logs.following), what="the reader")
    caller.rig.say(SPACE, pod, ["four"])
    caller.rig.faults.fail_pod(SPACE, pod, 3)
    thread.join(60)
    assert not thread.is_alive()
    assert lines == ["三", "four"]
    until(lambda: caller.rig.pods(SPACE)[0]["status"]["containerStatuses"][0]["restartCount"] == 1, what="a restart")
    until(lambda: _text(caller, pod) == "", what="the next container's log")
    assert _text(caller, pod, previous="true") == "one\ntwo\n三\nfour\n"


def test_what_crashed_can_be_read(caller: Caller) -> None:
    caller.applied(deployment("rig.local/crash:v1", replicas=1))
    until(lambda: caller.rig.pods(SPACE) and caller.rig.pods(SPACE)[0]["status"].get("containerStatuses", [{}])[0].get(
        "restartCount"), what="a crash")  # fmt: skip
    name = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    assert "fatal: cannot reach the database" in _text(caller, name, previous="true")


def test_what_has_not_begun_has_none(caller: Caller) -> None:
    caller.applied(deployment("rig.local/nosuch:v1", replicas=1))
    until(lambda: caller.rig.pods(SPACE) and "containerStatuses" in caller.rig.pods(SPACE)[0]["status"], what="a pod")
    name = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    until(lambda: "pull" in caller.refused("GET", f"{PODS}/{name}/log")["message"], what="why")
    refused = caller.refused("GET", f"{PODS}/{name}/log")
    assert refused["code"] == 400
    assert refused["message"].startswith(f'container "app" in pod "{name}" is waiting to start: ')


def test_several_containers_want_a_name(caller: Caller) -> None:
    obj = deployment(replicas=1)
    obj["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "rig.local/side:v1"})
    caller.applied(obj)
    caller.rig.rolled_out(SPACE, "web")
    name = caller.rig.pods(SPACE)[0]["metadata"]["name"]
    refused = caller.refused("GET", f"{PODS}/{name}/log")
    assert refused["message"] == (f"a container name must be specified for pod {name}, choose one of: [app side]")
    caller.rig.say(SPACE, name, ["beside"], container="side")
    assert _text(caller, name, container="side") == "beside\n"


def test_a_followed_log_may_be_cut(caller: Caller, pod: str) -> None:
    caller.rig.faults.cut_watches(0.1, "/log")
    with (
        pytest.raises(Exception, match=r"incomplete|peer closed|reset|Server disconnected"),
        caller.http.stream("GET", f"{PODS}/{pod}/log", params={"follow": "true"}) as stream,
    ):
        list(stream.iter_lines())
