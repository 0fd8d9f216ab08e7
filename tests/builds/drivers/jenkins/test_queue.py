"""Starting, finding again, counting and stopping builds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder
from builds.drivers.builder.remote import KEY, Place, Values
from fangduoduo_release.common.errors import Rejected, Unavailable

from .canned import Answer, Asked, Canned, json_answer, recorded_json, recording

JOB = "fangduoduo-release/shop"
URL = "/job/fangduoduo-release/job/shop"
START = f"POST {URL}/buildWithParameters"
VALUES = Values({KEY: "k-1", "FDD_COMMIT": "abc & def", "IMAGE": ""}, {"REGISTRY_PASSWORD": "hunter2/&="})


def parameters(key: str) -> list[dict[str, Any]]:
    return [{"_class": "hudson.model.ParametersAction", "parameters": [{"name": KEY, "value": key}, {"name": "P"}]}, {}]


def item(number: int, key: str, job: str = JOB, **more: Any) -> dict[str, Any]:
    url = "http://jenkins.internal/job/" + job.replace("/", "/job/") + "/"
    return {"id": number, "why": "waits", "task": {"url": url}, "actions": parameters(key), **more}


def build(number: int, queue_id: int, key: str) -> dict[str, Any]:
    return {"number": number, "queueId": queue_id, "actions": parameters(key)}


def test_a_build_is_started_by_a_form_without_delay(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = recording("buildWithParameters-success")
    assert builder.trigger(JOB, VALUES) == Place(queue_id=3)
    asked = jenkins.asked[0]
    assert asked.query == {"delay": "0sec"}
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.form == {**VALUES.plain, **VALUES.secret}


def test_an_equal_item_that_waits_already_is_that_item(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = recording("build-delay-duplicate")
    assert recording("build-delay-duplicate").status == 303
    assert builder.trigger(JOB, VALUES).queue_id == 11


def test_a_location_on_another_host_is_read_but_never_visited(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with Canned({"GET /queue/item/9/": json_answer({})}).serving() as other:
        jenkins.rules[START] = Answer(201, b"", {"Location": f"{other.url}/queue/item/9/"})
        assert builder.trigger(JOB, VALUES).queue_id == 9
        assert other.asked == []


@pytest.mark.parametrize("location", ["", "http://127.0.0.1/job/shop/"])
def test_a_start_without_a_queue_number_is_looked_for_not_repeated(
    jenkins: Canned, builder: JenkinsBuilder, location: str
) -> None:
    jenkins.rules[START] = Answer(302, b"", {"Location": location})
    with pytest.raises(Unavailable) as caught:
        builder.trigger(JOB, VALUES)
    assert caught.value.code == "unknown_outcome"


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("build-missing-job-params", "job_gone", "not in Jenkins any more"),
        ("build-disabled-job", "job_disabled", "disabled in Jenkins"),
        ("build-parameterised-without-params", "bad_parameters", "write the job again"),
        ("build-wrong-password", "bad_credentials", "make a new API token"),
        ("build-anonymous", "bad_credentials", "API token"),
    ],
)
def test_every_recorded_refusal_has_its_own_sentence(
    jenkins: Canned, builder: JenkinsBuilder, name: str, code: str, word: str
) -> None:
    jenkins.rules[START] = recording(name)
    with pytest.raises(Rejected) as caught:
        builder.trigger(JOB, VALUES)
    assert caught.value.code == code
    assert word in str(caught.value)


def declares(*parameters: dict[str, Any]) -> Answer:
    held = {"_class": "hudson.model.ParametersDefinitionProperty", "parameterDefinitions": list(parameters)}
    return json_answer({"property": [{}, held]})


def test_a_value_that_is_no_choice_is_named(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = recording("build-bad-choice")
    jenkins.rules[f"GET {URL}/api/json"] = declares({"name": KEY}, {"name": "MODE", "choices": ["ok", "fail"]})
    with pytest.raises(Rejected) as caught:
        builder.trigger(JOB, Values({KEY: "k", "MODE": "nosuch"}))
    assert caught.value.code == "bad_parameters"
    assert "MODE" in str(caught.value)
    assert "ok, fail" in str(caught.value)


def test_a_job_that_lost_its_parameters_says_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = recording("buildWithParameters-on-plain-job")
    jenkins.rules[f"GET {URL}/api/json"] = json_answer({"property": []})
    with pytest.raises(Rejected) as caught:
        builder.trigger(JOB, VALUES)
    assert caught.value.code == "bad_parameters"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_that_no_parameter_explains_may_have_started_it(
    jenkins: Canned, builder: JenkinsBuilder, status: int
) -> None:
    jenkins.rules[START] = Answer(status, b"<html>Oops</html>")
    jenkins.rules[f"GET {URL}/api/json"] = declares({"name": KEY}, {"name": "MODE", "choices": ["ok"]})
    with pytest.raises(Unavailable) as caught:
        builder.trigger(JOB, Values({KEY: "k", "MODE": "ok"}))
    assert caught.value.code == "unknown_outcome"


def test_a_server_that_starts_up_has_surely_started_nothing(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = recording("starting-up-503")
    with pytest.raises(Unavailable) as caught:
        builder.trigger(JOB, VALUES)
    assert caught.value.code == "starting"
    assert len(jenkins.asked) == 1


def test_a_job_that_vanished_between_is_gone(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = Answer(500, b"Oops")
    with pytest.raises(Rejected) as caught:
        builder.trigger(JOB, VALUES)
    assert caught.value.code == "job_gone"


def test_secrets_show_in_no_evidence_however_jenkins_repeats_them(jenkins: Canned, builder: JenkinsBuilder) -> None:
    def echo(asked: Asked) -> Answer:
        said = (
            f"you sent {asked.body.decode()} and {asked.headers['Authorization']} and {asked.form['REGISTRY_PASSWORD']}"
        )
        return Answer(409, said.encode())

    jenkins.rules[START] = echo
    with pytest.raises(Rejected) as caught:
        builder.trigger(JOB, VALUES)
    assert "you sent" in caught.value.evidence
    assert "hunter2" not in caught.value.evidence + str(caught.value)
    assert jenkins.asked[0].headers["Authorization"].split()[1] not in caught.value.evidence


def finding(jenkins: Canned, waiting: list[dict[str, Any]], begun: list[dict[str, Any]]) -> None:
    jenkins.rules["GET /queue/api/json"] = json_answer({"items": waiting})
    jenkins.rules[f"GET {URL}/api/json"] = json_answer({"builds": begun})


def test_a_lost_build_is_found_by_its_key_in_the_queue(jenkins: Canned, builder: JenkinsBuilder) -> None:
    finding(jenkins, [item(5, "other"), item(6, "mine", job="other/shop"), item(7, "mine")], [build(3, 2, "old")])
    found = builder.find(JOB, "mine")
    assert found == Place(queue_id=7, waiting_for="waits", key="mine")


def test_a_lost_build_is_found_by_its_key_among_the_recent(jenkins: Canned, builder: JenkinsBuilder) -> None:
    finding(jenkins, [], [build(9, 8, "x"), build(8, 7, "mine"), build(7, 6, "y")])
    assert builder.find(JOB, "mine") == Place(queue_id=7, number=8, key="mine")
    tree = jenkins.asked[-1].query["tree"]
    assert tree.endswith("{0,100}")


def test_a_build_that_leaves_the_queue_while_we_look_is_one_build(jenkins: Canned, builder: JenkinsBuilder) -> None:
    finding(jenkins, [item(7, "mine")], [build(8, 7, "mine")])
    assert builder.twins(JOB, "mine") == [Place(queue_id=7, number=8, key="mine")]
    assert [path.rpartition("/job/")[0] != "" for path in jenkins.paths()] == [False, True], "the queue is asked first"


def test_twins_are_told_oldest_first(jenkins: Canned, builder: JenkinsBuilder) -> None:
    finding(jenkins, [item(12, "mine")], [build(9, 8, "mine"), build(8, 7, "mine")])
    assert [(p.number, p.queue_id) for p in builder.twins(JOB, "mine")] == [(8, 7), (9, 8), (None, 12)]


def test_nothing_is_found_where_nothing_is(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["GET /queue/api/json"] = recording("queue-placeholder")
    assert builder.find(JOB, "mine") is None


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("queue-item-waiting", Place(3, None, waiting_for="In the quiet period. Expires in 4.9 sec")),
        ("queue-item-blocked", Place(14, None, waiting_for="Build #1 is already in progress (ETA: N/A)")),
        ("queue-item-left", Place(3, 2)),
        ("queue-item-cancelled", Place(11, None, cancelled=True)),
        ("queue-item-missing", None),
    ],
)
def test_a_queue_item_is_read_as_recorded(
    jenkins: Canned, builder: JenkinsBuilder, name: str, place: Place | None
) -> None:
    jenkins.rules["GET /queue/item/3/api/json"] = recording(name)
    assert builder.queue_item(3) == place


def running(number: int, key: str, job: str = JOB, *classes: str) -> dict[str, Any]:
    url = f"http://jenkins.internal/jenkins/job/{job.replace('/', '/job/')}/{number}/"
    actions = [*parameters(key), *({"_class": name} for name in classes)]
    return {"currentExecutable": {"number": number, "url": url, "queueId": number + 100, "actions": actions}}


def test_the_census_takes_two_requests_and_only_our_folder(jenkins: Canned, builder: JenkinsBuilder) -> None:
    asks = "org.jenkinsci.plugins.workflow.support.steps.input.InputAction"
    executors = [
        running(1, "a"),
        running(2, "b", JOB, asks),
        running(3, "c", "theirs/shop"),
        {"currentExecutable": None},
    ]
    executors += [running(4, "d", "fangduoduo-release-old/x"), {"currentExecutable": {"_class": "x"}}, "odd"]  # type: ignore[list-item]
    jenkins.rules["GET /computer/api/json"] = json_answer(
        {"computer": [{"oneOffExecutors": executors[:2]}, {"oneOffExecutors": executors[2:]}, {}]},
        **{"X-Jenkins-Session": "s1"},
    )
    placeholder = recorded_json("queue-buildable-placeholder")["items"]
    jenkins.rules["GET /queue/api/json"] = json_answer(
        {"items": [item(9, "e"), item(10, "f", "theirs/y"), *placeholder]}
    )
    found = builder.census()
    assert len(jenkins.asked) == 2
    assert [(r.job, r.number, r.key, r.queue_id, r.maybe_asks) for r in found.running] == [
        (JOB, 1, "a", 101, False),
        (JOB, 2, "b", 102, True),
    ]
    assert [(job, place.queue_id, place.key) for job, place in found.waiting] == [(JOB, 9, "e")]
    assert found.session == "s1"


def test_without_keys_the_census_asks_for_no_parameters_of_what_runs(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["GET /computer/api/json"] = json_answer({"computer": [{"oneOffExecutors": [running(1, "a")]}]})
    jenkins.rules["GET /queue/api/json"] = json_answer({"items": [item(9, "e")]})
    builder.census(keys=False)
    computer, queue = (asked.query["tree"] for asked in jenkins.asked)
    assert "parameters" not in computer
    assert "parameters[name,value]" in queue, "who waits is known by it"
    builder.census()
    assert "parameters[name,value]" in jenkins.asked[-2].query["tree"]


def test_the_census_reads_the_recorded_answers(jenkins: Canned) -> None:
    jenkins.rules["GET /computer/api/json"] = recording("computer-running")
    jenkins.rules["GET /queue/api/json"] = recording("queue-with-item")
    found = jenkins.builder(folder="x").census()
    assert found.running == ()
    assert found.session == "35a498c3"


def test_a_census_without_permission_is_no_empty_census(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with pytest.raises(Rejected):
        builder.census()
    jenkins.rules["GET /computer/api/json"] = json_answer({"computer": []})
    with pytest.raises(Rejected):
        builder.census()


def test_a_waiting_build_is_taken_from_the_queue(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["POST /queue/cancelItem"] = recording("queue-cancel")
    builder.cancel(JOB, Place(queue_id=11))
    assert jenkins.asked[0].form == {"id": "11"}
    assert len(jenkins.asked) == 1


def test_a_build_that_left_the_queue_meanwhile_is_stopped(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["POST /queue/cancelItem"] = recording("queue-cancel-missing")
    jenkins.rules["GET /queue/item/3/api/json"] = recording("queue-item-left")
    jenkins.rules[f"POST {URL}/2/stop"] = recording("stop-running")
    builder.cancel(JOB, Place(queue_id=3))
    assert jenkins.paths("POST") == ["/queue/cancelItem", f"{URL}/2/stop"]


@pytest.mark.parametrize("name", ["stop-running", "stop-finished", "stop-missing"])
def test_stopping_is_harmless_when_it_has_ended(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules[f"POST {URL}/2/stop"] = recording(name)
    builder.cancel(JOB, Place(queue_id=3, number=2))
    assert jenkins.paths() == [f"{URL}/2/stop"]


def test_cancelling_what_is_nowhere_does_nothing(jenkins: Canned, builder: JenkinsBuilder) -> None:
    builder.cancel(JOB, Place())
    assert jenkins.asked == []
    builder.cancel(JOB, Place(queue_id=5))
    assert jenkins.paths("POST") == ["/queue/cancelItem"]


@pytest.mark.parametrize(
    "call",
    [
        lambda b: b.trigger(JOB, VALUES),
        lambda b: b.cancel(JOB, Place(number=2)),
        lambda b: b.cancel(JOB, Place(queue_id=2)),
        lambda b: b.answer(JOB, 2, "q", proceed=False, values={}),
    ],
)
def test_a_missing_permission_is_named(
    jenkins: Canned, builder: JenkinsBuilder, call: Callable[[JenkinsBuilder], object]
) -> None:
    denied = Answer(403, b"<html><body>portal is missing the Job/Build permission</body></html>")
    for path in (f"{URL}/buildWithParameters", f"{URL}/2/stop", "/queue/cancelItem", f"{URL}/2/input/q/abort"):
        jenkins.rules[f"POST {path}"] = denied
    with pytest.raises(Rejected) as caught:
        call(builder)
    assert caught.value.code == "no_permission"
    assert "Job/Build" in str(caught.value)


def test_a_thousand_builds_fit_into_one_census(jenkins: Canned, builder: JenkinsBuilder) -> None:
    many = [running(n, f"key-{n:040d}") for n in range(1, 1001)]
    for executor in many:
        more = [{"name": f"FDD_{n}", "value": "x" * 40} for n in range(8)]
        executor["currentExecutable"]["actions"][0]["parameters"] += more
    jenkins.rules["GET /computer/api/json"] = json_answer({"computer": [{"oneOffExecutors": many}]})
    jenkins.rules["GET /queue/api/json"] = json_answer({"items": []})
    assert len(json.dumps(many)) < 8 * 1024 * 1024
    assert len(builder.census().running) == 1000
