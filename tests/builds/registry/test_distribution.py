"""The registry driver against Debian's docker-registry: digests, passwords, tokens, certificates."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from builds.drivers.registry import distribution
from builds.drivers.registry.distribution import RegistryConfig
from fangduoduo_release.common.errors import DriverError, Invalid, Rejected, Unavailable
from tests.simulators.registry import PASSWORD, USER, DockerRegistry, Signed, certificate
from tests.simulators.registry_tokens import TokenServer

from .conftest import driver


def refused(error: pytest.ExceptionInfo[DriverError]) -> tuple[str, str]:
    """Its code, and its sentence; no password in either or in the evidence."""
    for text in (str(error.value), error.value.evidence, repr(error.value)):
        assert PASSWORD not in text
    return error.value.code, str(error.value.sentence)


# -- digests -------------------------------------------------------------------------------------------------------
def test_the_digest_behind_a_tag_is_the_one_that_was_pushed(plain: DockerRegistry) -> None:
    first = plain.push("team/app", "1-abcdef12", b"first")
    registry = driver(plain.url)
    assert registry.digest("team/app", "1-abcdef12") == first
    assert registry.digest("team/app", first) == first
    second = plain.push("team/app", "1-abcdef12", b"second")
    assert second != first
    assert registry.digest("team/app", "1-abcdef12") == second


def test_a_list_of_images_keeps_its_own_digest(plain: DockerRegistry) -> None:
    members = [plain.push("app", tag, tag.encode()) for tag in ("arm", "amd")]
    index = plain.index("app", "both", *members)
    assert driver(plain.url).digest("app", "both") == index
    assert index not in members


def test_what_is_missing_is_none_and_no_error(plain: DockerRegistry) -> None:
    gone = plain.push("app", "1")
    registry = driver(plain.url)
    assert registry.digest("app", "2") is None
    assert registry.digest("nothing/here", "1") is None
    plain.remove("app", gone)
    assert registry.digest("app", "1") is None
    assert registry.digest("app", gone) is None


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("App", "1"),
        ("../v2", "1"),
        ("app/", "1"),
        ("app", ""),
        ("app", "../x"),
        ("app", "a b"),
        ("app", "x" * 129),
        ("app", "sha256:short"),
        ("a" * 300, "1"),
        ("app?x=1", "1"),
        ("app\n", "1"),
        ("app", "1\n"),
    ],
)
def test_a_name_that_no_registry_takes_is_not_even_asked_for(repository: str, reference: str) -> None:
    with pytest.raises(Invalid) as error:
        driver("http://127.0.0.1:9").digest(repository, reference)
    assert error.value.code == "bad_image"


# -- passwords -----------------------------------------------------------------------------------------------------
def test_it_signs_in_with_a_password(locked: DockerRegistry) -> None:
    pushed = locked.push("team/app", "1")
    registry = driver(locked.url, USER, PASSWORD)
    facts = registry.check()
    assert (facts.version, facts.user) == ("2.0", USER)
    assert USER in str(facts.sentence)
    assert registry.digest("team/app", "1") == pushed
    assert registry.digest("team/app", "2") is None


def test_a_wrong_password_and_none_have_sentences_of_their_own(locked: DockerRegistry) -> None:
    for ask in ("check", "digest"):
        wrong, none = driver(locked.url, USER, f"not-{PASSWORD}"), driver(locked.url)
        with pytest.raises(Rejected) as error:
            wrong.check() if ask == "check" else wrong.digest("team/app", "1")
        assert refused(error) == (
            "bad_credentials",
            f"The registry “{locked.host}” does not take the user name “{USER}” with this password.",
        )
        with pytest.raises(Rejected) as error:
            none.check() if ask == "check" else none.digest("team/app", "1")
        assert refused(error)[0] == "needs_credentials"


def test_an_open_registry_says_that_nobody_is_signed_in(plain: DockerRegistry) -> None:
    assert driver(plain.url).check().user == ""
    facts = driver(plain.url, USER, PASSWORD).check()
    assert facts.user == ""
    assert "anybody" in str(facts.sentence)


# -- tokens --------------------------------------------------------------------------------------------------------
def test_it_fetches_a_token_for_exactly_what_it_asks(guarded: DockerRegistry, tokens: TokenServer) -> None:
    registry = driver(guarded.url, USER, PASSWORD)
    assert registry.check().user == USER
    found = registry.digest("team/app", "1")
    assert found is not None
    assert found.startswith("sha256:")
    assert registry.digest("team/app", "2") is None
    assert [asked.get("scope", "") for asked in tokens.asked[:2]] == ["", "repository:team/app:pull"]
    assert all(asked["service"] == "registry-of-tests" and asked["account"] == USER for asked in tokens.asked)
    tokens.field = "access_token"  # the other name that the specification knows
    assert registry.digest("team/app", "1") == found


def test_a_token_that_does_not_suffice_is_a_missing_permission(guarded: DockerRegistry) -> None:
    with pytest.raises(Rejected) as error:
        driver(guarded.url, USER, PASSWORD).digest("secret/app", "1")
    assert refused(error) == (
        "no_permission",
        f"“{USER}” may not read this in the registry “{guarded.host}”.",
    )


def test_a_wrong_password_is_told_by_whoever_signs_tokens(guarded: DockerRegistry) -> None:
    with pytest.raises(Rejected) as error:
        driver(guarded.url, USER, "wrong").check()
    assert refused(error)[0] == "bad_credentials"


def test_nobody_in_particular_reads_what_is_public_and_nothing_else(
    guarded: DockerRegistry, tokens: TokenServer
) -> None:
    with pytest.raises(Rejected) as error:
        driver(guarded.url).digest("team/app", "1")
    assert refused(error)[0] == "needs_credentials"
    tokens.anonymous.add("team/app")
    assert driver(guarded.url).digest("team/app", "1")
    assert all(asked["authorization"] == "" for asked in tokens.asked)


def test_a_token_signed_by_somebody_else_is_refused_by_the_registry(
    guarded: DockerRegistry, tokens: TokenServer
) -> None:
    with TokenServer() as impostor:
        forged = impostor.token("repository:team/app:pull")
    tokens.answers.append((200, json.dumps({"token": forged}).encode()))
    with pytest.raises(Rejected) as error:
        driver(guarded.url, USER, PASSWORD).digest("team/app", "1")
    assert refused(error)[0] == "bad_credentials"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (500, b"{}", Unavailable, "busy"),
        (429, b"{}", Unavailable, "rate_limited"),
        (403, b"{}", Rejected, "bad_credentials"),
        (302, b"", Rejected, "redirect"),
        (200, b"<html>", Rejected, "bad_token"),
        (200, b"[]", Rejected, "bad_token"),
        (200, b'{"token": 7}', Rejected, "bad_token"),
        (200, b'{"token": "a\\r\\nX-Planted: 1"}', Rejected, "bad_token"),
    ],
)
def test_a_token_server_in_trouble(
    guarded: DockerRegistry, tokens: TokenServer, status: int, body: bytes, kind: type[DriverError], code: str
) -> None:
    tokens.answers.append((status, body))
    with pytest.raises(kind) as error:
        driver(guarded.url, USER, PASSWORD).check()
    assert refused(error)[0] == code


# -- certificates --------------------------------------------------------------------------------------------------
def test_a_ca_of_ones_own_is_trusted_when_it_is_given(secure: DockerRegistry, ca: Signed) -> None:
    pushed = secure.push("app", "1")
    registry = driver(secure.url, ca=ca.certificate.decode())
    assert registry.check().version == "2.0"
    assert registry.digest("app", "1") == pushed
    assert driver(secure.url.replace("127.0.0.1", "localhost"), ca=ca.certificate.decode()).digest("app", "1") == pushed


def test_without_its_ca_or_with_another_it_is_not_trusted(secure: DockerRegistry) -> None:
    for other in ("", certificate("another CA").certificate.decode()):
        with pytest.raises(Rejected) as error:
            driver(secure.url, ca=other).check()
        assert refused(error)[0] == "bad_certificate"


def test_a_certificate_for_another_name_is_not_trusted(ca: Signed, tmp_path: Path) -> None:
    other = certificate(signer=ca, host="registry.example")
    with DockerRegistry(tmp_path, tls=other) as registry, pytest.raises(Rejected) as error:
        driver(registry.url, ca=ca.certificate.decode()).check()
    assert refused(error)[0] == "bad_certificate"


def test_nothing_of_the_environment_counts(
    secure: DockerRegistry, ca: Signed, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    monkeypatch.setenv("NETRC", "/nonexistent")
    assert driver(secure.url, ca=ca.certificate.decode()).check().version == "2.0"


def test_the_wrong_half_of_http_and_https_is_said(plain: DockerRegistry, secure: DockerRegistry) -> None:
    with pytest.raises(Rejected) as error:
        driver(plain.url.replace("http:", "https:")).check()
    assert refused(error)[0] == "no_tls"
    with pytest.raises(Rejected) as error:
        driver(secure.url.replace("https:", "http:")).check()
    assert refused(error)[0] == "wants_tls"


# -- out of reach --------------------------------------------------------------------------------------------------
def test_one_that_is_stopped_is_unavailable_and_back_when_it_is_back(plain: DockerRegistry) -> None:
    pushed, registry = plain.push("app", "1"), driver(plain.url)
    plain.stop()
    with pytest.raises(Unavailable) as error:
        registry.digest("app", "1")
    assert refused(error)[0] == "unreachable"
    plain.start()
    assert registry.digest("app", "1") == pushed


def test_a_host_without_an_address_is_unavailable() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable) as error:
        driver("https://registry.invalid").check()
    assert error.value.code == "unknown_host"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("place", ["169.254.169.254", "100.100.100.200", "0.0.0.0", "[fe80::1]", "2852039166"])
def test_metadata_services_are_never_asked(place: str) -> None:
    with pytest.raises(Rejected) as error:
        driver(f"http://{place}:5000").check()
    assert error.value.code == "bad_address"


# -- the config ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("url", {"url": ""}),
        ("url", {"url": "registry.example:5000"}),
        ("url", {"url": "ftp://registry.example"}),
        ("url", {"url": "https://"}),
        ("url", {"url": "https://robot:pw@registry.example"}),
        ("url", {"url": "https://registry.example/v2/"}),
        ("url", {"url": "https://registry.example?x=1"}),
        ("url", {"url": "https://registry.example:99999"}),
        ("username", {"username": "a:b"}),
        ("username", {"username": "a", "password": "b\r\nX: 1"}),
        ("username", {"password": "alone"}),
        ("ca", {"ca": "not a certificate"}),
        ("ca", {"ca": "ünlesbar"}),
    ],
)
def test_a_config_that_cannot_work_names_its_field(field: str, values: dict[str, str]) -> None:
    with pytest.raises(Invalid) as error:
        RegistryConfig(**{"url": "https://registry.example", **values})
    assert list(error.value.fields) == [field]
    assert "alone" not in str(error.value.sentence)


def test_a_password_is_in_no_repr() -> None:
    config = RegistryConfig("https://registry.example", USER, PASSWORD)
    assert PASSWORD not in repr(config)
    assert PASSWORD not in repr(distribution.Distribution(config))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Registry.Example", "registry.example"),
        ("https://registry.example:5000", "registry.example:5000"),
        ("http://[::1]:5000", "[::1]:5000"),
    ],
)
def test_the_host_is_as_it_stands_in_images_names(url: str, host: str) -> None:
    assert driver(url).host == host
