"""Every way in which a Jenkins does not answer, on real sockets: the right error, in time, and never the token."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig
from builds.drivers.builder.remote import KEY, Place, Values
from fangduoduo_release.common.errors import DriverError, Rejected, Unavailable

from .canned import TOKEN, Answer, Asked, Canned, json_answer, recording, with_fault
from .certificates import authority
from .test_job_xml import SPEC

JOB = "fangduoduo-release/shop"
URL = "/job/fangduoduo-release/job/shop"
START = f"POST {URL}/buildWithParameters"
VALUES = Values({KEY: "k"}, {"REGISTRY_PASSWORD": "hunter2"})
Call = Callable[[JenkinsBuilder], Any]

READS: dict[str, Call] = {
    "check": lambda b: b.check(),
    "read_job": lambda b: b.read_job(JOB),
    "find": lambda b: b.find(JOB, "k"),
    "queue_item": lambda b: b.queue_item(3),
    "census": lambda b: b.census(),
    "observe": lambda b: b.observe(JOB, 2),
    "stages": lambda b: b.stages(JOB, 2),
    "questions": lambda b: b.questions(JOB, 2),
    "log": lambda b: b.log(JOB, 2, 0).__enter__(),
    "tests": lambda b: b.tests(JOB, 2),
    "artifacts": lambda b: b.artifacts(JOB, 2),
}
WRITES: dict[str, Call] = {
    "trigger": lambda b: b.trigger(JOB, VALUES),
    "write_job": lambda b: b.write_job(SPEC),
    "cancel": lambda b: b.cancel(JOB, Place(number=2)),
    "answer": lambda b: b.answer(JOB, 2, "q", proceed=False, values={}),
    "validate": lambda b: b.validate("pipeline {}"),
}
CALLS = {**READS, **WRITES}
IN_VAIN = {name: "unknown_outcome" if name in WRITES else "no_answer" for name in CALLS}
PATIENCE_S = 3


class Always(dict[str, Any]):
    """The same answer to everything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def get(self, key: str, default: Any = None) -> Any:
        return self.answer


def failure(builder: JenkinsBuilder, call: Call) -> DriverError:
    with pytest.raises(DriverError) as caught:
        call(builder)
    seen = f"{caught.value} {caught.value.evidence} {caught.value!r}"
    assert TOKEN not in seen
    assert base64.b64encode(f"portal:{TOKEN}".encode()).decode() not in seen
    assert "hunter2" not in seen
    return caught.value


def recovered(builder: JenkinsBuilder) -> Place | None:
    """What this builder, whose call failed in time, is answered next, for which it has all the time there is."""
    builder._http.config = replace(builder.config, timeout_s=60)
    try:
        return builder.queue_item(3)
    finally:
        builder._http.config = builder.config


def all_at_once(jenkins: Canned, names: Collection[str]) -> dict[str, DriverError]:
    """What comes of these calls, each by a client of its own. Their time is long enough for a busy machine to send them
    all, and short beside that which the server takes."""
    with ThreadPoolExecutor(len(names)) as threads:
        asked = {name: threads.submit(failure, jenkins.builder(timeout_s=PATIENCE_S), CALLS[name]) for name in names}
        return {name: one.result() for name, one in asked.items()}


@pytest.mark.parametrize("fault", ["silent", "drip_head"])
def test_a_server_that_does_not_answer_holds_nobody(jenkins: Canned, fault: str) -> None:
    jenkins.rules = Always(Answer(200, b"{}" * 100, {"X-Long": "x" * 2000}, fault))
    started = time.monotonic()
    errors = all_at_once(jenkins, CALLS)
    assert time.monotonic() - started < 60
    assert all(isinstance(error, Unavailable) for error in errors.values())
    assert {name: error.code for name, error in errors.items()} == IN_VAIN


@pytest.mark.parametrize("fault", ["stall", "drip_body"])
def test_an_answer_that_never_ends_holds_nobody(jenkins: Canned, fault: str) -> None:
    jenkins.rules = Always(Answer(200, b'{"a": 1, ' * 300, {"Content-Type": "application/json"}, fault))
    names = CALLS.keys() - {"log"}
    started = time.monotonic()
    errors = all_at_once(jenkins, names)
    assert time.monotonic() - started < 60
    assert {name: error.code for name, error in errors.items()} == {name: IN_VAIN[name] for name in names}


@pytest.mark.parametrize("name", CALLS)
def test_a_reset_says_whether_anything_may_have_happened(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules = Always(Answer(fault="reset"))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Unavailable)
    assert error.code == ("unknown_outcome" if name in WRITES else "broken_answer")


@pytest.mark.parametrize("name", [name for name in READS if name not in {"log", "read_job"}])
@pytest.mark.parametrize("fault", ["truncated", ""])
def test_half_an_answer_is_none(jenkins: Canned, builder: JenkinsBuilder, name: str, fault: str) -> None:
    """Cut by the connection, or cut by Jenkins itself as if that were all."""
    body = b'{"items": [{"id": 3, "why": "x"}' * 3
    jenkins.rules = Always(Answer(200, body, {"Content-Type": "application/json", "X-Jenkins": "2"}, fault))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Unavailable)
    assert error.code == "broken_answer"


@pytest.mark.parametrize("name", CALLS)
def test_a_jenkins_that_starts_up_is_asked_again(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules = Always(recording("starting-up-503"))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Unavailable)
    assert error.code == "starting"
    assert "Please wait while Jenkins is getting ready to work" in error.evidence
    assert "<" not in error.evidence


@pytest.mark.parametrize("name", CALLS)
def test_wrong_credentials_are_final_and_say_what_to_do(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules = Always(recording("root-api-wrong-password"))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Rejected)
    assert error.code == "bad_credentials"
    assert "make a new API token there and save it in the connection" in str(error)


@pytest.mark.parametrize("name", CALLS)
def test_a_missing_permission_is_final_and_named(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    headers = {"X-You-Are-Authenticated-As": "portal", "X-Required-Permission": "hudson.model.Item.Read"}
    jenkins.rules = Always(Answer(403, b"<html>portal is missing the Job/Read permission</html>", headers))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Rejected)
    assert error.code == "no_permission"
    assert "lacks the permission Job/Read in Jenkins" in str(error)


@pytest.mark.parametrize("name", WRITES)
def test_a_password_instead_of_a_token_is_found_out(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules = Always(recording("createItem-password-no-crumb"))
    error = failure(builder, CALLS[name])
    assert error.code == "bad_credentials"
    assert "make an API token for “portal”" in str(error)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("status", "code"), [(429, "busy"), (418, "refused")])
def test_other_refusals_keep_their_status(
    jenkins: Canned, builder: JenkinsBuilder, name: str, status: int, code: str
) -> None:
    jenkins.rules = Always(Answer(status, b"<html><title>Short and stout</title></html>"))
    error = failure(builder, CALLS[name])
    assert error.code == code
    assert isinstance(error, Unavailable) == (status == 429)


@pytest.mark.parametrize("name", READS)
def test_an_error_of_jenkins_own_is_asked_again(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules = Always(Answer(500, b"<html><body>Oops!</body></html>"))
    error = failure(builder, CALLS[name])
    assert isinstance(error, Unavailable)
    assert error.code == "server_error"
    assert "status 500" in str(error)


@pytest.mark.parametrize("name", [*READS, "validate"])
def test_a_redirect_is_not_followed(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    with Canned().serving() as other:
        jenkins.rules = Always(Answer(302, b"", {"Location": f"{other.url}/login"}))
        assert failure(builder, CALLS[name]).code == "redirected"
        assert other.asked == []


@pytest.mark.parametrize("name", CALLS)
def test_a_host_that_refuses_has_certainly_done_nothing(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        config = JenkinsConfig(url=f"http://127.0.0.1:{taken.getsockname()[1]}", user="portal", token=TOKEN)
        error = failure(JenkinsBuilder(config), CALLS[name])
    assert isinstance(error, Unavailable)
    assert error.code == "unreachable"
    assert "check the address" in str(error)


def test_a_host_that_swallows_connections_is_unreachable_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        blockers = [socket.socket() for _ in range(4)]
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(deaf.getsockname())
        config = JenkinsConfig(f"http://127.0.0.1:{deaf.getsockname()[1]}", "portal", TOKEN, timeout_s=0.4)
        started = time.monotonic()
        error = failure(JenkinsBuilder(config), CALLS["trigger"])
        assert time.monotonic() - started < 30
        assert error.code == "unreachable"
        for blocker in blockers:
            blocker.close()


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    error = failure(JenkinsBuilder(JenkinsConfig("http://jenkins.invalid", "portal", TOKEN)), CALLS["trigger"])
    assert error.code == "unreachable"
    assert "jenkins.invalid" in str(error)


def test_metadata_addresses_are_never_asked() -> None:
    error = failure(JenkinsBuilder(JenkinsConfig("http://169.254.169.254", "portal", TOKEN)), CALLS["observe"])
    assert isinstance(error, Rejected)
    assert error.code == "forbidden_address"


def test_a_jenkins_with_its_own_authority_is_trusted_by_its_pem() -> None:
    own = authority()
    with Canned({START: recording("buildWithParameters-success")}).serving(own.server) as secure:
        assert secure.builder(ca=own.pem).trigger(JOB, VALUES) == Place(queue_id=3)
        for ca in ("", authority("127.0.0.2").pem):
            error = failure(secure.builder(ca=ca), CALLS["trigger"])
            assert error.code == "unreachable"
            assert "certificate" in str(error)
        assert len(secure.asked) == 1


def test_a_certificate_for_another_name_is_not_taken() -> None:
    other = authority("127.0.0.2")
    with Canned({START: recording("buildWithParameters-success")}).serving(other.server) as secure:
        assert failure(secure.builder(ca=other.pem), CALLS["trigger"]).code == "unreachable"
        assert secure.asked == []


def test_faults_over_tls_are_the_same_faults() -> None:
    own = authority()
    item = recording("queue-item-left")

    def met(fault: str) -> tuple[str, Place | None]:
        rules = {"GET /queue/item/3/api/json": [with_fault(item, fault), item]}
        with Canned(rules).serving(own.server) as secure:
            builder = secure.builder(ca=own.pem, timeout_s=PATIENCE_S)
            return failure(builder, CALLS["queue_item"]).code, recovered(builder)

    faults = ["silent", "drip_head", "drip_body", "stall", "truncated"]
    started = time.monotonic()
    with ThreadPoolExecutor(len(faults)) as threads:
        found = dict(zip(faults, threads.map(met, faults), strict=True))
    assert time.monotonic() - started < 60
    expected = {fault: "broken_answer" if fault == "truncated" else "no_answer" for fault in faults}
    assert found == {fault: (code, Place(3, 2)) for fault, code in expected.items()}


@pytest.mark.parametrize("piece", ["<script", "<", "is missing the ", "<title>", "&#", "<svg <head "])
def test_a_hostile_error_page_costs_no_time(jenkins: Canned, builder: JenkinsBuilder, piece: str) -> None:
    jenkins.rules = Always(Answer(403, (piece * 300_000)[:250_000].encode()))
    started = time.thread_time()
    assert failure(builder, CALLS["queue_item"]).code == "no_permission"
    assert time.thread_time() - started < 10


def test_http_spoken_to_a_tls_port_does_nothing(jenkins: Canned) -> None:
    builder = jenkins.builder(url=jenkins.url.replace("http:", "https:"))
    error = failure(builder, CALLS["trigger"])
    assert error.code == "unreachable"
    assert jenkins.asked == []


def test_a_giant_answer_is_not_taken_in(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules = Always(json_answer({"items": ["x" * 1000] * 9000}))
    error = failure(builder, CALLS["queue_item"])
    assert isinstance(error, Unavailable)
    assert error.code == "answer_too_large"


def test_a_giant_error_page_is_cut_not_refused(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules = Always(Answer(500, b"<p>Oops</p>" * 1_000_000))
    error = failure(builder, CALLS["queue_item"])
    assert error.code == "server_error"
    assert len(error.evidence) <= 2000


def test_an_answer_that_is_no_gzip_is_broken(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules = Always(Answer(200, b"no gzip at all", {"Content-Encoding": "gzip"}))
    assert failure(builder, CALLS["queue_item"]).code == "broken_answer"


def test_a_sign_in_page_instead_of_json_is_no_jenkins(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules = Always(Answer(200, b"<html><body>Please sign in</body></html>", {"Content-Type": "text/html"}))
    error = failure(builder, CALLS["census"])
    assert isinstance(error, Unavailable)
    assert error.code == "not_jenkins"
    assert "Please sign in" in error.evidence


def test_several_requests_of_one_call_share_one_timeout(jenkins: Canned) -> None:
    def slowly(asked: Asked) -> Answer:
        jenkins.ended.wait(1.5)
        return json_answer({"computer": [], "items": []})

    jenkins.rules = {"GET /computer/api/json": slowly, "GET /queue/api/json": slowly}
    error = failure(jenkins.builder(timeout_s=2.5), CALLS["census"])
    assert error.code == "no_answer", "each of the two would have come in time"


def test_a_timeout_of_one_call_does_not_hurt_the_next(jenkins: Canned) -> None:
    builder = jenkins.builder(timeout_s=2)
    item = recording("queue-item-left")
    jenkins.rules["GET /queue/item/3/api/json"] = [with_fault(item, "silent"), item, with_fault(item, "stall"), item]
    for _ in range(2):
        assert failure(builder, CALLS["queue_item"]).code == "no_answer"
        assert recovered(builder) == Place(3, 2)


def test_a_connection_is_kept_and_a_stale_one_replaced(jenkins: Canned, builder: JenkinsBuilder) -> None:
    item = recording("queue-item-left")
    closed = Answer(item.status, item.body, {**item.headers, "Connection": "close"})
    jenkins.rules["GET /queue/item/3/api/json"] = [item, closed, item]
    for _ in range(4):
        assert builder.queue_item(3) == Place(3, 2)


def test_many_threads_share_one_builder(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["GET /queue/item/3/api/json"] = recording("queue-item-left")
    found: list[Place | None] = []

    def ask() -> None:
        found.extend(builder.queue_item(3) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Place(3, 2)] * 160


def test_no_secret_stands_in_an_address_and_no_cookie_is_kept(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[START] = Answer(201, b"", {"Location": "/queue/item/5/", "Set-Cookie": "JSESSIONID.1=x; Path=/"})
    for _ in range(2):
        builder.trigger(JOB, VALUES)
    for asked in jenkins.asked:
        assert "hunter2" not in asked.path + str(asked.query)
        assert "Cookie" not in asked.headers
