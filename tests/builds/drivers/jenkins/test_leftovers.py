"""Test results and artifacts: whole, bounded, and nowhere but where they belong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from builds.drivers.builder import base
from builds.drivers.builder.jenkins import JenkinsBuilder, leftovers
from builds.drivers.builder.remote import RemoteArtifact
from fangduoduo_release.common.errors import Rejected, Unavailable

from .canned import Answer, Asked, Canned, json_answer, recording, with_fault

URL = "/job/f/job/p/2"
REPORT = f"GET {URL}/testReport/api/json"
FILE = f"GET {URL}/artifact/out/a.txt"


def test_a_recorded_report_is_read(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[REPORT] = recording("testReport-unstable")
    report = builder.tests("f/p", 2)
    assert report is not None
    assert (report.passed, report.failed, report.skipped, report.seconds) == (1, 1, 0, 0.03)
    assert report.cases == (
        base.TestCase("c.D", "a", "passed", 0.01),
        base.TestCase("c.D", "b", "failed", 0.02, "m\nboom"),
    )


def test_a_build_without_tests_published_none(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[REPORT] = recording("testReport-missing")
    assert builder.tests("f/p", 2) is None


def case(name: str, status: str = "PASSED", **more: Any) -> dict[str, Any]:
    return {"className": "", "name": name, "status": status, "duration": 0.5, **more}


def test_states_and_reasons_are_told(jenkins: Canned, builder: JenkinsBuilder) -> None:
    cases = [
        case("fixed", "FIXED"),
        case("skipped", "SKIPPED", skippedMessage="not today"),
        case("long", "FAILED", errorStackTrace="é" * 20_000),
        case("odd", "WHATEVER", duration="NaN"),
    ]
    told = {
        "passCount": 1,
        "failCount": 2,
        "skipCount": 1,
        "duration": 2,
        "suites": [{"name": "suite", "cases": cases}],
    }
    jenkins.rules[REPORT] = json_answer(told)
    report = builder.tests("f/p", 2)
    assert report is not None
    assert [(c.suite, c.state) for c in report.cases] == [
        ("suite", "passed"),
        ("suite", "skipped"),
        ("suite", "failed"),
        ("suite", "failed"),
    ]
    assert report.cases[1].text == "not today"
    assert len(report.cases[2].text.encode()) <= 16 * 1024
    assert report.cases[3].seconds == 0


def test_more_than_twenty_thousand_cases_are_counted_not_listed(jenkins: Canned, builder: JenkinsBuilder) -> None:
    suites = [{"name": str(n), "cases": [case("x")] * 5000} for n in range(5)]
    jenkins.rules[REPORT] = json_answer({"passCount": 25_000, "failCount": 0, "skipCount": 0, "suites": suites})
    report = builder.tests("f/p", 2)
    assert report is not None
    assert report.passed == 25_000
    assert len(report.cases) == 20_000


def test_a_monstrous_report_is_asked_for_with_less(
    jenkins: Canned, builder: JenkinsBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LARGEST_REPORT", 10_000)

    def report(asked: Asked) -> Answer:
        size = {"errorDetails" in asked.query["tree"]: 5000, "cases" not in asked.query["tree"]: 0}.get(True, 2000)
        cases = [case("x", errorDetails="d" * size)] * 10
        return json_answer(
            {"passCount": 10, "failCount": 0, "skipCount": 0, "suites": [{"cases": cases if size else []}]}
        )

    jenkins.rules[REPORT] = report
    found = builder.tests("f/p", 2)
    assert found is not None
    assert (found.passed, found.cases) == (10, ())
    assert len(jenkins.asked) == 3


def test_artifacts_are_listed_as_recorded(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {URL}/api/json"] = recording("artifacts-tree")
    assert builder.artifacts("f/p", 2) == [RemoteArtifact("out/a.txt")]


def test_artifacts_of_a_deleted_build_are_not_just_none(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with pytest.raises(Rejected) as caught:
        builder.artifacts("f/p", 2)
    assert caught.value.code == "build_gone"


def test_an_artifact_is_fetched_whole_with_its_digest(jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path) -> None:
    body = bytes(range(256)) * 2000
    jenkins.rules[FILE] = Answer(200, body)
    into = tmp_path / "new" / "folder"
    found = builder.download("f/p", 2, "out/a.txt", into, limit=len(body))
    assert (found.path, found.size) == ("out/a.txt", len(body))
    assert found.sha256 == hashlib.sha256(body).hexdigest()
    assert (into / "out" / "a.txt").read_bytes() == body
    assert jenkins.asked[0].headers["Accept-Encoding"] == "identity"


def test_the_recorded_artifact_can_be_fetched(jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path) -> None:
    jenkins.rules[FILE] = recording("artifact-download")
    assert builder.download("f/p", 2, "out/a.txt", tmp_path, limit=100).size == 2


def test_a_strange_name_is_escaped_not_interpreted(jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path) -> None:
    jenkins.rules[f"GET {URL}/artifact/a%20b/c%3Fd%23e%25%3B%26.txt"] = Answer(200, b"x")
    assert builder.download("f/p", 2, "a b/c?d#e%;&.txt", tmp_path, limit=10).path == "a b/c?d#e%;&.txt"
    assert (tmp_path / "a b" / "c?d#e%;&.txt").is_file()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_too_large_an_artifact_is_refused_and_nothing_stays(
    jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path
) -> None:
    jenkins.rules[FILE] = Answer(200, b"x" * 100_001)
    with pytest.raises(Rejected) as caught:
        builder.download("f/p", 2, "out/a.txt", tmp_path, limit=100_000)
    assert caught.value.code == "too_large"
    assert files(tmp_path) == []


def test_a_missing_artifact_says_so(jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path) -> None:
    jenkins.rules[FILE] = recording("artifact-missing")
    with pytest.raises(Rejected) as caught:
        builder.download("f/p", 2, "out/a.txt", tmp_path, limit=10)
    assert caught.value.code == "artifact_gone"
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "code"), [("truncated", "broken_answer"), ("reset", "broken_answer"), ("stall", "no_answer")]
)
def test_half_an_artifact_never_has_its_name(jenkins: Canned, tmp_path: Path, fault: str, code: str) -> None:
    jenkins.rules[FILE] = with_fault(Answer(200, b"x" * 50_000), fault)
    builder = jenkins.builder(timeout_s=2 if fault == "stall" else 60)
    with pytest.raises(Unavailable) as caught:
        builder.download("f/p", 2, "out/a.txt", tmp_path, limit=100_000)
    assert caught.value.code == code
    assert files(tmp_path) == []


def test_an_artifact_kept_on_another_server_is_not_fetched_from_there(
    jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path
) -> None:
    with Canned({"GET /bucket/a.txt": Answer(200, b"x")}).serving() as other:
        jenkins.rules[FILE] = Answer(302, b"", {"Location": f"{other.url}/bucket/a.txt"})
        with pytest.raises(Unavailable) as caught:
            builder.download("f/p", 2, "out/a.txt", tmp_path, limit=10)
        assert caught.value.code == "redirected"
        assert other.asked == []


def test_a_link_in_the_target_is_not_followed_out_of_it(
    jenkins: Canned, builder: JenkinsBuilder, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    into = tmp_path / "into"
    into.mkdir()
    (into / "out").symlink_to(outside)
    jenkins.rules[FILE] = Answer(200, b"x")
    with pytest.raises(Rejected) as caught:
        builder.download("f/p", 2, "out/a.txt", into, limit=10)
    assert caught.value.code == "bad_path"
    assert files(outside) == []
