"""The driver against a simulated Jenkins that goes wrong: what was lost is told, and one start is one build."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig
from builds.drivers.builder.remote import KEY, JobSpec, Observation, Place, Values
from fangduoduo_release.common.errors import Rejected, Unavailable
from tests.simulators.jenkins import Jenkins
from tests.waiting import until

from .contract import GOOD, SLOW, UNSTABLE

START = "POST .*/buildWithParameters"


@pytest.fixture
def server() -> Iterator[Jenkins]:
    with Jenkins(user="portal") as jenkins:
        yield jenkins


@pytest.fixture
def builder(server: Jenkins) -> JenkinsBuilder:
    return JenkinsBuilder(JenkinsConfig(server.url, server.user, server.token, timeout_s=60))


@pytest.fixture
def spec(builder: JenkinsBuilder) -> JobSpec:
    made = JobSpec(builder.job_path("shop"), "shop", 1, UNSTABLE, "")
    builder.write_job(made)
    return made


def begun(builder: JenkinsBuilder, spec: JobSpec, key: str) -> int:
    def number() -> int | None:
        found = builder.find(spec.path, key)
        return found.number if found is not None else None

    return until(number, what="the build to begin")


def test_an_answer_that_got_lost_leaves_one_build_that_its_key_finds(
    server: Jenkins, builder: JenkinsBuilder, spec: JobSpec
) -> None:
    key = uuid.uuid4().hex
    server.faults.reset(START, after_effect=True)
    with pytest.raises(Unavailable) as caught:
        builder.trigger(spec.path, Values({KEY: key}))
    assert caught.value.code == "unknown_outcome"
    begun(builder, spec, key)
    assert len(builder.twins(spec.path, key)) == 1


def test_a_start_that_never_arrived_leaves_no_build(server: Jenkins, builder: JenkinsBuilder, spec: JobSpec) -> None:
    server.faults.reset(START)
    with pytest.raises(Unavailable) as caught:
        builder.trigger(spec.path, Values({KEY: "k"}))
    assert caught.value.code == "unknown_outcome"
    assert builder.find(spec.path, "k") is None


def test_a_500_that_no_parameter_explains_is_looked_after(
    server: Jenkins, builder: JenkinsBuilder, spec: JobSpec
) -> None:
    server.faults.status(500, START, times=1)
    with pytest.raises(Unavailable) as caught:
        builder.trigger(spec.path, Values({KEY: "k"}))
    assert caught.value.code == "unknown_outcome"
    assert builder.find(spec.path, "k") is None


def ended(builder: JenkinsBuilder, spec: JobSpec, number: int) -> Observation:
    def over() -> Observation | None:
        found = builder.observe(spec.path, number)
        return found if found.finished_at is not None else None

    return until(over, what="the build to end")


def test_two_builds_of_one_key_are_both_told(builder: JenkinsBuilder, spec: JobSpec) -> None:
    for number in (1, 2):
        builder.trigger(spec.path, Values({KEY: "twice"}))
        until(lambda n=number: builder.observe(spec.path, n).state)  # type: ignore[misc]
        ended(builder, spec, number)
    assert [place.number for place in builder.twins(spec.path, "twice")] == [1, 2]


def test_a_restart_forgets_items_and_shows_another_session(
    server: Jenkins, builder: JenkinsBuilder, spec: JobSpec
) -> None:
    place = builder.trigger(spec.path, Values({KEY: "k"}))
    number = begun(builder, spec, "k")
    before = builder.census().session
    server.faults.restart(running="go_on", queue="lost")
    assert builder.census().session != before
    assert builder.queue_item(place.queue_id or 0) is None
    found = builder.find(spec.path, "k")
    assert found is not None
    assert found.number == number


def test_a_build_killed_by_a_restart_failed(server: Jenkins, builder: JenkinsBuilder, spec: JobSpec) -> None:
    builder.write_job(JobSpec(spec.path, "shop", 2, SLOW, ""))
    builder.trigger(spec.path, Values({KEY: "k"}))
    number = begun(builder, spec, "k")
    server.faults.restart(running="killed")
    found = ended(builder, spec, number)
    assert found.state == "failed"
    assert str(found.sentence)


def test_a_replaced_log_is_read_from_its_beginning(server: Jenkins, builder: JenkinsBuilder, spec: JobSpec) -> None:
    builder.trigger(spec.path, Values({KEY: "k"}))
    number = begun(builder, spec, "k")
    ended(builder, spec, number)
    with builder.log(spec.path, number, 0) as answer:
        list(answer.data)
    server.faults.rotate_log(spec.path, number, "short\n")
    with builder.log(spec.path, number, answer.next_offset) as again:
        assert again.restarted
        assert b"".join(again.data) == b"short\n"


def test_a_deleted_build_is_gone_wherever_one_looks(server: Jenkins, builder: JenkinsBuilder, spec: JobSpec) -> None:
    builder.trigger(spec.path, Values({KEY: "k"}))
    number = begun(builder, spec, "k")
    server.faults.delete_build(spec.path, number)
    assert builder.observe(spec.path, number).state is None
    assert builder.find(spec.path, "k") is None
    with pytest.raises(Rejected), builder.log(spec.path, number, 0):
        pass


def test_a_jenkins_without_pipelines_is_named_at_check_and_at_writing(server: Jenkins, builder: JenkinsBuilder) -> None:
    server.faults.without_pipeline()
    missing = builder.check().missing
    assert {"plugin workflow-job", "plugin workflow-cps", "plugin pipeline-rest-api"} <= set(missing)
    with pytest.raises(Rejected) as caught:
        builder.write_job(JobSpec(builder.job_path("new"), "new", 1, GOOD, ""))
    assert caught.value.code == "no_pipeline_plugin"
    with pytest.raises(Rejected) as caught:
        builder.validate(GOOD)
    assert caught.value.code == "no_validator"


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        ("Job/Build", lambda b, s: b.trigger(s.path, Values({KEY: "k"}))),
        ("Job/Configure", lambda b, s: b.write_job(s)),
        ("Job/Create", lambda b, s: b.write_job(JobSpec(b.job_path("new"), "new", 1, GOOD, ""))),
    ],
)
def test_each_missing_permission_is_named_where_it_is_needed(
    server: Jenkins, builder: JenkinsBuilder, spec: JobSpec, permission: str, call: object
) -> None:
    server.faults.deny(permission)
    with pytest.raises(Rejected) as caught:
        call(builder, spec)  # type: ignore[operator]
    assert caught.value.code == "no_permission"
    assert f"permission {permission} in Jenkins" in str(caught.value)


def test_a_user_who_may_not_stop_is_told_so(server: Jenkins, builder: JenkinsBuilder, spec: JobSpec) -> None:
    builder.write_job(JobSpec(spec.path, "shop", 2, SLOW, ""))
    builder.trigger(spec.path, Values({KEY: "k"}))
    number = begun(builder, spec, "k")
    server.faults.deny("Job/Cancel")
    with pytest.raises(Rejected) as caught:
        builder.cancel(spec.path, Place(number=number))
    assert "Job/Cancel" in str(caught.value)


def test_starting_up_and_broken_answers_are_asked_again(server: Jenkins, builder: JenkinsBuilder) -> None:
    with server.faults.starting(), pytest.raises(Unavailable) as caught:
        builder.census()
    assert caught.value.code == "starting"
    for torn in (True, False):
        with server.faults.truncated("computer", torn=torn), pytest.raises(Unavailable) as caught:
            builder.census()
        assert caught.value.code == "broken_answer"
    assert builder.census().running == ()


def test_a_drip_and_a_delay_end_in_time(server: Jenkins) -> None:
    builder = JenkinsBuilder(JenkinsConfig(server.url, server.user, server.token, timeout_s=2))
    for fault in (server.faults.slow(0.1, "queue"), server.faults.latency(600, "queue")):
        with fault, pytest.raises(Unavailable) as caught:
            builder.census()
        assert caught.value.code == "no_answer"


def test_a_thousand_running_builds_are_two_requests(server: Jenkins, builder: JenkinsBuilder) -> None:
    for shop in range(10):
        server.fake_running(f"fangduoduo-release/shop-{shop}", 100, {KEY: f"key-{shop}-{{n}}", "FDD_COMMIT": "a" * 40})
    server.requests.clear()
    found = builder.census()
    assert len(found.running) == 1000
    assert len({one.key for one in found.running}) == 1000
    assert server.requests.count() == 2
