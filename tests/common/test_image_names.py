"""Names of images are taken apart as registries do it, and nothing else passes for one."""

from __future__ import annotations

import pytest

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.image_names import ImageName, is_digest, is_repository, is_tag, parse, same_host

SHA = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("registry.example:5000/team/app:7-ab", ImageName("registry.example:5000", "team/app", "7-ab"), "7-ab"),
        ("registry.example/app", ImageName("registry.example", "app"), "latest"),
        ("localhost/app:1", ImageName("localhost", "app", "1"), "1"),
        ("127.0.0.1:5000/a/b/c:1", ImageName("127.0.0.1:5000", "a/b/c", "1"), "1"),
        ("[::1]:5000/app:1", ImageName("[::1]:5000", "app", "1"), "1"),
        ("Registry/app:1", ImageName("Registry", "app", "1"), "1"),
        ("team/app:1", ImageName("docker.io", "team/app", "1"), "1"),
        ("nginx", ImageName("docker.io", "library/nginx"), "latest"),
        ("nginx:1.27", ImageName("docker.io", "library/nginx", "1.27"), "1.27"),
        (f"registry.example/app@{SHA}", ImageName("registry.example", "app", "", SHA), SHA),
        (f"registry.example/app:1@{SHA}", ImageName("registry.example", "app", "1", SHA), SHA),
        ("registry.example/a__b.c-d--e:V_1", ImageName("registry.example", "a__b.c-d--e", "V_1"), "V_1"),
    ],
)
def test_a_name_is_taken_apart(text: str, name: ImageName, reference: str) -> None:
    assert parse(text) == name
    assert parse(text).reference == reference


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "registry.example/", "registry.example/App:1", "registry.example/app:", "registry.example/app@sha256:1",
        "registry.example/app:1:2", "registry.example/../app:1", "https://registry.example/app:1", "app:1 ",
        "registry.example/app:1\n", "a b/c:1", "registry.example/app:-1", "registry.example/a___b:1", "-x/app",
        "u:p@registry.example/app:1", f"registry.example/{'a' * 256}:1", f"app@{SHA}@{SHA}",
    ],
)  # fmt: skip
def test_what_is_no_name_of_an_image_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse(text)
    assert error.value.code == "bad_image"


def test_parts_are_judged_alone_too() -> None:
    assert is_repository("team/app")
    assert not is_repository("team//app")
    assert not is_repository("registry.example:5000/app")
    assert is_tag("v1.0_x-y")
    assert not is_tag(".hidden")
    assert is_digest(SHA)
    assert is_digest(f"sha512:{'0' * 128}")
    assert not is_digest(SHA.upper())
    assert not is_digest(f"sha512:{'0' * 64}")


@pytest.mark.parametrize(
    ("one", "other", "scheme", "same"),
    [
        ("registry.example", "Registry.Example:443", "https", True),
        ("registry.example", "registry.example:80", "http", True),
        ("registry.example", "registry.example:80", "https", False),
        ("registry.example:5000", "registry.example", "https", False),
        ("docker.io", "registry-1.docker.io", "https", True),
        ("registry.example", "registry.example.evil", "https", False),
    ],
)
def test_hosts_are_the_same_with_their_usual_port(one: str, other: str, scheme: str, same: bool) -> None:
    assert same_host(one, other, scheme) is same
