"""The starters do what their READMEs say: they test, check, pack and serve with nothing but python3 and sh."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from tests.projects.git.conftest import ROOT
from tests.waiting import until

STARTERS = ROOT / "examples" / "starters"
ENV = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTERS / "python-http", tmp_path / "work"))


def run(work: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=work, env={**ENV, **env}, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def service(work: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The packed service as the portal starts it; its address. A test may choose its grace in seconds."""
    (work / "version.json").write_text('{"version": "7", "commit": "0123456789abcdef"}')
    env = {**ENV, "PORT": "0", "GREETING": "<Grüße>", "STOP_GRACE": getattr(request, "param", "0.4")}
    process = subprocess.Popen(["python3", "app.py"], cwd=work, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = re.fullmatch(r"version 7 listens on port (\d+)\n", process.stdout.readline())
    assert said
    yield process, f"http://127.0.0.1:{said[1]}"
    process.kill()
    process.wait()
    process.stdout.close()


def test_every_starter_has_a_pipeline_and_says_what_it_is() -> None:
    for starter in (entry for entry in STARTERS.iterdir() if (entry / "README.md").is_file()):
        assert (starter / "Jenkinsfile").read_text().startswith("pipeline {")
        assert (starter / "README.md").read_text().startswith("# ")


def test_its_tests_pass_and_leave_a_report(work: Path) -> None:
    done = run(work, "python3", "run_tests.py")
    assert done.returncode == 0, done.stdout
    suite = ElementTree.parse(work / "reports" / "unittest.xml").getroot()
    assert suite.get("failures") == suite.get("errors") == "0"
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) >= 5


def test_a_failing_test_fails_and_is_reported_with_its_reason(work: Path) -> None:
    (work / "test_more.py").write_text(
        "import unittest\n\n\nclass T(unittest.TestCase):\n"
        "    def test_wrong(self):\n        self.assertEqual(1, 2)\n\n"
        "    def test_broken(self):\n        raise RuntimeError('<&>')\n\n"
        "    @unittest.skip('later')\n    def test_later(self):\n        pass\n"
    )
    assert run(work, "python3", "run_tests.py").returncode == 1
    suite = ElementTree.parse(work / "reports" / "unittest.xml").getroot()
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")
    outcome = {case.get("name"): case for case in suite.findall("testcase")}
    failure = outcome["test_wrong"].find("failure")
    assert failure is not None
    assert "1 != 2" in failure.get("message", "")
    assert outcome["test_broken"].find("error") is not None
    assert outcome["test_later"].find("skipped") is not None


def test_its_linter_finds_what_it_promises(work: Path) -> None:
    assert run(work, "python3", "lint.py").returncode == 0
    (work / "bad.py").write_text("x = 1 \n\ty = 2\n" + "#" * 121 + "\n")
    found = run(work, "python3", "lint.py")
    assert found.returncode == 1
    for complaint in ("bad.py:1: blanks at the end", "bad.py:2: a tab", "bad.py:3: 121 letters", "unexpected indent"):
        assert complaint in found.stdout


def test_the_pack_step_of_the_pipeline_writes_the_version(work: Path) -> None:
    script = re.search(r"sh '''(.*?)'''", (work / "Jenkinsfile").read_text(), re.DOTALL)
    assert script
    text = script[1].replace("\\\\", "\\")  # as Groovy reads it
    run(work, "sh", "-xe", "-c", text, BUILD_NUMBER="12", GIT_COMMIT="a" * 40)
    assert json.loads((work / "version.json").read_text()) == {"version": "12", "commit": "a" * 40}


def test_it_serves_its_version(service: tuple[subprocess.Popen[str], str]) -> None:
    _, url = service
    with httpx.Client(timeout=60) as client:
        page = client.get(url)
        assert page.headers["x-version"] == "7"
        assert "&lt;Grüße&gt;" in page.text
        assert "<b>7</b>" in page.text
        assert client.get(f"{url}/version").json() == {"version": "7", "commit": "0123456789", "greeting": "<Grüße>"}
        assert client.get(f"{url}/healthz").status_code == 200
        assert client.get(f"{url}/../etc/passwd").status_code == 404
        assert client.head(url).status_code == 200


@pytest.mark.parametrize("service", ["3600"], indirect=True)
def test_it_drains_before_it_stops(service: tuple[subprocess.Popen[str], str]) -> None:
    process, url = service
    with httpx.Client(timeout=60) as client:
        assert client.get(url).status_code == 200
        process.send_signal(signal.SIGTERM)
        until(lambda: client.get(f"{url}/healthz").status_code == 503, what="probes to hear that it stops")
        assert client.get(url).status_code == 200, "people are still answered"
    assert process.poll() is None


def test_it_stops_when_its_grace_is_over(service: tuple[subprocess.Popen[str], str]) -> None:
    process, url = service
    assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
