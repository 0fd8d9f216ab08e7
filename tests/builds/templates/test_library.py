"""Every shipped template is a pipeline both Jenkins and we take, and really builds: here with real shells, real
archives, real interpreters where they are there, and small stand-ins on PATH for those that are not."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builds.jenkinsfile import parse, stage_tree, validate
from builds.library_words import DESCRIPTIONS, HELP, NAMES
from builds.templates import Shipped, shipped
from builds.validation import parameters_of
from clusters.drivers.runtime.local.archive import Limits, unpack
from tests.builds.embedded.ground import Ground, Ran, Repository

TEMPLATES = {one.slug: one for one in shipped()}
ALL = sorted(TEMPLATES)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGE = "registry.test:5000/shop:7"
REPORT = "<testsuite name='s'><testcase classname='c' name='works'/>%s</testsuite>"
FAILED = "<testcase classname='c' name='breaks'><failure message='no'/></testcase>"
DOCKER = r"""#!/bin/sh
echo "$@" >> "$TOOLS/docker.log"
case "$1" in
    login) cat > "$TOOLS/password"; echo "$DOCKER_CONFIG" > "$TOOLS/config" ;;
    build) cat "$3" > "$TOOLS/built"; ls -A > "$TOOLS/context" ;;
    push) [ ! -e "$TOOLS/refuses" ] || { echo 'denied: not yours' >&2; exit 1; } ;;
    image) echo "other.test/shop@sha256:0000"; echo "registry.test:5000/shop@sha256:abcd" ;;
esac
"""


class Bench:
    """Runs templates on a repository with chosen files, with stand-ins in front on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.repository = Repository.make(folder)

    def tool(self, name: str, script: str) -> None:
        path = self.tools / name
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def said(self, name: str) -> str:
        return (self.tools / name).read_text()

    def build(self, slug: str, files: dict[str, str], path: str = SYSTEM_PATH, **parameters: Any) -> Ran:
        """The template at work; names that begin with REGISTRY, and `environment`, are the environment's."""
        text, commit = TEMPLATES[slug].text, self.repository.commit(files)
        environment = {"PATH": f"{self.tools}:{path}", "TOOLS": str(self.tools), **parameters.pop("environment", {})}
        environment |= {name: parameters.pop(name) for name in list(parameters) if name.startswith("REGISTRY")}
        ground = Ground(self.folder / commit, self.repository, commit)
        return ground.run(text, pipeline=text, parameters=parameters, environment=environment)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def artifacts(ran: Ran) -> Path:
    return ran.root.parent.parent / "artifacts"


def kept(ran: Ran) -> set[str]:
    return {a.path for a in ran.sink.artifacts}


def facts(ran: Ran) -> dict[str, str]:
    return json.loads((artifacts(ran) / "release.json").read_text())


def packed(ran: Ran) -> set[str]:
    with tarfile.open(artifacts(ran) / "release.tar.gz") as tar:
        return {member.name.removeprefix("./") for member in tar if member.isfile()}


# --- what every one of them is -----------------------------------------------------------------------------------


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


# --- python --------------------------------------------------------------------------------------------------------

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


# --- the image stage, the same in all of them ------------------------------------------------------------------------


def test_the_image_stage_is_the_same_everywhere() -> None:
    """One mistake there would be eight."""
    parts = set()
    for one in shipped():
        start = one.text.index('withEnv(["TOOL=${tool}"])')
        parts.add(one.text[start : one.text.index("stage('Release')")])
    assert len(parts) == 1


def test_an_image_is_built_pushed_and_its_digest_told(bench: Bench) -> None:
    bench.tool("docker", DOCKER)
    ran = bench.build(
        "dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE, REGISTRY="https://registry.test:5000/",
        REGISTRY_USER="robot", REGISTRY_PASSWORD="s3cret word",
    )  # fmt: skip
    assert ran.state == "succeeded", ran.text
    assert facts(ran) == {"image": IMAGE, "digest": "sha256:abcd"}
    asked = bench.said("docker.log").splitlines()
    assert asked[1:4] == [
        "login --username robot --password-stdin registry.test:5000",
        f"build --file Dockerfile --tag {IMAGE} .",
        f"push {IMAGE}",
    ]
    assert bench.said("password") == "s3cret word"
    assert "s3cret" not in ran.text + bench.said("docker.log")
    assert not Path(bench.said("config").strip()).exists(), "the sign-in is forgotten"


def test_without_a_user_nobody_signs_in(bench: Bench) -> None:
    bench.tool("docker", DOCKER)
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE)
    assert ran.state == "succeeded", ran.text
    assert "login" not in bench.said("docker.log")


def test_the_sign_in_a_machine_has_already_is_kept(bench: Bench, tmp_path: Path) -> None:
    home = tmp_path / "docker-home"
    home.mkdir()
    (home / "config.json").write_text('{"auths": {"base.test": {}}}')
    bench.tool("docker", DOCKER.replace("login) ", 'login) cp "$DOCKER_CONFIG/config.json" "$TOOLS/had"; '))
    more = {"environment": {"DOCKER_CONFIG": str(home)}}
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE, REGISTRY_USER="robot", **more)
    assert ran.state == "succeeded", ran.text
    assert "base.test" in bench.said("had")
    assert (home / "config.json").exists()


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_podman_and_buildah_do_where_docker_does_not_answer(bench: Bench, tool: str) -> None:
    bench.tool("docker", "exit 1")
    bench.tool("podman", "exit 1")
    bench.tool(
        tool,
        'echo "$@" >> "$TOOLS/asked"\ncase "$1" in push) echo sha256:beef > "$3" ;; '
        'login) cat >/dev/null; echo "$REGISTRY_AUTH_FILE" > "$TOOLS/auth" ;; esac',
    )
    ran = bench.build(
        "dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE, REGISTRY_USER="robot", REGISTRY_PASSWORD="x"
    )
    assert ran.state == "succeeded", ran.text
    assert facts(ran) == {"image": IMAGE, "digest": "sha256:beef"}
    assert "login --username robot --password-stdin registry.test:5000" in bench.said("asked")
    assert f"push --digestfile image.digest {IMAGE}" in bench.said("asked")
    assert bench.said("auth").strip().endswith("config.json")


def test_no_tool_for_images_is_one_sentence(bench: Bench) -> None:
    for name in ("docker", "podman", "buildah"):
        bench.tool(name, "exit 1")
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE)
    assert ran.state == "failed"
    assert "neither a docker that answers nor podman nor buildah" in ran.sentence


def test_a_push_that_is_refused_fails_the_build(bench: Bench) -> None:
    bench.tool("docker", DOCKER)
    (bench.tools / "refuses").touch()
    ran = bench.build("dockerfile", {"Dockerfile": "FROM scratch\n"}, IMAGE=IMAGE)
    assert ran.state == "failed"
    assert "denied: not yours" in ran.text
    assert kept(ran) == set()


PLAIN = {
    "python": ({"app.py": ""}, {}, ["FROM python:3.12-slim", "CMD python app.py"]),
    "node": ({"package.json": "{}"}, {"BASE_IMAGE": "node:20"}, ["FROM node:20", 'CMD ["npm", "start"]']),
    "static-site": ({"public/index.html": "hi"}, {}, ["FROM nginx:1.27-alpine", "COPY public /usr/share/nginx/html"]),
}


@pytest.mark.parametrize("slug", PLAIN)
def test_a_plain_dockerfile_is_written_where_there_is_none(bench: Bench, slug: str) -> None:
    files, parameters, lines = PLAIN[slug]
    if slug == "node":
        _needs("node", "npm")
    bench.tool("docker", DOCKER)
    ran = bench.build(slug, files, IMAGE=IMAGE, **parameters)
    assert ran.state == "succeeded", ran.text
    written = bench.said("built").splitlines()
    assert set(lines) <= set(written)
    assert ".dockerignore" in bench.said("context")
    assert facts(ran)["archive"] == "release.tar.gz"
    assert facts(ran)["image"] == IMAGE


def test_a_dockerfile_of_the_project_is_respected(bench: Bench) -> None:
    bench.tool("docker", DOCKER)
    ran = bench.build(
        "python", {"app.py": "", "deploy/Dockerfile": "FROM mine\n"}, IMAGE=IMAGE, DOCKERFILE="deploy/Dockerfile"
    )
    assert ran.state == "succeeded", ran.text
    assert bench.said("built") == "FROM mine\n"


# --- dockerfile, static site -----------------------------------------------------------------------------------------


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


# --- node, java, go, php ---------------------------------------------------------------------------------------------


def _needs(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not on this machine")


def test_node_builds_tests_and_keeps_what_was_built(bench: Bench) -> None:
    _needs("node", "npm")
    scripts = {
        "build": "node -e \"require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/app.js', 'x')\"",
        "test": f'mkdir -p reports && echo "{REPORT % ""}" > reports/r.xml',
    }
    files = {"package.json": json.dumps({"name": "shop", "version": "1.0.0", "scripts": scripts}), "src/a.js": ""}
    ran = bench.build("node", files, ARCHIVE="dist")
    assert ran.state == "succeeded", ran.text
    assert packed(ran) == {"dist/app.js"}
    assert ran.sink.reports[0].passed == 1


def test_node_without_scripts_only_packs(bench: Bench) -> None:
    _needs("node", "npm")
    test = 'echo "Error: no test specified" && exit 1'
    files = {"package.json": json.dumps({"scripts": {"test": test}}), "server.js": ""}
    ran = bench.build("node", files)
    assert ran.state == "succeeded", ran.text
    assert "server.js" in packed(ran)


@pytest.mark.parametrize(
    ("lock", "manager", "asked"),
    [("pnpm-lock.yaml", "pnpm", "install --frozen-lockfile"), ("yarn.lock", "yarn", "install --frozen-lockfile"),
     ("package-lock.json", "npm", "ci")],
)  # fmt: skip
def test_node_goes_by_the_lock_file(bench: Bench, lock: str, manager: str, asked: str) -> None:
    _needs("node")
    for name in ("npm", "pnpm", "yarn"):
        bench.tool(name, f'echo "$@" >> "$TOOLS/{name}.log"; [ "$1" != --version ] || echo 1.22.0')
    ran = bench.build("node", {"package.json": "{}", lock: ""})
    assert ran.state == "succeeded", ran.text
    assert asked in bench.said(f"{manager}.log").splitlines()
    chosen = bench.build("node", {}, PACKAGE_MANAGER="yarn")
    assert chosen.state == "succeeded"
    assert "install --frozen-lockfile" in bench.said("yarn.log")


def maven(failed: str = "") -> str:
    """A Maven that writes down how it was called and leaves what Maven leaves."""
    return f"""#!/bin/sh
echo "$@" >> "$TOOLS/maven.log"
mkdir -p target/surefire-reports
case "$*" in *verify*) echo "{REPORT % failed}" > target/surefire-reports/TEST-a.xml ;; esac
echo small > target/shop-sources.jar; echo the jar > target/shop.jar
"""


def gradle(failed: str = "", code: int = 0, report: bool = True) -> str:
    """The same for Gradle, whose tests end it."""
    write = f'echo "{REPORT % failed}" > build/test-results/test/a.xml;' if report else ""
    return f"""echo "$@" >> "$TOOLS/gradle.log"
mkdir -p build/libs build/test-results/test
echo the jar > build/libs/shop.jar; echo x > build/libs/shop-plain.jar
case "$*" in *check*) {write} exit {code} ;; esac
"""


def test_maven_prefers_the_wrapper_and_keeps_the_jar(bench: Bench) -> None:
    bench.tool("mvn", "echo the wrong one; exit 9")
    ran = bench.build("java-maven", {"pom.xml": "", "mvnw": maven()}, MAVEN_ARGUMENTS="-Pproduction -q")
    assert ran.state == "succeeded", ran.text
    assert kept(ran) == {"release.json", "target/shop.jar"}
    assert bench.said("maven.log").splitlines() == [
        "--batch-mode -DskipTests -Pproduction -q package",
        "--batch-mode -Dmaven.test.failure.ignore=true -Pproduction -q verify",
    ]
    assert ran.sink.reports[0].passed == 1


def test_maven_on_path_does_too_and_failed_tests_are_unstable(bench: Bench) -> None:
    bench.tool("mvn", maven(FAILED))
    ran = bench.build("java-maven", {"pom.xml": ""})
    assert ran.state == "unstable", ran.text
    assert ran.sink.reports[0].failed == 1


def test_gradle_that_fails_because_of_tests_is_unstable_and_otherwise_failed(bench: Bench) -> None:
    good = bench.build("java-gradle", {"build.gradle": "", "gradlew": gradle()})
    assert good.state == "succeeded", good.text
    assert kept(good) == {"release.json", "build/libs/shop.jar"}
    assert bench.build("java-gradle", {"gradlew": gradle(FAILED, code=1)}).state == "unstable"
    broken = bench.build("java-gradle", {"gradlew": gradle(code=4, report=False)})
    assert (broken.state, broken.sentence) == ("failed", "The tests ended with exit code 4; the log above says why.")


def test_java_makes_an_image_of_its_largest_jar(bench: Bench) -> None:
    bench.tool("docker", DOCKER.replace("build) ", 'build) cp app.jar "$TOOLS/jar"; '))
    ran = bench.build("java-maven", {"pom.xml": "", "mvnw": maven()}, IMAGE=IMAGE)
    assert ran.state == "succeeded", ran.text
    assert bench.said("jar") == "the jar\n"
    assert "FROM eclipse-temurin:21-jre" in bench.said("built")


GO = """echo "$@" >> "$TOOLS/go.log"; echo "cgo=$CGO_ENABLED" >> "$TOOLS/go.log"
case "$1" in build) echo program > "$4" ;; esac
"""


def test_go_builds_one_program(bench: Bench) -> None:
    bench.tool("go", GO)
    ran = bench.build("go", {"go.mod": "module shop\n"}, PACKAGE="./cmd/server", PROGRAM="shop")
    assert ran.state == "succeeded", ran.text
    assert kept(ran) == {"release.json", "bin/shop"}
    assert bench.said("go.log").splitlines()[:3] == ["build -trimpath -o bin/shop ./cmd/server", "cgo=0", "test ./..."]
    bench.build("go", {}, CGO=True)
    assert "cgo=1" in bench.said("go.log")


def test_php_installs_tests_and_leaves_development_out(bench: Bench) -> None:
    bench.tool("php", f'echo "php $@" >> "$TOOLS/php.log"; [ "$2" != --log-junit ] || echo "{REPORT % ""}" > "$3"')
    bench.tool("composer", 'echo "$@" >> "$TOOLS/composer.log"; mkdir -p vendor/bin; touch vendor/bin/phpunit')
    ran = bench.build(
        "php", {"composer.json": "{}", "index.php": "<?php", ".htaccess": "x"}, COMPOSER_AUTH='{"a":"hush-hush"}'
    )
    assert ran.state == "succeeded", ran.text
    assert {"index.php", ".htaccess"} <= packed(ran)
    assert ran.sink.reports[0].passed == 1
    asked = bench.said("composer.log").splitlines()
    assert asked[0] == "install --no-interaction --no-progress"
    assert "--no-dev" in asked[1]
    assert "hush-hush" not in ran.text


MISSING = {
    "java-maven": ({"pom.xml": ""}, "Maven is missing"),
    "java-gradle": ({"build.gradle": ""}, "Gradle is missing"),
    "node": ({"package.json": "{}"}, "Node.js is missing"),
    "go": ({"go.mod": ""}, "Go is missing"),
    "php": ({"index.php": ""}, "PHP is missing"),
}


@pytest.mark.parametrize("slug", MISSING)
def test_a_missing_tool_is_one_clear_sentence(bench: Bench, slug: str) -> None:
    files, words = MISSING[slug]
    for name in ("git", "sh", "rm", "mkdir", "env", "cat"):
        found = shutil.which(name)
        assert found
        (bench.tools / name).symlink_to(found)
    ran = bench.build(slug, files, path=str(bench.tools))
    assert ran.state == "failed"
    assert ran.sentence.startswith(words), ran.text
    assert kept(ran) == set()
