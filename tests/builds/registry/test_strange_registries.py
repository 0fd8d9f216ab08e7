"""Answers that no good registry gives, and some that good ones do: the driver ends in time, with one clear sentence, and
tells nobody else who we are."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from builds.drivers.registry import distribution
from builds.drivers.registry.challenge import read
from fangduoduo_release.common.errors import DriverError, Rejected, Unavailable
from tests.simulators.registry import PASSWORD, USER, Signed, certificate
from tests.simulators.registry_tokens import TokenServer

from .conftest import Says, driver

Server = Callable[..., Says]
V2 = {"Docker-Distribution-Api-Version": "registry/2.0"}
MANIFEST = b'{"schemaVersion": 2}'


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((200, {}, b"<html>welcome</html>"), Rejected, "not_a_registry"),
        ((404, {}, b"<html>no such page</html>"), Rejected, "not_a_registry"),
        ((400, V2, b"{}"), Rejected, "not_a_registry"),
        ((301, {"Location": "https://elsewhere.example/"}, b""), Rejected, "redirect"),
        ((403, V2, b"{}"), Rejected, "no_permission"),
        ((429, {"Retry-After": "60"}, b"{}"), Unavailable, "rate_limited"),
        ((500, {}, b"oops"), Unavailable, "busy"),
        ((503, {}, b"<html>starting</html>"), Unavailable, "busy"),
        ((401, {"WWW-Authenticate": "Negotiate"}, b""), Rejected, "not_a_registry"),
        ((401, {}, b""), Rejected, "not_a_registry"),
        ((401, {"WWW-Authenticate": "Bearer"}, b""), Rejected, "bad_realm"),
    ],
)
def test_every_answer_has_its_own_sentence(says: Server, answer: object, kind: type[DriverError], code: str) -> None:
    server = says(answer)
    for ask in (lambda r: r.check(), lambda r: r.digest("app", "1")):
        with pytest.raises(kind) as error:
            ask(driver(server.url, USER, PASSWORD))
        assert error.value.code == code
        assert str(error.value.sentence).endswith((".", "?"))
        assert PASSWORD not in error.value.evidence
    assert not any("Authorization" in headers for _, _, headers in server.asked)


def test_a_registry_that_names_no_digest_is_asked_for_the_manifest(says: Server) -> None:
    server = says((200, V2, MANIFEST))
    assert driver(server.url).digest("app", "1") == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    assert [method for method, _, _ in server.asked] == ["HEAD", "GET"]


def test_one_that_does_not_know_head_is_asked_too(says: Server) -> None:
    found = f"sha256:{'a' * 64}"
    server = says(
        lambda method, _path: (
            (405, V2, b"") if method == "HEAD" else (200, {**V2, "Docker-Content-Digest": found}, MANIFEST)
        )
    )
    assert driver(server.url).digest("app", "1") == found


def test_a_digest_that_is_none_is_not_believed(says: Server) -> None:
    server = says((200, {**V2, "Docker-Content-Digest": "sha256:../../x"}, MANIFEST))
    assert driver(server.url).digest("app", "1") == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


def test_a_404_of_something_else_is_no_missing_image(says: Server) -> None:
    with pytest.raises(Rejected) as error:
        driver(says((404, {}, b"<html>nginx</html>")).url).digest("app", "1")
    assert error.value.code == "not_a_registry"
    unknown = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
    assert driver(says((404, {}, unknown)).url).digest("app", "1") is None


def test_a_manifest_without_end_is_not_read_to_its_end(says: Server) -> None:
    big = b" " * (distribution.MANIFEST + 1)
    with pytest.raises(Rejected) as error:
        driver(says((200, V2, big)).url).digest("app", "1")
    assert error.value.code == "too_large"


def test_a_byte_now_and_then_is_cut_off_in_time(says: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "CALL_S", 1.0)
    server = says((200, V2, b" " * 1000), drip_s=0.2)
    began = time.monotonic()
    with pytest.raises(Unavailable) as error:
        driver(server.url).check()
    assert error.value.code == "unreachable"
    assert time.monotonic() - began < 60, "not as long as the answer takes"


def test_what_is_asked_for_names_the_kinds_of_manifests(says: Server) -> None:
    server = says((200, {**V2, "Docker-Content-Digest": f"sha256:{'b' * 64}"}, b""))
    driver(server.url).digest("team/app", "1")
    ((method, path, headers),) = server.asked
    assert (method, path) == ("HEAD", "/v2/team/app/manifests/1")
    for kind in ("oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2", "manifest.v2"):
        assert kind in headers["Accept"]


# -- whom we tell who we are -----------------------------------------------------------------------------------------
def challenged(says: Server, realm: str) -> Says:
    return says((401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="registry-of-tests"'}, b""))


def test_a_password_never_travels_unencrypted_to_somebody_else(says: Server) -> None:
    elsewhere = says((200, {}, b'{"token": "x"}'))
    realm = elsewhere.url.replace("127.0.0.1", "localhost")
    with pytest.raises(Rejected) as error:
        driver(challenged(says, realm).url, USER, PASSWORD).check()
    assert error.value.code == "unsafe_realm"
    assert elsewhere.asked == []


def test_over_https_it_may_travel_to_whoever_signs_tokens(says: Server, ca: Signed) -> None:
    with TokenServer(tls=certificate(signer=ca)) as tokens:
        realm = tokens.realm.replace("127.0.0.1", "localhost")
        registry = driver(challenged(says, realm).url, USER, PASSWORD, ca=ca.certificate.decode())
        with pytest.raises(Rejected) as error:
            registry.check()  # the token is fetched; this registry takes none
        assert error.value.code == "bad_credentials"
        assert len(tokens.asked) == 1
        with pytest.raises(Rejected) as error:
            driver(challenged(says, realm).url, USER, PASSWORD).check()
        assert error.value.code == "bad_certificate"
        assert len(tokens.asked) == 1


@pytest.mark.parametrize(
    ("realm", "code"),
    [
        ("https://169.254.169.254/token", "bad_address"),
        ("https://[fd00:ec2::254]/token", "bad_address"),
        ("https://0.0.0.0/token", "bad_address"),
        ("https://robot@token.example/", "bad_realm"),
        ("file:///etc/passwd", "bad_realm"),
        ("/token", "bad_realm"),
        ("https://", "bad_realm"),
        ("", "bad_realm"),
    ],
)
def test_a_realm_that_leads_nowhere_good_is_refused(says: Server, realm: str, code: str) -> None:
    with pytest.raises(Rejected) as error:
        driver(challenged(says, realm).url, USER, PASSWORD).check()
    assert error.value.code == code


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Basic realm="x"', "basic", {"realm": "x"}),
        (
            'Bearer realm="https://a/t?b=c,d",service="s s",scope="repository:a/b:pull,push"',
            "bearer",
            {"realm": "https://a/t?b=c,d", "service": "s s", "scope": "repository:a/b:pull,push"},
        ),
        ('Basic realm="x", Bearer realm="https://a"', "bearer", {"realm": "https://a"}),
        ('Negotiate, Basic realm="x \\"y\\""', "basic", {"realm": 'x "y"'}),
        ("bearer realm=https://a , error=invalid_token", "bearer", {"realm": "https://a", "error": "invalid_token"}),
        ("BASIC", "basic", {}),
    ],
)
def test_challenges_are_read_as_they_are_written(header: str, scheme: str, parameters: dict[str, str]) -> None:
    challenge = read(header)
    assert challenge is not None
    assert (challenge.scheme, challenge.parameters) == (scheme, parameters)


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", '"', "=", "Bearerrealm", ", , ,", "a" * 100_000])
def test_what_is_no_challenge_of_ours_is_none(header: str) -> None:
    assert read(header) is None
