"""Who a request comes from: the peer, unless a proxy of ours says otherwise; strangers may say what they like."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.addresses import networks, plain, real_address
from fangduoduo_release.common.http import facts_of
from tests import world


@pytest.fixture(autouse=True)
def proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # a stranger's word
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the left one was written by 203.0.113.9
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.1.1.1, 10.0.0.2", "10.1.1.1"),  # ours all the way
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db9::5]:4711", "2001:db9::5"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "2001:db9::5", "2001:db9::5"),
        ("fe80::1%eth0", "", "fe80::1"),
        ("", "203.0.113.9", ""),
        ("unix:", "203.0.113.9", ""),
        ("10.0.0.1", "203.0.113.9, " * 500 + "10.0.0.3", "203.0.113.9"),
    ],
)
def test_the_real_address(peer: str, forwarded: str, expected: str) -> None:
    assert real_address(peer, forwarded) == expected


def test_without_proxies_nobody_is_believed(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert real_address("10.0.0.1", "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize("text", ["", "a", "1.2.3", "1.2.3.4.5", "::g", "[", "[]", "127.0.0.1\x00", "１.２.３.４"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert plain(text) == ""


def test_what_is_no_network_is_said_so() -> None:
    with pytest.raises(ValueError):
        networks(("the proxy",))
    assert [str(one) for one in networks(("10.1.2.3/8", "::1"))] == ["10.0.0.0/8", "::1/128"]


def test_facts_are_bounded_and_each_request_has_its_own_name() -> None:
    one, other = (facts_of("10.0.0.1", "", "x" * 999) for _ in range(2))
    assert len(one.user_agent) == 200
    assert one.request_id != other.request_id


@pytest.mark.django_db
@pytest.mark.parametrize(("peer", "recorded"), [("10.0.0.1", "203.0.113.9"), ("198.51.100.7", "198.51.100.7")])
def test_the_audit_has_the_real_one(peer: str, recorded: str, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    world.person("ann", password="correct horse battery")
    form = {"username": "ann", "password": "correct horse battery"}
    answer = Client().post("/sign-in/", form, REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert answer.status_code == 302
    assert AuditEntry.objects.get(verb="person.sign_in").address == recorded
