"""The build service looks at files and says what builds them, and why."""

from __future__ import annotations

import itertools

import pytest

from builds.build_service import KINDS, Choice, choose
from fangduoduo_release.common.errors import NotFound


def chosen(*files: str, texts: dict[str, str] | None = None, offered: list[str] | None = None) -> Choice:
    return choose(files, (texts or {}).get, offered)


def said(choice: Choice) -> str:
    return " ".join(str(sentence) for sentence in choice.why)


@pytest.mark.parametrize(
    ("file", "template"),
    [
        ("pom.xml", "java-maven"), ("build.gradle", "java-gradle"), ("build.gradle.kts", "java-gradle"),
        ("settings.gradle", "java-gradle"), ("go.mod", "go"), ("composer.json", "php"), ("pyproject.toml", "python"),
        ("requirements.txt", "python"), ("setup.py", "python"), ("setup.cfg", "python"), ("package.json", "node"),
        ("Dockerfile", "dockerfile"), ("Containerfile", "dockerfile"), ("index.html", "static-site"),
        ("public/index.html", "static-site"),
    ],
)  # fmt: skip
def test_each_file_speaks_for_its_template(file: str, template: str) -> None:
    choice = chosen("README.md", file, "src/other.txt")
    assert choice.template == template
    assert file in said(choice)
    assert choice.folder == ""
    assert [(c.template, c.file, c.chosen) for c in choice.considered] == [(template, file, True)]


@pytest.mark.parametrize(
    ("files", "template", "words"),
    [
        (("pom.xml", "Dockerfile"), "java-maven", "Dockerfile is used too"),
        (("package.json", "Dockerfile"), "node", "makes the image"),
        (("pom.xml", "build.gradle"), "java-maven", "build.gradle would be built with java-gradle, but java-maven"),
        (("package.json", "composer.json"), "php", "package.json would be built with node, but php comes first"),
        (("requirements.txt", "package.json", "index.html"), "python", "index.html would be built with static-site"),
        (("package.json", "index.html"), "node", "index.html would be built"),
        (("index.html", "Dockerfile"), "dockerfile", "index.html would be built"),
    ],
)
def test_several_at_once_have_an_order_and_it_is_told(files: tuple[str, ...], template: str, words: str) -> None:
    choice = chosen(*files)
    assert choice.template == template
    assert words in said(choice)
    assert len(choice.considered) == len(files)


def test_the_order_of_the_files_does_not_matter() -> None:
    files = ["pom.xml", "package.json", "Dockerfile", "index.html"]
    answers = {str(chosen(*order)) for order in itertools.permutations(files)}
    assert len(answers) == 1


def test_files_that_only_configure_tools_do_not_count() -> None:
    texts = {
        "pyproject.toml": "[tool.ruff]\nline-length = 120\n",
        "package.json": '{"devDependencies": {"prettier": "3"}}',
    }
    assert chosen("pyproject.toml", "package.json", "index.html", texts=texts).template == "static-site"
    texts["pyproject.toml"] = "[project]\nname = 'x'\n"
    assert chosen("pyproject.toml", "package.json", "index.html", texts=texts).template == "python"
    assert chosen("pyproject.toml", texts={"pyproject.toml": "[tool.poetry]\nname='x'"}).template == "python"
    assert chosen("setup.cfg", "index.html", texts={"setup.cfg": "[flake8]\n"}).template == "static-site"
    assert chosen("package.json", texts={"package.json": '{"scripts": {"build": "x"}}'}).template == "node"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0", "{" * 5000, '{"scripts": 3}'])
def test_files_that_cannot_be_understood_still_speak_by_their_name(text: str) -> None:
    assert chosen("package.json", "pom.xml", texts={"package.json": text}).template == "java-maven"
    assert chosen("pyproject.toml", "pom.xml", texts={"pyproject.toml": text}).template == "java-maven"


def test_an_application_in_a_folder_is_found_and_the_folder_is_said() -> None:
    choice = chosen("README.md", "backend/pom.xml", "backend/src/A.java")
    assert (choice.template, choice.folder) == ("java-maven", "backend")
    assert choice.defaults == {"FOLDER": "backend"}
    assert "folder backend" in said(choice)


def test_the_root_comes_before_folders_and_near_before_far() -> None:
    assert chosen("package.json", "backend/pom.xml").template == "node"
    near = chosen("deep/er/pom.xml", "web/package.json")
    assert (near.template, near.folder) == ("node", "web")


def test_several_applications_beside_each_other_are_named() -> None:
    choice = chosen("backend/pom.xml", "frontend/package.json", "frontend/index.html", "worker/requirements.txt")
    assert (choice.template, choice.folder) == ("java-maven", "backend")
    words = said(choice)
    assert "frontend/package.json" in words
    assert "worker/requirements.txt" in words
    assert "a project for each" in words


@pytest.mark.parametrize(
    "path",
    ["node_modules/x/package.json", "vendor/a/go.mod", "docs/index.html", "tests/pom.xml", ".github/package.json",
     "a/b/c/d/pom.xml", "_old/pom.xml", "it's/pom.xml", "a'b\n/pom.xml"],
)  # fmt: skip
def test_what_is_not_the_application_is_not_looked_into(path: str) -> None:
    with pytest.raises(NotFound):
        chosen("README.md", path)


def test_a_containerfile_is_named_in_the_parameters() -> None:
    assert chosen("Containerfile").defaults == {"DOCKERFILE": "Containerfile"}
    assert chosen("Containerfile", "Dockerfile").defaults == {}


def test_a_retired_template_is_passed_over_and_that_is_told() -> None:
    choice = chosen("pom.xml", "Dockerfile", offered=["dockerfile", "node"])
    assert choice.template == "dockerfile"
    assert "java-maven was retired" in said(choice)
    with pytest.raises(NotFound):
        chosen("pom.xml", offered=["node"])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "push a commit first"),
        (("README.md",), "pom.xml"),
        (("Cargo.toml", "src/main.rs"), "Rust"),
        (("Shop.csproj",), ".NET"),
        (("Gemfile",), "Ruby"),
    ],
)
def test_nothing_known_is_a_sentence_that_helps(files: tuple[str, ...], words: str) -> None:
    with pytest.raises(NotFound) as nothing:
        chosen(*files)
    assert nothing.value.code == "no_template"
    assert words in str(nothing.value)


def test_a_hundred_thousand_files_are_no_trouble() -> None:
    files = [f"src/part{n % 300}/deep/er/file{n}.py" for n in range(100_000)]
    assert chosen(*files, "go.mod").template == "go"


def test_odd_paths_are_no_trouble() -> None:
    assert chosen("/pom.xml", "", "//", "a//b", "\ud800").template == "java-maven"


def test_every_kind_has_its_template_in_the_library() -> None:
    from builds.templates import shipped

    assert {kind.template for kind in KINDS} == {one.slug for one in shipped()}
