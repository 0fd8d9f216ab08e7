"""A connection to Jenkins refuses what could lead its token astray, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid

from .certificates import authority

GOOD: dict[str, Any] = {"url": "https://ci.example", "user": "portal", "token": "11ab"}


def config(**changes: Any) -> JenkinsConfig:
    return JenkinsConfig(**{**GOOD, **changes})


def test_the_settings_name_the_driver() -> None:
    assert driver_class(settings.DRIVERS, "remote_builder", "jenkins") is JenkinsBuilder
    assert JenkinsBuilder.kind == "jenkins"


def test_the_token_shows_in_no_repr() -> None:
    assert "s3cret-token" not in repr(config(token="s3cret-token"))


def test_a_folder_has_a_name_of_its_own_by_default() -> None:
    assert config().folder == "fangduoduo-release"
    assert config().timeout_s == 10


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://ci.example", "https://ci.example/"),
        ("https://ci.example/", "https://ci.example/"),
        ("http://10.1.2.3:8080", "http://10.1.2.3:8080/"),
        ("https://ci.example/jenkins/", "https://ci.example/jenkins/"),
        ("https://ci.example/tools/ci", "https://ci.example/tools/ci/"),
        ("http://[fd00::1]:8080/x", "http://[fd00::1]:8080/x/"),
    ],
)
def test_an_address_may_have_a_path_and_every_request_begins_with_it(url: str, base: str) -> None:
    assert config(url=url).base == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ci.example",
        "ftp://ci.example",
        "https://user:pw@ci.example",
        "https://user@ci.example",
        "https://ci.example/?a=b",
        "https://ci.example/?",
        "https://ci.example/#x",
        "https://ci.example/a/%2e%2e/",
        "https://ci.example/a b",
        "https://",
        "https://ci.example:notaport/",
        "https://ci.example\\@evil.example/",
        "https://ci.exämple/",
    ],
)
def test_an_odd_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        config(url=url)
    assert list(caught.value.fields) == ["url"]
    assert caught.value.code == "bad_jenkins"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", ""),
        ("user", "a:b"),
        ("user", "a\nb"),
        ("token", ""),
        ("token", "two words"),
        ("token", "zeile\n"),
        ("token", "schlüssel"),
        ("folder", ""),
        ("folder", "/a"),
        ("folder", "a/"),
        ("folder", "a/../b"),
        ("folder", ".."),
        ("folder", "a%2fb"),
        ("folder", "a//b"),
        ("credentials_id", "it's"),
        ("credentials_id", "a b"),
        ("ca", "no certificate"),
        ("ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("timeout_s", 0),
        ("timeout_s", 3600),
    ],
)
def test_every_field_is_refused_by_its_own_name(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        config(**{field: value})
    assert list(caught.value.fields) == [field]
    assert str(caught.value.fields[field][0])


def test_several_wrong_fields_are_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        JenkinsConfig(url="x", user="", token="")
    assert set(caught.value.fields) == {"url", "user", "token"}


@pytest.mark.parametrize("folder", ["a", "team/portal", "发布", "My Folder", "a.b_c-d"])
def test_folders_may_be_nested_and_named_in_any_script(folder: str) -> None:
    assert config(folder=folder).folder == folder


def test_a_certificate_authority_is_taken_as_pem() -> None:
    assert config(ca=authority().pem).tls.cert_store_stats()["x509_ca"] == 1
