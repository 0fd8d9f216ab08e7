"""How a repository on somebody else's server is addressed: which addresses are allowed, and how we sign in.

The host is resolved and judged here, and git is then pinned to the very address that was judged, so a name that answers
differently a moment later changes nothing. Secrets travel in the environment or in a private key file, never in argv.
It must not know what is fetched.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import shlex
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.sentence import S

from .base import Credentials
from .git_command import clean_env

_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP_LIKE = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^\s:][^\s]*)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
# Metadata services that do not live on a link-local address.
_METADATA = frozenset(ipaddress.ip_address(a) for a in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254"))
_SHARED = ipaddress.ip_network("100.64.0.0/10")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A judged address: `text` as git gets it, without credentials; `address` is the IP git will be pinned to."""

    text: str
    scheme: str
    user: str
    host: str
    port: int
    address: str


def parse_url(text: str) -> RemoteUrl:
    """Judge the form only, no network: https, http or ssh (also `git@host:path`). `address` stays empty. Invalid."""
    scp = _SCP_LIKE.fullmatch(text)
    if scp:
        text = f"ssh://{scp['user']}@{scp['host']}/{scp['path'].lstrip('/')}"
    parts = _split(text)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise _bad(
            "A repository's address begins with https://, http:// or ssh://, or looks like git@host:path.", "scheme"
        )
    if parts.password is not None or (scheme != "ssh" and parts.username is not None):
        raise _bad("Put the user name and the password into their own fields, not into the address.", "credentials")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise _bad("The address names no valid host.", "host")
    user = unquote(parts.username or "")
    if user and not _USER.fullmatch(user):
        raise _bad("The address holds a user name with characters that are not allowed.", "user")
    if parts.query or parts.fragment or len(parts.path) < 2 or "/../" in f"{unquote(parts.path)}/":
        raise _bad("The address names no repository: its path is empty or holds “?”, “#” or “..”.", "path")
    port = parts.port or _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    login = f"{quote(user)}@" if user else ""
    place = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    return RemoteUrl(f"{scheme}://{login}{place}{parts.path}", scheme, user, host, port, "")


def judge_url(text: str, *, allow_private: bool) -> RemoteUrl:
    """Parse, resolve, and refuse what must not be reached from here. Invalid, or Unavailable when DNS is silent.

    Link-local, metadata, multicast and reserved addresses are refused always; loopback, private and shared ranges
    unless `allow_private`. One bad address among several refuses the name.
    """
    url = parse_url(text)
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unavailable(
            S("The host “%(host)s” cannot be found.", host=url.host), evidence=str(error), code="unknown_host"
        ) from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        _judge_address(address, url.host, allow_private)
    first = next((a for a in addresses if a.version == 4), addresses[0])
    return RemoteUrl(url.text, url.scheme, url.user, url.host, url.port, str(first))


def _judge_address(address: Address, host: str, allow_private: bool) -> None:
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
        raise _bad("“%(host)s” leads to an address that must not be reached from here.", "address", host=host)
    private = loopback or plain.is_private or (plain.version == 4 and plain in _SHARED)
    if private and not allow_private:
        raise _bad("“%(host)s” leads into a private network, which this portal may not reach.", "private", host=host)


@contextmanager
def signed_in(url: RemoteUrl, credentials: Credentials, known_hosts: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which git may speak to `url` and nothing else; a private key lives only inside the block."""
    if url.scheme == "ssh":
        with tempfile.TemporaryDirectory(prefix="fdd-ssh-") as folder:
            yield _ssh_env(url, credentials, known_hosts, Path(folder))
        return
    shown = f"[{url.address}]" if ":" in url.address else url.address
    config = [
        ("http.followRedirects", "false"),
        ("http.curloptResolve", f"{url.host}:{url.port}:{shown}"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("credential.helper", ""),
    ]
    if credentials.username or credentials.secret:
        pair = f"{credentials.username}:{credentials.secret}".encode()
        config.append(("http.extraHeader", f"Authorization: Basic {base64.b64encode(pair).decode('ascii')}"))
    yield clean_env(config, transports=url.scheme)


def _ssh_env(url: RemoteUrl, credentials: Credentials, known_hosts: Path, folder: Path) -> dict[str, str]:
    options = [
        "BatchMode=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=2",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={known_hosts}",
        "GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts",
        f"HostName={url.address}",
        f"HostKeyAlias={url.host}",
    ]
    if credentials.ssh_key:
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_text(credentials.ssh_key.replace("\r\n", "\n").rstrip("\n") + "\n", encoding="ascii")
        options.append(f"IdentityFile={key}")
    # git hands this to a shell: every word is quoted, and all of them are ours or judged above.
    words = ["ssh", "-F", "/dev/null", *(word for option in options for word in ("-o", option))]
    extra = {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}
    return clean_env((), transports="ssh", extra=extra)


def _split(text: str) -> SplitResult:
    if len(text) > 2000 or re.search(r"[\x00-\x20\x7f\\]", text) or not text.isascii():
        raise _bad("The address is too long or holds characters that no address has.", "form")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise _bad("The address is not well formed.", "form") from error
    return parts


def _bad(msgid: str, detail: str, **params: str) -> Invalid:
    return Invalid(S(msgid, **params), code=f"bad_url_{detail}")
