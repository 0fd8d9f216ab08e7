"""An image's name that is taken apart and put together again is the same image, and nothing that people type breaks it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.image_names import (
    HUB,
    MAX_NAME,
    ImageName,
    is_repository,
    is_tag,
    parse,
    same_host,
    without_reference,
)

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PART = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
REPOSITORIES = st.lists(PART, min_size=1, max_size=4).map("/".join)
HOSTS = st.sampled_from(
    ["registry.example", "registry.example:5000", "localhost", "10.0.0.1:5000", "[::1]:5000", "HUB"]
)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True) | st.just("")
DIGESTS = st.sampled_from(["", f"sha256:{'0a' * 32}", f"sha512:{'f' * 128}"])


def put_together(name: ImageName) -> str:
    tag, digest = f":{name.tag}" if name.tag else "", f"@{name.digest}" if name.digest else ""
    return f"{name.host}/{name.repository}{tag}{digest}"


@quick
@given(host=HOSTS, repository=REPOSITORIES, tag=TAGS, digest=DIGESTS)
def test_what_is_put_together_is_taken_apart_into_the_same(host: str, repository: str, tag: str, digest: str) -> None:
    name = ImageName(host, repository, tag, digest)
    assert parse(put_together(name)) == name


@quick
@given(text=st.text(max_size=80) | st.from_regex(r"[a-zA-Z0-9.:/@_-]{1,60}", fullmatch=True))
def test_whatever_is_typed_is_a_name_or_one_clear_refusal(text: str) -> None:
    """And a name that was taken stays one: taking it apart twice changes nothing."""
    with contextlib.suppress(Invalid):
        name = parse(text)
        assert parse(put_together(name)) == name
        assert is_repository(name.repository)
        assert not name.tag or is_tag(name.tag)


@quick
@given(host=HOSTS, repository=REPOSITORIES, tag=TAGS, digest=DIGESTS)
def test_without_its_reference_the_same_repository_is_left(host: str, repository: str, tag: str, digest: str) -> None:
    whole = put_together(ImageName(host, repository, tag, digest))
    assert without_reference(whole) == f"{host}/{repository}"
    assert without_reference(without_reference(whole)) == without_reference(whole)


@pytest.mark.parametrize(
    ("tag", "digest", "asked"),
    [("", "", "latest"), ("7", "", "7"), ("", "sha256:aa", "sha256:aa"), ("7", "sha256:aa", "sha256:aa")],
    ids=["nothing", "tag", "digest", "both"],
)
def test_a_registry_is_asked_for_what_is_most_exact(tag: str, digest: str, asked: str) -> None:
    assert ImageName("registry.example", "app", tag, digest).reference == asked


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_dockers_own_registry_has_a_folder_for_what_has_none(host: str) -> None:
    assert parse(f"{host}/nginx:1").repository == "library/nginx"
    assert parse(f"{host}/team/nginx:1").repository == "team/nginx"
    assert same_host(host, HUB)


def test_another_registry_has_no_such_folder() -> None:
    assert parse("registry.example/nginx").repository == "nginx"


def test_limits_at_their_edge() -> None:
    assert is_repository("a" * MAX_NAME)
    assert not is_repository("a" * (MAX_NAME + 1))
    assert is_tag("a" * 128)
    assert not is_tag("a" * 129)


def test_a_refusal_repeats_no_more_than_a_line_of_what_was_typed() -> None:
    with pytest.raises(Invalid) as error:
        parse("X" * 5000)
    assert len(str(error.value)) < 400
