"""Where an address that a person gave leads, before anything is fetched from it.

A host is resolved and judged once, and whoever fetches connects to the very address that was judged, so a name that
answers differently a moment later changes nothing. Django-free: drivers use it. It must not know what is fetched.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .errors import Invalid, Unavailable
from .sentence import S, Sentence

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
RESOLVE_S = 5.0
# Metadata services that do not live on a link-local address.
_METADATA = frozenset(ipaddress.ip_address(a) for a in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254"))
_SHARED = ipaddress.ip_network("100.64.0.0/10")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def split(text: str) -> SplitResult:
    """The parts of an address that is well formed and holds nothing odd. Raises Invalid."""
    if len(text) > 2000 or re.search(r"[\x00-\x20\x7f\\]", text) or not text.isascii():
        raise refused(S("The address is too long or holds characters that no address has."), "form")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise refused(S("The address is not well formed."), "form") from error
    return parts


def host_of(parts: SplitResult) -> str:
    """The host that the address names. Raises Invalid."""
    host = parts.hostname or ""
    if not HOST.fullmatch(host):
        raise refused(S("The address names no valid host."), "host")
    return host


def find(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve, and refuse what must not be reached from here. Invalid, or Unavailable when DNS is silent.

    Link-local, metadata, multicast and reserved addresses are refused always; loopback, private and shared ranges
    unless `allow_private`. One bad address among several refuses the name. The address to connect to is returned.
    """
    addresses = _resolve(host, port)
    for address in addresses:
        judge(address, host, allow_private=allow_private)
    return str(next((a for a in addresses if a.version == 4), addresses[0]))


def judge(address: Address, host: str, *, allow_private: bool) -> None:
    """Raises Invalid when nothing from here may connect to `address`, which `host` led to."""
    plain: Address = address
    if isinstance(address, ipaddress.IPv6Address):
        plain = address.ipv4_mapped or address.sixtofour or address
    loopback = plain.is_loopback
    if (
        plain in _METADATA
        or plain.is_link_local
        or plain.is_multicast
        or plain.is_unspecified
        or (plain.is_reserved and not loopback)
    ):
        raise refused(S("“%(host)s” leads to an address that must not be reached from here.", host=host), "address")
    private = loopback or plain.is_private or (plain.version == 4 and plain in _SHARED)
    if private and not allow_private:
        raise refused(
            S("“%(host)s” leads into a private network, which this portal may not reach.", host=host), "private"
        )


def refused(sentence: Sentence, detail: str) -> Invalid:
    """What is wrong with an address, with a code of its own."""
    return Invalid(sentence, code=f"bad_url_{detail}")


def _resolve(host: str, port: int) -> list[Address]:
    """All addresses of the host. The resolver knows no deadline, so it is asked in a thread that may be left behind."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass  # a name, or a number as only a resolver reads it
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (socket.gaierror, UnicodeError) as error:
            answer.append(error)

    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    asking.join(RESOLVE_S)
    found = answer[0] if answer else TimeoutError("the resolver does not answer")
    if isinstance(found, Exception):
        raise Unavailable(
            S("The host “%(host)s” cannot be found.", host=host), evidence=str(found), code="unknown_host"
        ) from found
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
