"""Shipped templates for Node, Java, Go and PHP: with the real tool where it is there, else with a stand-in on PATH."""

from __future__ import annotations

import json
import shutil

import pytest

from .bench import DOCKER, FAILED, IMAGE, REPORT, Bench, kept, needs, packed


def test_node_builds_tests_and_keeps_what_was_built(bench: Bench) -> None:
    needs("node", "npm")
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
    needs("node", "npm")
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
    needs("node")
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
