"""How a repository on somebody else's server is addressed: which addresses are allowed, and how we sign in.

The host is resolved and judged (`common/reach.py`), and git is then pinned to the very address that was judged.
Secrets travel in the environment or in a private key file, never in argv. It must not know what is fetched.
"""

from __future__ import annotations

import base64
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from fangduoduo_release.common import reach
from fangduoduo_release.common.sentence import S

from .base import Credentials
from .git_command import clean_env

_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP_LIKE = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^\s:][^\s]*)")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A judged address: `text` as git gets it, without credentials; `address` is the IP git will be pinned to."""

    text: str
    scheme: str
    user: str
    host: str
    port: int
    address: str

    @property
    def known_as(self) -> str:
        """Its name in a file known_hosts, as OpenSSH writes it: two servers of one host may have two keys."""
        return self.host if self.port == _PORTS["ssh"] else f"[{self.host}]:{self.port}"


def parse_url(text: str) -> RemoteUrl:
    """Judge the form only, no network: https, http or ssh (also `git@host:path`). `address` stays empty. Invalid."""
    scp = _SCP_LIKE.fullmatch(text)
    if scp:
        text = f"ssh://{scp['user']}@{scp['host']}/{scp['path'].lstrip('/')}"
    parts = reach.split(text)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise reach.refused(
            S("A repository's address begins with https://, http:// or ssh://, or looks like git@host:path."), "scheme"
        )
    if parts.password is not None or (scheme != "ssh" and parts.username is not None):
        raise reach.refused(
            S("Put the user name and the password into their own fields, not into the address."), "credentials"
        )
    host = reach.host_of(parts)
    user = unquote(parts.username or "")
    if user and not _USER.fullmatch(user):
        raise reach.refused(S("The address holds a user name with characters that are not allowed."), "user")
    if parts.query or parts.fragment or len(parts.path) < 2 or "/../" in f"{unquote(parts.path)}/":
        raise reach.refused(S("The address names no repository: its path is empty or holds “?”, “#” or “..”."), "path")
    port = parts.port or _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    login = f"{quote(user)}@" if user else ""
    place = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    return RemoteUrl(f"{scheme}://{login}{place}{parts.path}", scheme, user, host, port, "")


def judge_url(text: str, *, allow_private: bool) -> RemoteUrl:
    """Parse, resolve, and refuse what must not be reached from here (`reach.find`). Invalid, Unavailable."""
    url = parse_url(text)
    return replace(url, address=reach.find(url.host, url.port, allow_private=allow_private))


@contextmanager
def signed_in(
    url: RemoteUrl, credentials: Credentials, known_hosts: Path, *, ca: str = ""
) -> Iterator[Mapping[str, str]]:
    """`environment` for the block; a private key lives only inside it."""
    with tempfile.TemporaryDirectory(prefix="fdd-git-") as folder:
        yield environment(url, credentials, known_hosts, Path(folder), ca=ca)


def environment(
    url: RemoteUrl, credentials: Credentials, known_hosts: Path, folder: Path, *, ca: str = ""
) -> dict[str, str]:
    """In which git may speak to `url` and nothing else. What it signs in with lies in `folder`, which must be private.

    `ca`: PEM; when given, an https server's certificate must come from it.
    """
    if url.scheme == "ssh":
        return _ssh_env(url, credentials, known_hosts, folder)
    return _http_env(url, credentials, ca, folder)


def _http_env(url: RemoteUrl, credentials: Credentials, ca: str, folder: Path) -> dict[str, str]:
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
    if ca:
        trusted = folder / "ca.pem"
        trusted.write_text(ca, encoding="ascii")
        config.append(("http.sslCAInfo", str(trusted)))
    return clean_env(config, transports=url.scheme)


def carry_pins(url: RemoteUrl, known_hosts: Path) -> None:
    """Keys were once kept under the host alone, whatever the port. For a server that was reached then, they stay pinned."""
    if url.known_as == url.host or not known_hosts.is_file():
        return
    lines = [line.partition(" ") for line in known_hosts.read_text(encoding="utf-8").splitlines()]
    if any(url.known_as in names.split(",") for names, _, _ in lines):
        return
    kept = [f"{url.known_as} {key}\n" for names, _, key in lines if url.host in names.split(",")]
    with known_hosts.open("a", encoding="utf-8") as file:
        file.write("".join(kept))  # in one piece, as ssh adds lines at any time


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
        f"HostKeyAlias={url.known_as}",
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
