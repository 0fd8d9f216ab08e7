"""Every shipped template is a pipeline both Jenkins and we take, and its words can be translated; Python, static sites and
Dockerfiles really build here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builds.jenkinsfile import parse, stage_tree, validate
from builds.library_words import DESCRIPTIONS, HELP, NAMES
from builds.templates import Shipped, shipped
from builds.validation import parameters_of
from clusters.drivers.runtime.local.archive import Limits, unpack

from .bench import ALL, FAILED, IMAGE, REPORT, TEMPLATES, Bench, artifacts, facts, kept, packed


@pytest.mark.parametrize("slug", ALL)
def test_it_is_accepted_without_a_word(slug: str) -> None:
    found = validate(TEMPLATES[slug].text)
    assert [*found.errors, *found.warnings] == []


@pytest.mark.parametrize("slug", ALL)
def test_it_runs_the_same_here_and_in_jenkins(slug: str) -> None:
    """Checkout is a stage of its own; nothing needs a plugin that a Jenkins with pipelines does not have."""
    text = TEMPLATES[slug].text
    pipeline = parse(text).pipeline
    assert pipeline is not None
    assert {option.name for option in pipeline.options} == {"skipDefaultCheckout", "timeout"}
    assert next(node.name for node in stage_tree(pipeline)) == "Checkout"
    assert text.index("deleteDir()") < text.index("checkout scm")
    assert text.isascii()
    assert not text.split("\n")[0].startswith("pipeline"), "the first line may get something put before it"


@pytest.mark.parametrize("slug", ALL)
def test_every_parameter_has_a_type_a_default_and_help(slug: str) -> None:
    parameters = {p["name"]: p for p in parameters_of(TEMPLATES[slug].text)}
    assert {"FOLDER", "IMAGE"} <= set(parameters)
    assert parameters["IMAGE"]["default"] == ""
    for parameter in parameters.values():
        assert parameter["description"] in HELP, parameter
        assert parameter["type"] in {"string", "choice", "boolean", "password", "image"}
        assert parameter["type"] != "choice" or parameter["default"] in parameter["choices"]
    assert not {"REGISTRY", "REGISTRY_USER", "REGISTRY_PASSWORD"} & set(parameters), "those are the portal's"


def test_the_library_has_parameters_of_every_type() -> None:
    types = {p["type"] for one in shipped() for p in parameters_of(one.text)}
    assert types == {"string", "choice", "boolean", "password", "image"}


@pytest.mark.parametrize("one", shipped(), ids=ALL)
def test_its_words_can_be_translated(one: Shipped) -> None:
    assert one.name in NAMES
    assert one.description in DESCRIPTIONS


def test_no_word_is_translated_for_nothing() -> None:
    used = {p["description"] for one in shipped() for p in parameters_of(one.text)}
    assert set(HELP) == used
    assert {one.name for one in shipped()} == set(NAMES)
    assert {one.description for one in shipped()} == set(DESCRIPTIONS)


@pytest.mark.parametrize("slug", ALL)
def test_no_password_is_ever_on_a_command_line_or_traced(slug: str) -> None:
    text = TEMPLATES[slug].text
    for script in re.findall(r"'''(.*?)'''", text, re.S):
        if "PASSWORD" in script or "TOKEN" in script:
            assert script.strip().startswith("set +x"), script
            assert "--password-stdin" in script
            assert not re.search(r"--password[ =]", script)
    assert "$COMPOSER_AUTH" not in text
    assert "$NPM_TOKEN" not in text


APP = {
    "app.py": "print('hi')\n",
    "test_app.py": "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n",
}


def test_python_tests_and_keeps_the_source(bench: Bench, tmp_path: Path) -> None:
    ran = bench.build("python", APP)
    assert ran.state == "succeeded", ran.text
    assert ran.states == {
        "Checkout": "succeeded", "Build": "succeeded", "Test": "succeeded", "Package": "succeeded", "Image": "skipped",
        "Release": "succeeded",
    }  # fmt: skip
    assert "test_it" in ran.text
    assert kept(ran) == {"release.json", "release.tar.gz"}
    assert facts(ran) == {"archive": "release.tar.gz"}
    assert packed(ran) == {"app.py", "test_app.py"}
    archive = artifacts(ran) / "release.tar.gz"
    sha = next(a.sha256 for a in ran.sink.artifacts if a.path == "release.tar.gz")
    (tmp_path / "releases").mkdir()
    folder = unpack(archive, f"sha256:{sha}", tmp_path / "releases", Limits())
    assert (folder / "app.py").read_text() == "print('hi')\n"


def test_equal_builds_leave_equal_archives(bench: Bench) -> None:
    first, second = (bench.build("python", APP) for _ in range(2))
    digests = [{a.sha256 for a in ran.sink.artifacts} for ran in (first, second)]
    assert digests[0] == digests[1]


def test_python_tests_that_fail_fail_the_build_with_one_sentence(bench: Bench) -> None:
    ran = bench.build("python", {**APP, "test_app.py": APP["test_app.py"].replace("pass", "assert False")})
    assert ran.state == "failed"
    assert ran.sentence == "The tests ended with exit code 1; the log above says why."
    assert kept(ran) == set()
    assert bench.build("python", {}, TESTS=False).state == "succeeded"


def test_reports_make_a_failed_test_an_unstable_build(bench: Bench) -> None:
    pytest_stand_in = (
        '#!/bin/sh\ncase "$*" in *pytest*) [ "$1" = -c ] && exit 0; mkdir -p reports; '
        f'echo "{REPORT % FAILED}" > reports/junit.xml; exit 1 ;; esac\nexec /usr/bin/env -i python3 "$@"\n'
    )
    bench.tool("snake", pytest_stand_in)
    ran = bench.build("python", {"app.py": ""}, PYTHON="snake")
    assert ran.state == "unstable", ran.text
    assert (ran.sink.reports[0].passed, ran.sink.reports[0].failed) == (1, 1)


def test_an_interpreter_that_is_not_there_is_one_sentence(bench: Bench) -> None:
    ran = bench.build("python", APP, PYTHON="python9")
    assert (ran.state, ran.sentence) == ("failed", "Python is missing: there is no python9 on this machine.")


def test_an_application_in_a_folder_is_built_there(bench: Bench) -> None:
    ran = bench.build("python", {f"services/shop/{name}": text for name, text in APP.items()}, FOLDER="services/shop")
    assert ran.state == "succeeded", ran.text
    assert packed(ran) == {"app.py", "test_app.py"}
    assert kept(ran) == {"release.json", "release.tar.gz"}


def test_a_release_json_of_the_project_is_respected(bench: Bench) -> None:
    ran = bench.build("python", {"app.py": "", "release.json": '{"notes": "mine", "archive": "release.tar.gz"}'})
    assert facts(ran)["notes"] == "mine"


def test_nothing_to_keep_is_kept_as_nothing(bench: Bench) -> None:
    ran = bench.build("python", APP, ARCHIVE="")
    assert ran.state == "succeeded"
    assert kept(ran) == {"release.json"}
    assert facts(ran) == {}


def test_a_dockerfile_without_a_registry_says_what_to_do(bench: Bench) -> None:
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"})
    assert ran.state == "failed"
    assert "choose a registry" in ran.sentence
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE, FOLDER="nowhere")
    assert ran.sentence == "There is no Dockerfile in the folder nowhere."


def test_a_dockerfile_may_keep_files_and_test(bench: Bench) -> None:
    files = {"Dockerfile": "FROM scratch\n", "conf/a.ini": "a", "conf/b.ini": "b"}
    test = f'mkdir reports; echo "{REPORT % ""}" > reports/r.xml'
    ran = bench.build("dockerfile", files, ARCHIVE="conf", TEST_COMMAND=test)
    assert ran.state == "succeeded", ran.text
    assert packed(ran) == {"conf/a.ini", "conf/b.ini"}
    assert ran.sink.reports[0].passed == 1
    assert bench.build("dockerfile", files, ARCHIVE="conf", TEST_COMMAND="exit 3").sentence.startswith(
        "The tests ended"
    )


@pytest.mark.parametrize(
    ("files", "parameters", "pages"),
    [
        ({"index.html": "hi", "css/a.css": "", "Jenkinsfile": "x"}, {}, {"index.html", "css/a.css"}),
        ({"index.html": "root", "dist/index.html": "built", "dist/a.js": ""}, {}, {"index.html", "a.js"}),
        ({"src/x": ""}, {"BUILD_COMMAND": "mkdir out; echo hi > out/index.html", "SITE": "out"}, {"index.html"}),
    ],
)
def test_a_static_site_is_its_pages(
    bench: Bench, files: dict[str, str], parameters: dict[str, str], pages: set[str]
) -> None:
    ran = bench.build("static-site", files, **parameters)
    assert ran.state == "succeeded", ran.text
    assert packed(ran) == pages


def test_a_site_without_pages_is_one_sentence(bench: Bench) -> None:
    ran = bench.build("static-site", {"README.md": ""}, SITE="pages")
    assert (ran.state, kept(ran)) == ("failed", set())
    assert "no index.html in the folder pages" in ran.sentence
