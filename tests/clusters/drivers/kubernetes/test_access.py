"""A kubeconfig says how a cluster is reached, and nothing in it may run a program, read a file or weaken TLS."""

from __future__ import annotations

import base64
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes.access import Access, from_kubeconfig, in_cluster
from fangduoduo_release.common.errors import Invalid
from tests.simulators.registry import certificate

from .ground import TOKEN, Authority, b64, kubeconfig

PLANTED = "planted-secret-value"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def refusal(text: Any, context: str = "", **options: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        from_kubeconfig(text, context, **options)
    for told in (str(refused.value.sentence), repr(refused.value), str(refused.value.fields)):
        assert PLANTED not in told
        assert TOKEN not in told
    return refused.value


# --- what is accepted ---------------------------------------------------------------------------------------------
def test_a_token_with_the_cas_certificate() -> None:
    ca = Authority().pem
    found = from_kubeconfig(kubeconfig(cluster={"certificate-authority-data": b64(ca.encode())}))
    assert found == Access(server="https://k8s.example:6443", ca=ca, token=TOKEN)
    assert found.bearer == TOKEN
    context = found.tls()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1  # this CA alone, not those of the machine as well


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where keys are put for a moment; other tests have theirs elsewhere at the same time."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_client_certificate(authority: Authority, pairs: Path) -> None:
    pair = authority.server()
    user = {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}
    found = from_kubeconfig(kubeconfig(user=user))
    assert found.bearer == ""
    assert found.certificate == pair.certificate.decode()
    assert found.tls() is not None
    assert not list(pairs.glob("fdd-pair-*"))  # the key was in a file for a moment only


def test_another_name_of_the_server_and_a_slash_at_the_end() -> None:
    found = from_kubeconfig(kubeconfig("https://10.0.0.1:6443/", cluster={"tls-server-name": "kubernetes"}))
    assert (found.server, found.server_name) == ("https://10.0.0.1:6443", "kubernetes")


def test_the_named_context_is_taken_and_what_others_hold_is_not_looked_at() -> None:
    text = kubeconfig(
        contexts=[
            {"name": "here", "context": {"cluster": "c", "user": "plugin"}},
            {"name": "there", "context": {"cluster": "d", "user": "v", "namespace": "x"}},
        ],
        clusters=[
            {"name": "c", "cluster": {"server": "https://c.example"}},
            {"name": "d", "cluster": {"server": "https://d.example/k8s/clusters/c-1"}},
        ],
        users=[{"name": "plugin", "user": {"exec": {"command": "aws"}}}, {"name": "v", "user": {"token": "other"}}],
    )
    assert from_kubeconfig(text, "there") == Access(server="https://d.example/k8s/clusters/c-1", token="other")
    assert refusal(text).code == "kubeconfig_plugin"


def test_json_is_yaml() -> None:
    text = '{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":{"server":"https://a"}}],"users":[{"name":"u","user":{"token":"t"}}]}'
    assert from_kubeconfig(text).server == "https://a"


# --- what is refused ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("user", "word"),
    [
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh"}}, "exec"),
        ({"token": PLANTED, "exec": {"command": "aws"}}, "exec"),
        ({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}}, "auth-provider"),
    ],
)
def test_plugins_are_refused_because_they_run_programs(user: dict[str, Any], word: str) -> None:
    refused = refusal(kubeconfig(user=user))
    assert refused.code == "kubeconfig_plugin"
    assert word in str(refused.sentence)
    assert list(refused.fields) == ["kubeconfig"]


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({"certificate-authority": "/etc/passwd"}, None),
        ({}, {"client-certificate": "/c", "client-key": "/k"}),
        ({}, {"token": TOKEN, "client-key": "~/.kube/key"}),
        ({}, {"tokenFile": "/var/run/secrets/token"}),
        ({}, {"token-file": "/var/run/secrets/token"}),
    ],
)
def test_paths_of_files_are_refused(cluster: dict[str, Any], user: dict[str, Any] | None) -> None:
    refused = refusal(kubeconfig(cluster=cluster, user=user))
    assert refused.code == "kubeconfig_path"
    assert "--flatten" in str(refused.sentence)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"username": "admin", "password": PLANTED}, "no user name with a password"),
        ({"token": PLANTED, "as": "root"}, "acts as somebody else"),
        ({"token": PLANTED, "as-groups": ["system:masters"]}, "acts as somebody else"),
        ({"token": PLANTED, "as-uid": "1"}, "acts as somebody else"),
        ({"token": PLANTED, "as-user-extra": {"reason": ["x"]}}, "acts as somebody else"),
        ({"token": f"{PLANTED}\nX-Evil: 1"}, "characters that no token has"),
        ({"token": "schlüssel"}, "characters that no token has"),
        ({"client-certificate-data": b64(b"x")}, "go together"),
        ({"client-key-data": b64(b"x")}, "go together"),
        ({"client-certificate-data": "%%%", "client-key-data": b64(b"x")}, "not base64"),
        ({"client-certificate-data": b64("ü".encode()), "client-key-data": b64(b"x")}, "not base64"),
        ({}, "neither a token nor a client certificate"),
        ({"token": ""}, "neither a token nor a client certificate"),
        ({"token": {"nested": PLANTED}}, "is not text"),
        ({"token": 12345}, "is not text"),
    ],
)
def test_users_that_are_refused(user: dict[str, Any], words: str) -> None:
    assert words in str(refusal(kubeconfig(user=user)).sentence)


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"proxy-url": f"http://u:{PLANTED}@proxy"}, "proxy"),
        ({"insecure-skip-tls-verify": True}, "switches the check"),
        ({"insecure-skip-tls-verify": "true"}, "switches the check"),
        ({"server": "http://k8s.example"}, "not encrypted"),
        ({"server": f"https://u:{PLANTED}@k8s.example"}, "not an https address"),
        ({"server": "https://k8s.example?x=1"}, "not an https address"),
        ({"server": "ftp://k8s.example"}, "not an https address"),
        ({"server": "k8s.example"}, "not an https address"),
        ({"server": None}, "not an https address"),
        ({"server": "https://k8s.example:99999"}, "not well formed"),
        ({"server": "https://k8s.exa mple"}, "characters that no address has"),
        ({"certificate-authority-data": "***"}, "not base64"),
        ({"certificate-authority-data": b64(b"no pem")}, "no certificate in PEM form"),
        ({"tls-server-name": "a b\r\nc"}, "names no valid host"),
    ],
)
def test_servers_that_are_refused(cluster: dict[str, Any], words: str) -> None:
    refused = refusal(kubeconfig(cluster=cluster))
    assert words in str(refused.sentence)
    assert list(refused.fields) == ["kubeconfig"]


def test_a_key_of_another_certificate(authority: Authority, pairs: Path) -> None:
    one, other = authority.server(), authority.server()
    user = {"client-certificate-data": b64(one.certificate), "client-key-data": b64(other.key)}
    assert "do not belong together" in str(refusal(kubeconfig(user=user)).sentence)
    assert not list(pairs.glob("fdd-pair-*"))


def test_a_key_behind_a_passphrase_is_refused_and_asks_nobody() -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    pair = certificate("x")
    locked = load_pem_private_key(pair.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    user = {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(locked)}
    assert "cannot be read" in str(refusal(kubeconfig(user=user)).sentence)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 YAML documents"),
        ("just words", "no kubeconfig"),
        ("- a\n- b", "no kubeconfig"),
        (kubeconfig() + "---\n" + kubeconfig(), "2 YAML documents"),
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("\x00\x01", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("users: 1\nusers: 2\n", "given twice"),
        (BOMB, "by aliases"),
        ("[" * 5000, "nest"),
        ("a: " + "x" * 2 * 1024 * 1024, "larger than"),
        (kubeconfig(**{"current-context": None}), "no current context"),
        (kubeconfig(**{"current-context": "gone"}), "no context called “gone”"),
        (kubeconfig(clusters=[]), "names a cluster or a user"),
        (kubeconfig(users=[]), "names a cluster or a user"),
        (kubeconfig(users="many"), "names a cluster or a user"),
        (kubeconfig(clusters=[1, None, {"name": "c"}]), "names a cluster or a user"),
        (kubeconfig(contexts={"name": "here"}), "no context called “here”"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_texts_that_are_no_kubeconfig(text: str, words: str) -> None:
    began = time.monotonic()
    refused = refusal(text)
    assert time.monotonic() - began < 30
    assert words in str(refused.sentence)


def test_a_context_that_is_not_there_is_said_beside_its_field() -> None:
    refused = refusal(kubeconfig(), "elsewhere")
    assert list(refused.fields) == ["context"]


def test_insecure_ways_are_open_only_where_they_are_allowed() -> None:
    plain = from_kubeconfig(kubeconfig("http://127.0.0.1:8001"), allow_insecure=True)
    assert plain.tls() is None
    unchecked = from_kubeconfig(kubeconfig(cluster={"insecure-skip-tls-verify": True}), allow_insecure=True)
    context = unchecked.tls()
    assert unchecked.insecure
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


# --- secrets ------------------------------------------------------------------------------------------------------
def test_nothing_secret_is_in_what_is_printed(authority: Authority) -> None:
    pair = authority.server()
    user = {"token": PLANTED, "client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}
    found = from_kubeconfig(kubeconfig(user=user))
    for text in (repr(found), str(found)):
        assert PLANTED not in text
        assert "PRIVATE" not in text


# --- inside a cluster ---------------------------------------------------------------------------------------------
@pytest.fixture
def account(tmp_path: Path, authority: Authority) -> Path:
    (tmp_path / "ca.crt").write_text(authority.pem)
    (tmp_path / "token").write_text("first\n")
    return tmp_path


def test_the_pods_account_is_read_anew_each_time_because_it_is_rotated(account: Path) -> None:
    found = in_cluster({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}, account)
    assert found.server == "https://10.96.0.1:443"
    assert found.bearer == "first"
    (account / "token").write_text("second")
    assert found.bearer == "second"
    (account / "token").unlink()
    assert found.bearer == ""
    assert "second" not in repr(found)


def test_an_address_of_ipv6_stands_in_brackets(account: Path) -> None:
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, account).server == "https://[fd00::1]:443"


@pytest.mark.parametrize("environment", [{}, {"KUBERNETES_SERVICE_HOST": ""}])
def test_outside_of_a_cluster_there_is_no_account(environment: dict[str, str], account: Path, tmp_path: Path) -> None:
    for folder in (account, tmp_path / "none"):
        with pytest.raises(Invalid) as refused:
            in_cluster(environment, folder)
        assert list(refused.value.fields) == ["in_cluster"]


def test_base64_with_line_breaks_is_read(authority: Authority) -> None:
    wrapped = base64.encodebytes(authority.pem.encode()).decode()
    assert from_kubeconfig(kubeconfig(cluster={"certificate-authority-data": wrapped})).ca == authority.pem
