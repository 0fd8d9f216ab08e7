"""Where an address leads: what nobody here may connect to, however it is written."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import pytest

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid, Unavailable

NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "224.0.0.1",
    "239.255.255.250", "ff02::1", "0.0.0.0", "::", "240.0.0.1", "255.255.255.255", "::ffff:169.254.169.254",
    "::ffff:0.0.0.0", "2002:a9fe:a9fe::1",
]  # fmt: skip
INSIDE = [
    "127.0.0.1", "127.8.9.10", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "2002:0a00:0001::1",
]  # fmt: skip
OUTSIDE = ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888"]


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_reached(address: str, allow_private: bool) -> None:
    with pytest.raises(Invalid) as refused:
        reach.judge(ipaddress.ip_address(address), "host", allow_private=allow_private)
    assert refused.value.code == "bad_url_address"
    assert "host" in str(refused.value.sentence)


@pytest.mark.parametrize("address", INSIDE)
def test_private_networks_are_reached_only_where_it_is_allowed(address: str) -> None:
    found = ipaddress.ip_address(address)
    with pytest.raises(Invalid) as refused:
        reach.judge(found, "host", allow_private=False)
    assert refused.value.code == "bad_url_private"
    reach.judge(found, "host", allow_private=True)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_rest_of_the_world_is_open(address: str) -> None:
    reach.judge(ipaddress.ip_address(address), "host", allow_private=False)
    assert reach.find(address, 443, allow_private=False) == address


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost"])
def test_odd_spellings_are_judged_by_where_they_lead(spelling: str) -> None:
    with pytest.raises((Invalid, Unavailable)):
        reach.find(spelling, 443, allow_private=False)


def test_the_address_that_was_judged_is_what_comes_back() -> None:
    assert reach.find("localhost", 80, allow_private=True) in {"127.0.0.1", "::1"}
    assert reach.find("::1", 80, allow_private=True) == "::1"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "x..invalid"])
def test_a_name_nobody_knows_may_be_tried_again(host: str) -> None:
    with pytest.raises(Unavailable) as refused:
        reach.find(host, 443, allow_private=True)
    assert refused.value.code == "unknown_host"


def test_a_resolver_that_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only part that is not ours: the system's resolver, made silent."""
    over, asked = threading.Event(), threading.Event()

    def silent(*_a: object, **_k: object) -> None:
        asked.set()
        over.wait(3600)
        raise socket.gaierror("too late")

    monkeypatch.setattr(reach, "RESOLVE_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        reach.find("release.example.org", 443, allow_private=True)
    assert time.monotonic() - began < 60
    assert asked.wait(60)
    over.set()


def test_one_bad_address_among_several_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.216.34", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: both)
    with pytest.raises(Invalid):
        reach.find("two-faced.example.org", 443, allow_private=True)


@pytest.mark.parametrize(
    "text",
    ["https://a\n.example/", "https://a .example/", "https://a\\b/", "https://bücher.example/", "https://x:port/",
     "https://[::1/", "https://" + "x" * 2000, "https://a\x7f/", "https://a\x00/"],
)  # fmt: skip
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        reach.split(text)
    assert refused.value.code == "bad_url_form"


@pytest.mark.parametrize("text", ["https:///x", "https://-a.example/", "https://a_b$.example/", "mailto:a", ""])
def test_an_address_names_a_host(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        reach.host_of(reach.split(text))
    assert refused.value.code == "bad_url_host"


def test_a_host_is_written_small_and_without_brackets() -> None:
    assert reach.host_of(reach.split("https://Example.ORG:8443/x")) == "example.org"
    assert reach.host_of(reach.split("https://[2001:db8::1]/x")) == "2001:db8::1"
