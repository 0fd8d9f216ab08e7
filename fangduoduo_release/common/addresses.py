"""Where a request really comes from: the proxies we know are believed about whom they forward for, nobody else is.

`X-Forwarded-For` is read from its right end, where our own proxies wrote; everything left of the first stranger was
written by that stranger.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from django.conf import settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=8)
def networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks by these names. Raises ValueError for one that is none."""
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def real_address(peer: str, forwarded: str) -> str:
    """The client's address: the peer's own, or what a trusted proxy says of it; "" when there is none."""
    trusted = networks(tuple(settings.TRUSTED_PROXIES))
    address = plain(peer)
    for said in reversed(forwarded.split(",") if forwarded else []):
        if not address or not any(ipaddress.ip_address(address) in network for network in trusted):
            break
        if not (before := plain(said)):
            break
        address = before
    return address


def plain(text: str) -> str:
    """One address as it is usually written (no brackets, port, zone or mapping); "" for what is none."""
    text = text.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
