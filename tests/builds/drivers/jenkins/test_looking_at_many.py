"""What became of many builds at once: a few requests, however many they are and however deep in their jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig, looking
from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.runs import Run


@pytest.fixture
def server() -> Iterator[Jenkins]:
    with Jenkins(user="portal") as jenkins:
        yield jenkins


@pytest.fixture
def builder(server: Jenkins) -> JenkinsBuilder:
    return JenkinsBuilder(JenkinsConfig(server.url, server.user, server.token, folder="fdd", timeout_s=60))


def begin(server: Jenkins, job: str, count: int) -> list[Run]:
    return server.fake_running(f"fdd/{job}", count, {"FDD_BUILD_KEY": "key-{n}", "IMAGE": "x" * 60})


def place(run: Run) -> tuple[str, int]:
    return run.job.full_name, run.number


def states(server: Jenkins, builder: JenkinsBuilder, runs: list[Run]) -> tuple[list[str | None], int]:
    """What is told of each (`-` when nothing is), and how many requests that took."""
    server.requests.clear()
    seen = builder.observe_many([place(run) for run in runs])
    return [seen[place(run)].state if place(run) in seen else "-" for run in runs], server.requests.count()


def test_one_build_costs_one_small_request(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = begin(server, "shop", 40)
    server.end(runs[0])
    assert states(server, builder, runs[:1]) == (["succeeded"], 1)
    assert server.requests.lines() == [
        line for line in server.requests.lines() if line.startswith("GET /job/fdd/job/shop/1/api/json")
    ]


def test_several_of_one_job_are_one_request(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = begin(server, "shop", 30)
    for run, result in zip(runs, ("SUCCESS", "UNSTABLE", "FAILURE", "ABORTED"), strict=False):
        server.end(run, result)
    assert states(server, builder, runs[:5]) == (["succeeded", "unstable", "failed", "cancelled", "running"], 1)


def test_the_oldest_of_hundreds_are_found_by_two(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = begin(server, "shop", 300)
    for run in runs[:20]:
        server.end(run)
    assert states(server, builder, runs[:20]) == (["succeeded"] * 20, 2)


def test_of_many_jobs_the_folder_tells_the_newest_builds(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = [run for number in range(30) for run in begin(server, f"app-{number}", 3)]
    for run in runs:
        server.end(run)
    assert states(server, builder, runs) == (["succeeded"] * 90, 1)


def test_a_burst_everywhere_stays_within_its_questions_and_goes_on_with_the_rest(
    server: Jenkins, builder: JenkinsBuilder
) -> None:
    runs = [run for number in range(9) for run in begin(server, f"app-{number}", 40)]
    for run in runs:
        server.end(run)
    left, asked, rounds = runs, 0, 0
    while left:
        found, asked = states(server, builder, left)
        assert asked <= looking.QUESTIONS
        assert found.count("-") < len(left), "every round finds some"
        left = [run for run, state in zip(left, found, strict=True) if state == "-"]
        rounds += 1
    assert rounds <= 3


def test_a_folder_too_large_for_one_answer_is_asked_job_by_job(
    server: Jenkins, builder: JenkinsBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [run for number in range(8) for run in begin(server, f"app-{number}", 10)]
    for run in runs:
        server.end(run)
    monkeypatch.setattr(looking, "LARGEST_FOLDER", 20_000)
    found, asked = states(server, builder, runs)
    assert asked == looking.QUESTIONS
    assert found.count("succeeded") >= 10 * (looking.QUESTIONS - 2), "jobs, and a last question for a single build"
    assert found.count("-") == len(runs) - found.count("succeeded")


def test_a_deleted_build_among_many_is_told_as_gone(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = begin(server, "shop", 5)
    server.delete_run(server.job("fdd/shop"), runs[2].number)
    server.end(runs[1])
    found, _ = states(server, builder, runs[1:4])
    assert found == ["succeeded", None, "running"]


def test_a_deleted_job_costs_the_others_nothing(server: Jenkins, builder: JenkinsBuilder) -> None:
    lost, kept = begin(server, "lost", 2), begin(server, "kept", 2)
    server.delete_item(server.job("fdd/lost"))
    server.end(kept[0])
    found, _ = states(server, builder, [*lost, *kept])
    assert found == [None, None, "succeeded", "running"]


def test_no_parameters_are_asked_for_and_no_reason_of_a_failure(server: Jenkins, builder: JenkinsBuilder) -> None:
    runs = begin(server, "shop", 3)
    for run in runs:
        server.end(run, "FAILURE")
    server.requests.clear()
    seen = builder.observe_many([place(run) for run in runs])
    assert [(found.state, found.sentence, found.key) for found in seen.values()] == [("failed", None, "")] * 3
    assert not [line for line in server.requests.lines() if "parameters" in line or "wfapi" in line]
