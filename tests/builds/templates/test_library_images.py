"""The stage that makes an image, the same in every shipped template, with stand-ins for docker, podman and buildah."""

from __future__ import annotations

from pathlib import Path

import pytest

from builds.templates import shipped

from .bench import DOCKER, IMAGE, Bench, facts, kept, needs


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
        needs("node", "npm")
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
