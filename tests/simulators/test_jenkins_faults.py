"""Every way in which the simulated Jenkins goes wrong, each seen by a client; and its doors, its restart, its thousands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.simulators.jenkins import Jenkins, User
from tests.simulators.jenkins_ground import FOLDER, XML, Person, ended, job_xml, pipeline, text_of
from tests.waiting import until

CENSUS = (
    "computer/api/json?tree=computer[oneOffExecutors[currentExecutable"
    "[number,url,queueId,actions[_class,parameters[name,value]]]]]"
)


@pytest.fixture
def shop(person: Person) -> Person:
    """With a job whose build waits for a file, so that it runs as long as wanted."""
    person.jenkins.add_job("shop", job_xml(pipeline("sh 'while [ ! -e go ]; do sleep 0.05; done'"), ("KEY", "String")))
    return person


# -- on the wire ------------------------------------------------------------------------------------------------------


def test_a_rule_holds_for_its_pattern_its_times_and_until_it_is_lifted(person: Person) -> None:
    faults = person.jenkins.faults
    rule = faults.status(500, "GET /queue", times=2)
    assert [person.get("queue/api/json").status_code for _ in range(3)] == [500, 500, 200]
    assert rule.hits == 2
    with faults.starting():
        answer = person.get("api/json")
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("text/html")
    assert person.get("api/json").status_code == 200
    faults.status(500)
    faults.clear()
    assert person.get("api/json").status_code == 200


def test_an_answer_may_come_late(person: Person) -> None:
    person.jenkins.faults.latency(0.3, "/queue")
    begun = time.monotonic()
    person.get("queue/api/json")
    late = time.monotonic() - begun
    assert late >= 0.3


def test_a_connection_reset_before_the_effect_leaves_nothing(shop: Person) -> None:
    shop.jenkins.faults.reset("POST /job/shop")
    with pytest.raises(requests.ConnectionError):
        shop.trigger("shop", KEY="1")
    assert not shop.jenkins.job("shop").runs
    assert shop.trigger("shop", KEY="1").status_code == 201


def test_an_answer_lost_after_the_effect_leaves_a_build(shop: Person) -> None:
    shop.jenkins.faults.reset("POST /job/shop", after_effect=True)
    with pytest.raises(requests.ConnectionError):
        shop.trigger("shop", KEY="lost")
    (run,) = shop.jenkins.job("shop").runs.values()
    assert [value.text for value in run.values] == ["lost"]


def test_a_body_that_drips_never_ends_in_time(person: Person) -> None:
    person.jenkins.faults.slow(3600, "/api/json")
    with person.session.get(f"{person.jenkins.url}api/json", timeout=60, stream=True) as answer:
        assert answer.status_code == 200, "its head is whole and in time"
        answer.raw.connection.sock.settimeout(0.1)
        with pytest.raises(requests.ConnectionError, match="timed out"):
            answer.content  # noqa: B018 - reading it is what is tried


def test_json_may_be_cut_short(person: Person) -> None:
    with person.jenkins.faults.truncated("/api/json"), pytest.raises(requests.JSONDecodeError):
        person.get("api/json").json()
    person.jenkins.faults.truncated("/api/json", torn=True)
    with pytest.raises(requests.RequestException):
        person.get("api/json")


def test_what_is_asked_is_counted(person: Person) -> None:
    for _ in range(3):
        person.get("queue/api/json?tree=items[id]")
    person.get("api/json")
    counted = person.jenkins.requests
    assert (counted.count("/queue"), counted.count("^GET /api"), counted.count()) == (3, 1, 4)
    assert counted.lines("/queue")[0] == "GET /queue/api/json?tree=items[id]"
    counted.clear()
    assert counted.count() == 0


# -- in the state -----------------------------------------------------------------------------------------------------


def test_a_lost_queue_forgets_what_waits(shop: Person) -> None:
    shop.jenkins.queue.held = True
    item = shop.trigger("shop", KEY="1").headers["Location"].removeprefix(shop.jenkins.url)
    assert shop.json(f"{item}api/json")["_class"].endswith("BuildableItem")
    shop.jenkins.faults.lose_queue()
    assert shop.get(f"{item}api/json").status_code == 404
    shop.jenkins.queue.held = False
    shop.jenkins.queue.wake()
    assert not shop.jenkins.job("shop").runs


def test_an_item_that_left_is_forgotten_after_five_minutes(shop: Person) -> None:
    run = shop.build("shop", KEY="1")
    shop.jenkins.clock.push(240)
    assert shop.get(f"queue/item/{run.queue_id}/api/json").status_code == 200
    shop.jenkins.clock.push(80)
    assert shop.get(f"queue/item/{run.queue_id}/api/json").status_code == 404


def test_after_a_restart_pipelines_go_on_in_another_session(shop: Person) -> None:
    run = shop.build("shop", KEY="1")
    before = shop.get("api/json").headers["X-Jenkins-Session"]
    shop.jenkins.faults.restart()
    assert shop.get("api/json").headers["X-Jenkins-Session"] != before
    assert shop.get(f"queue/item/{run.queue_id}/api/json").status_code == 404
    assert shop.json("job/shop/1/api/json")["building"]


def test_a_crash_ends_what_ran(shop: Person) -> None:
    run = shop.build("shop", KEY="1")
    until(lambda: "[Pipeline] sh" in text_of(run))
    shop.jenkins.faults.restart(running="killed", queue="lost")
    assert ended(run) == "FAILURE"
    assert "cannot be resumed" in text_of(run)


def test_builds_and_jobs_vanish(shop: Person) -> None:
    shop.build("shop", KEY="1")
    second = shop.build("shop", KEY="2")
    shop.jenkins.faults.delete_build("shop", 1)
    assert shop.get("job/shop/1/api/json").status_code == 404
    assert [run["number"] for run in shop.json("job/shop/api/json")["builds"]] == [2]
    shop.jenkins.faults.delete_job("shop")
    assert shop.get("job/shop/api/json").status_code == 404
    assert shop.trigger("shop", KEY="3").status_code == 404
    assert second.done.wait(120)
    assert shop.json(CENSUS)["computer"][0]["oneOffExecutors"] == []


def test_a_replaced_log_begins_again(person: Person) -> None:
    (run,) = person.jenkins.fake_running("shop")
    person.jenkins.append_log(run, "a long line\n" * 100)
    size = person.get("job/shop/1/logText/progressiveText?start=0").headers["X-Text-Size"]
    person.jenkins.faults.rotate_log("shop", 1, "new\n")
    answer = person.get(f"job/shop/1/logText/progressiveText?start={size}")
    assert (answer.text, answer.headers["X-Text-Size"]) == ("new\n", "4")


def test_a_disabled_job_takes_no_builds(shop: Person) -> None:
    shop.jenkins.faults.disable_job("shop")
    assert shop.trigger("shop", KEY="1").status_code == 409
    assert shop.json("job/shop/api/json")["color"] == "disabled"


def test_without_the_pipeline_plugins_there_are_no_pipelines(person: Person) -> None:
    person.jenkins.faults.without_pipeline()
    assert "workflow-job" not in {p["shortName"] for p in person.json("pluginManager/api/json?depth=1")["plugins"]}
    assert person.post("createItem?name=shop", job_xml(pipeline("echo 'x'")), headers=XML).status_code == 500
    assert person.post("createItem?name=folder", FOLDER, headers=XML).status_code == 200
    assert person.post("pipeline-model-converter/validate", {"jenkinsfile": "x"}).status_code == 404


def test_a_validator_may_be_missing(person: Person) -> None:
    person.jenkins.faults.no_validator = True
    assert person.post("pipeline-model-converter/validate", {"jenkinsfile": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("Job/Build", "POST", "job/shop/buildWithParameters"),
        ("Job/Create", "POST", "createItem?name=x"),
        ("Job/Configure", "POST", "job/shop/config.xml"),
        ("Job/Configure", "POST", "job/shop/disable"),
        ("Job/Delete", "POST", "job/shop/doDelete"),
        ("Job/Cancel", "POST", "job/shop/1/stop"),
        ("Run/Delete", "POST", "job/shop/1/doDelete"),
        ("Overall/SystemRead", "GET", "pluginManager/api/json"),
    ],
)
def test_a_missing_permission_is_named(shop: Person, permission: str, method: str, path: str) -> None:
    shop.build("shop", KEY="1")
    shop.jenkins.faults.deny(permission)
    answer = shop.session.request(method, shop.jenkins.url + path, headers=XML, timeout=60)
    assert answer.status_code == 403
    assert f"{shop.jenkins.user} is missing the {permission} permission" in answer.text
    assert answer.headers["X-You-Are-Authenticated-As"] == shop.jenkins.user


def test_what_one_may_not_read_is_not_there(shop: Person) -> None:
    shop.jenkins.faults.deny("Job/Read")
    assert shop.get("job/shop/api/json").status_code == 404


# -- doors ------------------------------------------------------------------------------------------------------------


def test_a_person_with_few_permissions(shop: Person) -> None:
    shop.jenkins.doors.add(User("bot", "bot-token", permissions=frozenset({"Job/Read", "Job/Build"})))
    shop.session.auth = ("bot", "bot-token")
    assert shop.trigger("shop", KEY="1").status_code == 201
    assert shop.post("createItem?name=x", FOLDER, headers=XML).status_code == 403
    assert shop.get("pluginManager/api/json").status_code == 403


def test_a_password_needs_a_crumb_of_its_own_session(shop: Person) -> None:
    shop.session.auth = (shop.jenkins.user, shop.jenkins.admin.password)
    assert shop.trigger("shop", KEY="1").status_code == 403
    crumb = shop.json("crumbIssuer/api/json")  # the session keeps the cookie
    headers = {crumb["crumbRequestField"]: crumb["crumb"]}
    assert shop.post("job/shop/buildWithParameters?KEY=1", headers=headers).status_code == 201
    shop.jenkins.faults.restart()
    assert shop.post("job/shop/buildWithParameters?KEY=2", headers=headers).status_code == 403


def test_it_speaks_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=jenkins",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with Jenkins(tls=(certificate, key), home=tmp_path / "home") as jenkins:
        login = (jenkins.user, jenkins.token)
        assert (
            requests.get(f"{jenkins.url}api/json", auth=login, verify=str(certificate), timeout=60).status_code == 200
        )
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{jenkins.url}api/json", auth=login, timeout=60)


def test_it_can_be_started_by_hand() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.jenkins", "--port", "0", "--token", "by-hand"],
        stdout=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        assert requests.get(f"{url.group()}api/json", auth=("admin", "by-hand"), timeout=60).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


# -- by the thousand --------------------------------------------------------------------------------------------------


def test_a_thousand_builds_run_without_a_thread_each(person: Person) -> None:
    jenkins, threads = person.jenkins, threading.active_count()
    runs = jenkins.fake_running("portal/shop", 1000, {"FDD_BUILD_KEY": "key-{n}"})
    assert threading.active_count() < threads + 100  # some may be other tests'
    (computer,) = person.json(CENSUS)["computer"]
    listed = [executor["currentExecutable"] for executor in computer["oneOffExecutors"]]
    assert len(listed) == 1000
    assert listed[41]["actions"][0]["parameters"] == [
        {"_class": "hudson.model.StringParameterValue", "name": "FDD_BUILD_KEY", "value": "key-42"}
    ]
    jenkins.end(runs[41], "UNSTABLE")
    (computer,) = person.json(CENSUS)["computer"]
    assert len(computer["oneOffExecutors"]) == 999
    assert person.json("job/portal/job/shop/42/api/json")["result"] == "UNSTABLE"


def test_a_build_that_runs_nothing_is_told_of_like_any_other(person: Person) -> None:
    jenkins = person.jenkins
    jenkins.add_job("shop", job_xml(pipeline("echo 'never run'"), ("KEY", "String")))
    jenkins.synthetic.adopt("shop")
    run = person.build("shop", KEY="1")
    jenkins.synthetic.stage(run, "Build")
    jenkins.append_log(run, "hello\n")
    assert person.json("job/shop/1/wfapi/describe")["stages"][0]["status"] == "IN_PROGRESS"
    log = person.get("job/shop/1/logText/progressiveText?start=0")
    assert "hello\n" in log.text
    assert log.headers["X-More-Data"] == "true"
    jenkins.synthetic.stage(run, "Build", "FAILED")
    jenkins.end(run, "FAILURE")
    assert json.dumps(person.json("job/shop/1/wfapi/describe")).count("FAILED") == 2
    stopped = person.build("shop", KEY="2")
    person.post("job/shop/2/stop")
    assert ended(stopped) == "ABORTED"
