"""Consul as a source: what it is asked, and what each of its refusals becomes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from clusters.config_store import Sightings
from clusters.configs import access_of
from clusters.drivers.config import consul as consul_driver
from clusters.drivers.config.consul import ConsulAccess, ConsulConfig
from clusters.drivers.config.consul_wire import index_of
from fangduoduo_release.common.errors import AppError, Invalid, NotFound, Rejected, Unavailable
from fangduoduo_release.common.exchange import Answer
from tests.portal import free_port
from tests.simulators.consul import Consul
from tests.simulators.consul.server import Rights
from tests.simulators.consul.store import Store
from tests.simulators.registry import certificate

from .conftest import connection_to, source_at

pytestmark = pytest.mark.django_db
TOKEN = "b1gs33d0-planted-token"
TEXT = "a: 1\n"


def refusal(act: Callable[[], Any]) -> AppError:
    with pytest.raises(AppError) as told:
        act()
    assert TOKEN not in f"{told.value} {told.value.sentence.params} {getattr(told.value, 'evidence', '')}"
    return told.value


# --- what is asked ---------------------------------------------------------------------------------------------------
def test_the_token_is_a_header_and_never_in_an_address() -> None:
    with Consul(tokens={TOKEN: Rights(write=("shop/",))}) as consul:
        source = source_at(consul, token=TOKEN)
        source.put("shop/a.yaml", TEXT, author="dev")
        assert source.read("shop/a.yaml").text == TEXT
        assert all(one.headers["X-Consul-Token"] == TOKEN for one in consul.asked)
        assert not any(TOKEN in one.path for one in consul.asked)


def test_a_read_for_a_deployment_asks_the_leader_to_confirm(consul: Consul) -> None:
    consul.put("shop/a.yaml", TEXT)
    source_at(consul, datacenter="dc1").read("shop/a.yaml")
    assert consul.asked[-1].query == {"consistent": "", "dc": "dc1"}


def test_the_revision_is_the_keys_modify_index(consul: Consul) -> None:
    index = consul.put("shop/a.yaml", TEXT)
    consul.put("shop/b.yaml", TEXT)
    assert source_at(consul).read("shop/a.yaml").revision == str(index)


def test_a_key_with_spaces_and_plus_signs_is_sent_as_it_is(consul: Consul) -> None:
    source = source_at(consul)
    source.put("shop/my app+1@x.yaml", TEXT, author="dev")
    assert consul.text("shop/my app+1@x.yaml") == TEXT
    assert source.read("shop/my app+1@x.yaml").text == TEXT


def test_a_folders_own_entry_is_no_text(consul: Consul) -> None:
    consul.put("shop/", "")
    consul.put("shop/a.yaml", TEXT)
    assert source_at(consul).keys("shop/") == ["shop/a.yaml"]


def test_keys_below_a_prefix_are_named_without_it(consul: Consul) -> None:
    consul.put("config/prod/shop/a.yaml", TEXT)
    consul.put("config/production/shop/b.yaml", TEXT)
    assert source_at(consul, prefix="config/prod").keys() == ["shop/a.yaml"]


def test_a_text_that_somebody_else_put_has_no_author_and_is_remembered_only_once_seen(consul: Consul) -> None:
    source = source_at(consul)
    consul.put("shop/a.yaml", "a: 0\n")
    assert source.history("shop/a.yaml") == []
    first = source.put("shop/a.yaml", TEXT, author="dev")
    consul.put("shop/a.yaml", "a: 2\n")
    assert [one.revision for one in source.history("shop/a.yaml")] == [first.revision]
    assert source.read("shop/a.yaml", first.revision).text == TEXT


def test_an_own_put_that_was_overtaken_at_once_is_told(consul: Consul) -> None:
    class Busy(Store):
        def put(self, namespace: str, key: str, value: bytes, cas: int | None = None) -> bool:
            done = Store.put(self, namespace, key, value, cas)
            Store.put(self, namespace, key, b"theirs\n")
            return done

    consul.store = Busy()
    source = source_at(consul)
    assert refusal(lambda: source.put("shop/a.yaml", TEXT, author="dev")).code == "config_changed"


# --- what it is refused ----------------------------------------------------------------------------------------------
def test_a_server_that_is_not_there() -> None:
    access = ConsulAccess(f"http://127.0.0.1:{free_port()}")
    source = ConsulConfig(access, Sightings(None))  # type: ignore[arg-type] - it is never asked
    told = refusal(lambda: source.read("shop/a.yaml"))
    assert isinstance(told, Unavailable)
    assert str(told) == "“127.0.0.1” does not answer."


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "sentence"),
    [
        (500, "No cluster leader", Unavailable, "no_leader", "has no leader at the moment"),
        (500, "rpc error making call: No path to datacenter", Rejected, "bad_datacenter", "knows no datacenter “dc9”"),
        (500, "internal error", Unavailable, "busy", "cannot answer now (status 500)"),
        (503, "", Unavailable, "busy", "cannot answer now (status 503)"),
        (429, "Your IP is issuing too many concurrent connections", Unavailable, "rate_limited", "asked too often"),
        (503, "rpc error: code = ResourceExhausted RESOURCE_EXHAUSTED", Unavailable, "rate_limited", "asked too often"),
        (403, "ACL not found", Rejected, "bad_token", "does not know this ACL token"),
        (403, f"Permission denied for {TOKEN}", Rejected, "no_permission", "it lacks key:read"),
        (404, "<html>nginx</html>", Rejected, "not_consul", "does not answer like a Consul (status 404)"),
        (418, "", Rejected, "not_consul", "does not answer like a Consul (status 418)"),
    ],
)
def test_refusals(consul: Consul, status: int, body: str, kind: type, code: str, sentence: str) -> None:
    source = source_at(consul, token=TOKEN, datacenter="dc9")
    consul.faults.status, consul.faults.body = status, body
    told = refusal(lambda: source.read("shop/a.yaml"))
    assert (type(told), told.code) == (kind, code)
    assert sentence in str(told)


def test_an_acl_that_lets_nobody_in_without_a_token() -> None:
    with Consul(tokens={}) as consul:
        assert refusal(lambda: source_at(consul).read("shop/a.yaml")).code == "needs_token"


def test_a_token_that_may_read_and_not_write() -> None:
    with Consul(tokens={TOKEN: Rights(read=("shop/",))}) as consul:
        consul.put("shop/a.yaml", TEXT)
        source = source_at(consul, token=TOKEN)
        assert source.read("shop/a.yaml").text == TEXT
        told = refusal(lambda: source.put("shop/a.yaml", "a: 2\n", author="dev"))
        assert told.code == "no_permission"
        assert "it lacks key:write" in str(told)


def test_a_token_that_was_taken_away() -> None:
    with Consul(tokens={TOKEN: Rights(read=("",))}) as consul:
        consul.put("shop/a.yaml", TEXT)
        source = source_at(consul, token=TOKEN)
        source.read("shop/a.yaml")
        consul.tokens = {}
        assert refusal(lambda: source.read("shop/a.yaml")).code == "bad_token"


def test_a_namespace_on_a_consul_without_such(consul: Consul) -> None:
    told = refusal(lambda: source_at(consul, namespace="team-a").read("shop/a.yaml"))
    assert told.code == "no_namespaces"
    assert "only Consul Enterprise does" in str(told)


def test_what_is_no_text(consul: Consul) -> None:
    consul.put("shop/a.yaml", b"a: \xff\xfe\n")
    told = refusal(lambda: source_at(consul).read("shop/a.yaml"))
    assert str(told) == "What “shop/a.yaml” holds is not text in UTF-8 (byte 3)."
    consul.put("shop/a.yaml", b"a\0b")
    assert "holds a NUL" in str(refusal(lambda: source_at(consul, name="kv2").read("shop/a.yaml")))


def test_what_is_too_large_to_be_taken_in(consul: Consul) -> None:
    consul.put("shop/a.yaml", b"x" * (3 * 1024 * 1024))
    told = refusal(lambda: source_at(consul).read("shop/a.yaml"))
    assert isinstance(told, Invalid)
    assert "larger than 1024 KiB" in str(told)


def test_what_consul_itself_will_not_take(consul: Consul) -> None:
    told = refusal(lambda: source_at(consul).put("shop/a.yaml", "x" * (600 * 1024), author="dev"))
    assert told.code == "config_too_large"
    assert "takes no text of that size" in str(told)


def test_a_redirect_is_not_followed(consul: Consul) -> None:
    source = source_at(consul, token=TOKEN)
    with Consul() as other:
        consul.faults.redirect = f"{other.url}/v1/kv/shop/a.yaml"
        assert refusal(lambda: source.read("shop/a.yaml")).code == "redirect"
        assert other.asked == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"<html>", b"[" * 100_000, b"{}", b"[]", b"[1]", b"[{}]", b'[{"ModifyIndex": 3, "Value": 7}]',
        b'[{"ModifyIndex": "3", "Value": "YQ=="}]', b'[{"ModifyIndex": 3, "Value": "no base64!"}]',
    ],
)  # fmt: skip
def test_an_answer_that_no_consul_gives(consul: Consul, garbage: bytes) -> None:
    source = source_at(consul)
    consul.faults.garbage = garbage
    assert refusal(lambda: source.read("shop/a.yaml")).code == "not_consul"


def test_an_answer_that_drips_ends_in_time(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on for a quarter of an hour."""
    monkeypatch.setattr(consul_driver, "CALL_S", 1.0)
    consul.put("shop/a.yaml", "a: 1\n" * 600)
    source = source_at(consul)
    consul.faults.drip = True
    began = time.monotonic()
    assert isinstance(refusal(lambda: source.read("shop/a.yaml")), Unavailable)
    assert time.monotonic() - began < 120


def test_an_address_of_a_metadata_service_is_not_asked() -> None:
    source = ConsulConfig(ConsulAccess("http://169.254.169.254:8500"), Sightings(None))  # type: ignore[arg-type]
    told = refusal(lambda: source.read("shop/a.yaml"))
    assert (told.code, "must not be reached" in str(told)) == ("bad_address", True)


# --- TLS -------------------------------------------------------------------------------------------------------------
def test_a_certificate_of_ones_own_ca() -> None:
    ca = certificate("CA of the tests")
    with Consul(tls=certificate(signer=ca)) as consul:
        consul.put("shop/a.yaml", TEXT)
        trusted = source_at(consul, ca=ca.certificate.decode())
        assert trusted.read("shop/a.yaml").text == TEXT
        assert refusal(lambda: source_at(consul, name="kv2").read("shop/a.yaml")).code == "bad_certificate"


# --- what a connection says ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("config", "field", "sentence"),
    [
        ({"url": ""}, "url", "The address names no valid host."),
        ({"url": "ftp://consul.example"}, "url", "begins with https://"),
        ({"url": "http://:secret@consul.example"}, "url", "Put the ACL token into its own field"),
        ({"url": "http://consul.example/v1"}, "url", "ends before /v1"),
        ({"url": "http://consul.example/?token=x"}, "url", "ends before /v1"),
        ({"url": "http://consul.example/../x"}, "url", "ends before /v1"),
        ({"prefix": "../other"}, "prefix", "is no key"),
        ({"namespace": "a&b=c"}, "namespace", "is no name in Consul"),
        ({"partition": "a/b"}, "partition", "is no name in Consul"),
        ({"datacenter": "dc 1"}, "datacenter", "is no name in Consul"),
        ({"ca": "no certificate"}, "ca", "no certificate in PEM form"),
    ],
)
def test_a_connection_that_cannot_be_used(consul: Consul, config: dict[str, str], field: str, sentence: str) -> None:
    connection = connection_to(consul)
    connection.config = {**connection.config, **config}
    with pytest.raises(Invalid) as told:
        access_of(ConsulAccess, connection)
    assert list(told.value.fields) == [field]
    assert sentence in str(told.value)


def test_a_token_that_would_split_the_header(consul: Consul) -> None:
    connection = connection_to(consul, token="a\r\nHost: other")
    with pytest.raises(Invalid, match="cannot be sent"):
        access_of(ConsulAccess, connection)


def test_the_token_is_not_in_what_is_printed() -> None:
    assert TOKEN not in repr(ConsulAccess("http://consul.example", TOKEN))


def test_an_address_with_a_path_in_front(consul: Consul) -> None:
    access = ConsulAccess("http://gate.example/consul", prefix="p")
    assert access.kv("a b.yaml", consistent="") == "http://gate.example/consul/v1/kv/p/a%20b.yaml?consistent"


# --- indexes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "told", "after"),
    [(0, "7", 7), (7, "7", 7), (7, "9", 9), (7, "6", 0), (0, "0", 1), (0, "", 1), (0, "x", 1), (7, "", 0), (0, "-3", 1),
     (0, "9" * 40, 1)],
)  # fmt: skip
def test_the_index_to_wait_after(before: int, told: str, after: int) -> None:
    assert index_of(Answer(200, {"x-consul-index": told}, b""), before) == after


def test_a_missing_key_that_a_proxy_speaks_of_is_not_taken_for_consuls_word(consul: Consul) -> None:
    with pytest.raises(NotFound):
        source_at(consul).read("shop/a.yaml")
    consul.faults.status = 404
    with pytest.raises(Rejected):
        source_at(consul, name="kv2").read("shop/a.yaml")


def test_an_access_that_is_made_again_and_again_reads_certificates_once() -> None:
    """Who follows makes one every other second; what this machine trusts takes a tenth of a second to read."""
    ConsulAccess("https://consul.example")
    began = time.thread_time()
    for _ in range(200):
        ConsulAccess("https://consul.example")
    assert time.thread_time() - began < 5  # of twenty
