"""Names become addresses below Jenkins', or are refused; Jenkins' addresses become names by their path alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.drivers.builder.jenkins import JenkinsBuilder
from builds.drivers.builder.jenkins.paths import (
    artifact_parts,
    build_url,
    input_url,
    is_segment,
    job_of,
    job_url,
    queue_id_of,
)
from builds.drivers.builder.remote import Place, Values
from fangduoduo_release.common.errors import Invalid

from .canned import Canned

BAD = [
    "",
    "..",
    ".",
    "a/..",
    "../a",
    "a//b",
    "/a",
    "a/",
    "a%2fb",
    "a?b",
    "a#b",
    "a;b",
    "a\\b",
    "a\nb",
    "a\x00b",
    "a..b",
]
ODD = ["https://evil.example/", "@evil.example", ":80", "a" * 101, " a", "a ", "-a", "&", "a&b", "a=b", "\u202eabc"]


@pytest.mark.parametrize("path", BAD + ODD)
def test_a_name_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Invalid):
        job_url(path)


@pytest.mark.parametrize("name", BAD + ODD)
def test_nothing_is_sent_for_a_bad_name(jenkins: Canned, builder: JenkinsBuilder, name: str, tmp_path: Path) -> None:
    calls = [
        lambda: builder.read_job(name),
        lambda: builder.trigger(name, Values({})),
        lambda: builder.observe(name, 1),
        lambda: builder.stages(name, 1),
        lambda: builder.questions(name, 1),
        lambda: builder.tests(name, 1),
        lambda: builder.artifacts(name, 1),
        lambda: builder.cancel(name, Place(number=1)),
        lambda: builder.download(name, 1, "a.txt", tmp_path, limit=1),
        lambda: builder.answer(name, 1, "x", proceed=True, values={}),
        lambda: builder.log(name, 1, 0).__enter__(),
    ]
    for call in calls:
        with pytest.raises(Invalid):
            call()
    assert jenkins.asked == []


@pytest.mark.parametrize("project", ["..", "a/b", "", "a%2f"])
def test_a_project_stays_in_the_folder(builder: JenkinsBuilder, project: str) -> None:
    with pytest.raises(Invalid):
        builder.job_path(project)


def test_a_project_lives_below_the_folder(jenkins: Canned) -> None:
    assert jenkins.builder(folder="team/portal").job_path("shop") == "team/portal/shop"


def test_a_job_in_folders_has_an_address() -> None:
    assert job_url("a/b c/d") == "job/a/job/b%20c/job/d"
    assert job_url("发布/x") == "job/%E5%8F%91%E5%B8%83/job/x"
    assert build_url("a/b", 7) == "job/a/job/b/7"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=30))
def test_whatever_is_accepted_stays_one_segment(name: str) -> None:
    if is_segment(name):
        url = job_url(name)
        assert url.startswith("job/")
        assert url.count("/") == 1
        assert ".." not in url
        assert job_of(f"https://ci.example/{url}/") == (name, None)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:8081/job/rig-pipe/2/", ("rig-pipe", 2)),
        ("http://127.0.0.1:8081/job/rig-pipe/", ("rig-pipe", None)),
        ("https://other.example/jenkins/job/fold/job/in/15/", ("fold/in", 15)),
        ("https://ci/job/a%20b/job/c", ("a b/c", None)),
        ("https://ci/job/a%2F..%2Fb/1/", None),
        ("https://ci/job/../3/", None),
        ("https://ci/computer/x/", None),
        ("", None),
        ("http://[broken/job/a/1/", None),
        ("queue/item/3/", None),
    ],
)
def test_jobs_are_read_from_the_path_whatever_host_jenkins_believes_in(
    url: str, found: tuple[str, int | None] | None
) -> None:
    assert job_of(url) == found


@pytest.mark.parametrize(
    ("location", "number"),
    [
        ("http://127.0.0.1:8081/queue/item/3/", 3),
        ("https://evil.example/queue/item/77", 77),
        ("/jenkins/queue/item/12/", 12),
        ("http://127.0.0.1:8081/job/x/", None),
        ("", None),
        ("http://[x/queue/item/1/", None),
        ("/queue/item/99999999999999999999999/", None),
    ],
)
def test_of_a_location_only_the_queue_number_is_used(location: str, number: int | None) -> None:
    assert queue_id_of(location) == number


@pytest.mark.parametrize(
    "artifact", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a\\..\\b", "a\nb", "x" * 300]
)
def test_an_artifact_cannot_leave_its_build(
    jenkins: Canned, builder: JenkinsBuilder, artifact: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid):
        builder.download("f/p", 1, artifact, tmp_path, limit=10)
    assert jenkins.asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("artifact", ["a.txt", "out/a b/c&d;e%2f?.txt", "报告/结果.html"])
def test_a_strange_but_honest_artifact_is_allowed(artifact: str) -> None:
    assert "/".join(artifact_parts(artifact)) == artifact


@pytest.mark.parametrize("question", ["", "../x", "a/b", "a%2f", "a..b", "?"])
def test_a_question_is_named_by_a_plain_id(question: str) -> None:
    with pytest.raises(Invalid):
        input_url("a", 1, question)


def test_a_path_prefix_is_kept_in_every_request(jenkins: Canned) -> None:
    builder = jenkins.builder(url=jenkins.url + "/tools/jenkins/")
    assert builder.observe("a/b", 3).state is None
    assert all(path.startswith("/tools/jenkins/job/a/job/b") for path in jenkins.paths())
