"""A connection to a Gerrit is judged field by field before anything is sent, and shows none of its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fangduoduo_release.common.errors import Invalid
from projects.drivers.source.base import Repository
from projects.drivers.source.gerrit import GerritConfig
from projects.drivers.source.gerrit.names import is_name, mirror_name
from projects.drivers.source.git_names import is_slug
from tests.projects.gerrit.conftest import git_config

KEY = asyncssh.generate_private_key("ssh-ed25519")
PRIVATE = KEY.export_private_key().decode()
HOST_KEY = KEY.export_public_key().decode().strip()
CONFIG = {
    "url": "https://review.example/r/",
    "username": "portal",
    "ssh_host": "review.example",
    "known_hosts": f"[review.example]:29418 {HOST_KEY}",
}
SECRETS = {"password": "sesame-opens", "ssh_key": PRIVATE}


def config(tmp_path: Path, *, without: str = "", **changes: Any) -> GerritConfig:
    told: dict[str, Any] = {**CONFIG, **SECRETS, **changes}
    told.pop(without, None)
    secrets = {name: told.pop(name) for name in ("password", "ssh_key", "webhook_secret") if name in told}
    return GerritConfig.of(told, secrets, git_config(tmp_path))


def wrong(tmp_path: Path, **changes: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        config(tmp_path, **changes)
    assert refused.value.code == "bad_gerrit"
    return {name: str(sentences[0]) for name, sentences in refused.value.fields.items()}


def test_what_is_left_out_has_a_meaning(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert (made.base, made.host, made.ssh_port, made.ssh_user, made.label, made.timeout_s) == (
        "https://review.example/r", "review.example", 29418, "portal", "Verified", 10,
    )  # fmt: skip
    assert made.git.allow_private, "ops named the server: it may be on a private network"


def test_without_ssh_nobody_listens_and_no_key_is_asked_for(tmp_path: Path) -> None:
    made = config(tmp_path, ssh_host="", ssh_key="", known_hosts="")
    assert (made.ssh_host, made.ssh_key) == ("", "")


@pytest.mark.parametrize(
    "url",
    ["", "review.example", "ftp://review.example", "ssh://review.example", "https://", "https://a:b@review.example",
     "https://review.example/?a=b", "https://review.example/#a", "https://review.example/a b", "https://review.example/../x",
     "https://review.example/%2e", "https://review.example:99999", "https://review.example/a", "https://-x", "https://é.example"],
)  # fmt: skip
def test_an_address_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    assert set(wrong(tmp_path, url=url)) == {"url"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("username", ""), ("username", "a:b"), ("username", "a\nb"), ("password", ""), ("password", "a\nb"),
     ("ssh_host", "a b"), ("ssh_host", "-oProxyCommand=x"), ("ssh_port", 70000), ("ssh_port", "x"), ("ssh_port", True),
     ("ssh_user", "a b"), ("ssh_key", ""), ("ssh_key", "no key"), ("ssh_key", "<a public key>"), ("known_hosts", ""),
     ("known_hosts", "# only a comment"), ("known_hosts", "review.example"), ("known_hosts", "review.example ssh-ed25519 AAAA"),
     ("known_hosts", "review.example <a public key>\nreview.example ssh-rsa nonsense"), ("parent", "a//b"), ("parent", "../x"),
     ("group", "x" * 251), ("group", "a\nb"), ("label", "a b"), ("label", "Verified+1"), ("ca", "no certificate"),
     ("timeout_s", 11), ("timeout_s", "x"), ("timeout_s", -1), ("timeout_s", float("nan")), ("timeout_s", float("inf"))],
)  # fmt: skip
def test_each_field_that_is_wrong_is_named(tmp_path: Path, field: str, value: Any) -> None:
    if isinstance(value, str):  # keys are made anew for every run; names of tests must not be
        value = value.replace("<a public key>", HOST_KEY)
    assert set(wrong(tmp_path, **{field: value})) == {field}


@pytest.mark.parametrize("field", ["url", "username", "password", "ssh_key", "known_hosts"])
def test_each_field_that_is_missing_is_named(tmp_path: Path, field: str) -> None:
    assert field in wrong(tmp_path, without=field)


def test_all_wrong_fields_are_named_at_once(tmp_path: Path) -> None:
    assert set(wrong(tmp_path, url="x", username="", label="!")) == {"url", "username", "label"}


def keys() -> dict[str, str]:
    pem = serialization.Encoding.PEM
    none = serialization.NoEncryption()
    made = rsa.generate_private_key(65537, 2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    return {
        "openssh": made.private_bytes(pem, serialization.PrivateFormat.OpenSSH, none).decode(),
        "pkcs1": made.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, none).decode(),
        "pkcs8": curve.private_bytes(pem, serialization.PrivateFormat.PKCS8, none).decode(),
        "windows": PRIVATE.replace("\n", "\r\n"),
        "no newline": PRIVATE.strip(),
    }


@pytest.mark.parametrize(("form", "key"), keys().items())
def test_keys_of_every_usual_form_are_taken(tmp_path: Path, form: str, key: str) -> None:
    assert config(tmp_path, ssh_key=key).ssh_key, form


def locked_keys(folder: Path) -> list[str]:
    import subprocess

    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "a-passphrase", "-f", str(folder / "key")]
    subprocess.run(words, check=True, capture_output=True)
    secret = serialization.BestAvailableEncryption(b"a-passphrase")
    key = ec.generate_private_key(ec.SECP256R1())
    forms = (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL)
    made = [key.private_bytes(serialization.Encoding.PEM, form, secret).decode() for form in forms]
    return [(folder / "key").read_text(), *made]


def test_a_key_with_a_passphrase_is_refused_by_name(tmp_path: Path) -> None:
    for key in locked_keys(tmp_path):
        assert "passphrase" in wrong(tmp_path, ssh_key=key)["ssh_key"]


def test_pinned_keys_may_be_several_with_comments_hashes_and_marks(tmp_path: Path) -> None:
    lines = f"# ours\n\n[review.example]:29418 {HOST_KEY} note\n@revoked * {HOST_KEY}\n"
    hashed = f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {HOST_KEY}"
    assert config(tmp_path, known_hosts=lines + hashed).known_hosts


def test_a_ca_may_be_given(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])
    now = datetime.now(UTC)
    pem = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    made = config(tmp_path, ca=pem)
    assert made.git.ca.strip() == pem.strip(), "git over HTTP trusts the same"
    assert made.tls.get_ca_certs()


def test_no_secret_is_shown(tmp_path: Path) -> None:
    made = config(tmp_path, ca="")
    for text in (repr(made), str(made), repr(made.bound(Repository("team/app")))):
        assert "sesame" not in text
        assert "PRIVATE KEY" not in text
    assert "sesame" not in str(wrong(tmp_path, url="x"))


def test_the_same_facts_give_the_same_config_and_others_another(tmp_path: Path) -> None:
    assert config(tmp_path) is config(tmp_path)
    assert config(tmp_path, password="other-password").password == "other-password"


class TestNames:
    @pytest.mark.parametrize("name", ["app", "team/app", "Team/App.x", "a b", "ünïcode/部署", "x" * 400, "a+b&c=d#e"])
    def test_names_that_gerrit_has(self, name: str) -> None:
        assert is_name(name)

    @pytest.mark.parametrize(
        "name",
        ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a.git", "a.git/b", "-a", "a\\b", "a?", "a%b", "a*", "a:b", "a<b",
         "a|b", 'a"b', "a~b", "a\nb", "a\0b", " a", "a ", "\ud800", "x" * 401],
    )  # fmt: skip
    def test_names_that_cannot_be(self, name: str) -> None:
        assert not is_name(name)

    @pytest.mark.parametrize("name", ["app", "team/app", "TEAM/App", "部署", "a" * 400, "..a", "a b/c.d--"])
    def test_a_mirror_has_a_folder_name_of_its_own(self, name: str) -> None:
        made = mirror_name("https://review.example", name)
        assert is_slug(made)
        assert "." in made, "no project's short name can be the same"
        others = {mirror_name("https://other.example", name), mirror_name("https://review.example", name + "x"),
                  mirror_name("https://review.example", name.swapcase() + "y")}  # fmt: skip
        assert made not in others

    def test_letter_case_and_separators_tell_mirrors_apart(self) -> None:
        assert len({mirror_name("https://r", name) for name in ("team/app", "Team/App", "team-app", "team.app")}) == 4

    def test_the_address_git_fetches_from(self, tmp_path: Path) -> None:
        bound = config(tmp_path).bound(Repository("team/a b#c"))
        assert bound.url == "https://review.example/r/a/team/a%20b%23c"
        assert (bound.credentials.username, bound.credentials.secret) == ("portal", "sesame-opens")
