"""What a build is to push, and what is pinned of what it pushed; the registry that is asked is a real one."""

from __future__ import annotations

from typing import Any

import pytest

from builds import registries, versions
from builds.actions import queue_build, retry_build
from builds.agents.specs import spec_of
from builds.models import Build
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid, Rejected, Unavailable
from fangduoduo_release.common.models import Connection
from projects.drivers.source.base import Commit
from projects.models import Project
from projects.sources import source_of
from tests import world
from tests.simulators.registry import PASSWORD, USER, DockerRegistry

pytestmark = pytest.mark.django_db
OTHER = f"sha256:{'0' * 64}"


def connection(registry: DockerRegistry, name: str = "images", **config: Any) -> Connection:
    return Connection.objects.create(name=name, kind="registry", config={"url": registry.url, **config})


def tip(project: Project) -> Commit:
    source, repository = source_of(project)
    return source.resolve(repository, project.default_branch)


def queued(project: Project, **parameters: Any) -> Build:
    return queue_build(
        actor=SYSTEM, project=project, ref="refs/heads/main", commit=tip(project), parameters=parameters, trigger="api"
    )


@pytest.fixture
def project(plain: DockerRegistry) -> Project:
    made = world.project(slug="shop")
    made.registry_connection = connection(plain)
    made.save()
    return made


@pytest.fixture
def build(project: Project) -> Build:
    return queued(project)


def push(registry: DockerRegistry, image: str, content: bytes = b"x") -> str:
    repository, _, tag = image.partition("/")[2].rpartition(":")
    return registry.push(repository, tag, content)


# -- what a build is to push -----------------------------------------------------------------------------------------
def test_a_build_is_told_a_name_of_its_own_to_push(build: Build, plain: DockerRegistry) -> None:
    assert build.image == f"{plain.host}/shop:1-{build.commit_sha[:8]}"
    again = retry_build_of(build)
    assert again.image == f"{plain.host}/shop:2-{build.commit_sha[:8]}"


def retry_build_of(build: Build) -> Build:
    Build.objects.filter(pk=build.pk).update(state="failed")
    build.refresh_from_db()
    return retry_build(actor=SYSTEM, build=build)


def test_the_image_may_have_a_name_of_its_own(project: Project, plain: DockerRegistry) -> None:
    project.image = "team/storefront"
    project.save()
    assert queued(project).image.startswith(f"{plain.host}/team/storefront:1-")


@pytest.mark.parametrize("url", ["", None, "https://[broken", "/nowhere"])
def test_an_address_that_is_none_stops_no_build(project: Project, url: Any) -> None:
    assert project.registry_connection is not None
    project.registry_connection.config = {"url": url}
    project.registry_connection.save()
    assert queued(project).image == ""


def test_without_a_registry_there_is_nothing_to_push() -> None:
    build = queued(world.project())
    assert build.image == ""
    assert registries.push_values(build) == registries.Values(plain={})
    assert registries.pin(build, {}) == ("", "")


def test_a_pipeline_is_told_how_to_push_and_the_password_apart(project: Project, locked: DockerRegistry) -> None:
    home = connection(locked, "locked", username=USER)
    home.secrets = {"password": PASSWORD}
    home.save()
    project.registry_connection = home
    project.save()
    build = queued(project)
    values = registries.push_values(build)
    assert values.plain == {"IMAGE": build.image, "REGISTRY": locked.host, "REGISTRY_USER": USER}
    assert values.secret == {"REGISTRY_PASSWORD": PASSWORD}
    assert PASSWORD not in repr(values)


def test_the_name_of_an_image_that_a_person_typed_stays_theirs(project: Project) -> None:
    build = queued(project, IMAGE="elsewhere.example/app:1", REGISTRY_PASSWORD="own")
    values = registries.push_values(build)
    assert values.plain["IMAGE"] == "elsewhere.example/app:1"
    assert "REGISTRY_PASSWORD" not in values.plain


def test_an_embedded_build_knows_itself_and_where_to_push(project: Project, locked: DockerRegistry) -> None:
    home = connection(locked, "locked", username=USER)
    home.secrets = {"password": PASSWORD}
    home.save()
    project.registry_connection = home
    project.builder_connection = None
    project.save()
    build = queued(project, COLOUR="red")
    spec = spec_of(build, 0)
    assert spec.environment["FDD_BUILD_KEY"] == str(build.key)
    assert spec.environment["FDD_COMMIT"] == build.commit_sha
    assert spec.environment["FDD_REF"] == "refs/heads/main"
    assert spec.environment["FDD_REPOSITORY"] == spec.repository
    assert spec.environment["IMAGE"] == spec.parameters["IMAGE"] == build.image
    assert spec.environment["REGISTRY_PASSWORD"] == PASSWORD
    assert spec.secrets == (PASSWORD,)
    assert spec.parameters["COLOUR"] == "red"
    assert "COLOUR" not in spec.environment
    assert PASSWORD not in str(Build.objects.values_list("parameters", flat=True).get(pk=build.pk))


# -- the image we proposed -------------------------------------------------------------------------------------------
def test_what_was_pushed_is_pinned(build: Build, plain: DockerRegistry) -> None:
    pushed = push(plain, build.image)
    assert registries.pin(build, {}) == (build.image, pushed)


def test_a_pipeline_that_pushes_nothing_is_fine(build: Build) -> None:
    assert registries.pin(build, {}) == ("", "")


def test_a_registry_out_of_reach_is_asked_again_later(build: Build, plain: DockerRegistry) -> None:
    pushed = push(plain, build.image)
    plain.stop()
    with pytest.raises(Unavailable) as error:
        registries.pin(build, {})
    assert error.value.code == "unreachable"
    plain.start()
    assert registries.pin(build, {}) == (build.image, pushed)


def test_wrong_credentials_are_no_missing_image(project: Project, locked: DockerRegistry) -> None:
    home = connection(locked, "locked", username=USER)
    home.secrets = {"password": "wrong"}
    home.save()
    project.registry_connection = home
    project.save()
    with pytest.raises(Rejected) as error:
        registries.pin(queued(project), {})
    assert error.value.code == "bad_credentials"


# -- images that release.json or a person names ------------------------------------------------------------------------
def test_a_claimed_image_is_pinned_by_what_the_registry_says(build: Build, plain: DockerRegistry) -> None:
    pushed = plain.push("team/other", "v1")
    image = f"{plain.host}/team/other:v1"
    assert registries.pin(build, {"image": image}) == (image, pushed)
    assert registries.pin(build, {"image": image, "digest": pushed}) == (image, pushed)
    by_digest = f"{plain.host}/team/other@{pushed}"
    assert registries.pin(build, {"image": by_digest}) == (by_digest, pushed)


def test_a_typed_image_is_pinned_too(project: Project, plain: DockerRegistry) -> None:
    pushed = plain.push("typed", "v2")
    image = f"{plain.host}/typed:v2"
    assert registries.pin(queued(project, IMAGE=image), {}) == (image, pushed)
    with pytest.raises(Invalid):
        registries.pin(queued(project, IMAGE=f"{plain.host}/typed:v3"), {})


def test_an_image_nobody_can_find_fails_the_build_and_is_named(build: Build, plain: DockerRegistry) -> None:
    image = f"{plain.host}/team/ghost:v1"
    with pytest.raises(Invalid) as error:
        registries.pin(build, {"image": image})
    assert error.value.code == "image_missing"
    assert image in str(error.value.sentence)


def test_a_claimed_digest_that_differs_fails_the_build(build: Build, plain: DockerRegistry) -> None:
    pushed = plain.push("team/other", "v1")
    image = f"{plain.host}/team/other:v1"
    with pytest.raises(Invalid) as error:
        registries.pin(build, {"image": image, "digest": OTHER})
    assert error.value.code == "digest_differs"
    for part in (image, pushed, OTHER):
        assert part in str(error.value.sentence)
    with pytest.raises(Invalid) as error:
        registries.pin(build, {"image": f"{plain.host}/team/other@{pushed}", "digest": OTHER})
    assert error.value.code == "digest_differs"


def test_a_digest_alone_speaks_of_the_image_we_proposed(build: Build, plain: DockerRegistry) -> None:
    with pytest.raises(Invalid) as error:
        registries.pin(build, {"digest": OTHER})
    assert error.value.code == "image_missing"
    pushed = push(plain, build.image)
    assert registries.pin(build, {"digest": pushed}) == (build.image, pushed)


@pytest.mark.parametrize(
    "facts", [{"image": "no image at all"}, {"image": "x/y:1", "digest": "latest"}, {"digest": "sha256:1"}]
)
def test_what_cannot_be_read_fails_the_build(build: Build, facts: dict[str, str]) -> None:
    with pytest.raises(Invalid) as error:
        registries.pin(build, facts)
    assert error.value.code in {"bad_image", "bad_digest"}


def test_where_no_registry_is_connected_the_claim_stands(build: Build) -> None:
    image = "registry.elsewhere.example/app:1"
    assert registries.pin(build, {"image": image}) == (image, "")
    assert registries.pin(build, {"image": image, "digest": OTHER}) == (image, OTHER)
    assert registries.pin(build, {"image": f"{image}@{OTHER}"}) == (f"{image}@{OTHER}", OTHER)


def test_another_connected_registry_is_asked_by_its_host(
    project: Project, locked: DockerRegistry, build: Build
) -> None:
    pushed = locked.push("team/elsewhere", "v1")
    image = f"{locked.host}/team/elsewhere:v1"
    assert registries.pin(build, {"image": image}) == (image, ""), "not connected yet"
    other = connection(locked, "another", username=USER)
    other.secrets = {"password": PASSWORD}
    other.save()
    assert registries.pin(build, {"image": image}) == (image, pushed)


def test_of_two_ways_to_a_registry_the_projects_own_is_taken(project: Project, locked: DockerRegistry) -> None:
    connection(locked, "a-first-by-name", username="nobody")
    own = connection(locked, "own", username=USER)
    own.secrets = {"password": PASSWORD}
    own.save()
    project.registry_connection = own
    project.save()
    build = queued(project)
    pushed = push(locked, build.image)
    assert registries.pin(build, {}) == (build.image, pushed)


# -- the version -----------------------------------------------------------------------------------------------------
def test_a_version_keeps_image_and_digest(build: Build, plain: DockerRegistry) -> None:
    pushed = push(plain, build.image)
    version = versions.make_version(build, {"notes": "n"}, ("", 0), *registries.pin(build, {}))
    assert version is not None
    assert (version.image, version.digest, version.pin, version.notes) == (build.image, pushed, pushed, "n")
    assert versions.is_there(version)


def test_neither_archive_nor_image_is_no_version(build: Build) -> None:
    assert versions.make_version(build, {}, ("", 0), *registries.pin(build, {})) is None
    assert versions.make_version(build, {}, ("a" * 64, 5), *registries.pin(build, {})) is not None
