"""Keys of servers: which are pinned, which one is shown, and whether they are the same; and keys to come in with.

Keys are pinned as lines of OpenSSH's known_hosts. A key is never taken over by itself: `offered_host_key` tells what a
server shows to strangers, and somebody who compared it pins it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import asyncssh
from asyncssh.public_key import get_default_public_key_algs

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from . import ssh_troubles

PORT = 29418
CONNECT_S = 10.0


class Judge(asyncssh.SSHClient):
    """Lets a server pass that shows a pinned key, and remembers what was shown."""

    def __init__(self, pinned: list[asyncssh.SSHKey]) -> None:
        self.pinned = pinned
        self.offered: list[asyncssh.SSHKey] = []

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = [key]
        return key in self.pinned

    def algorithms(self) -> list[str]:
        """All, those of the pinned keys first: a server with several keys shows the one we know."""
        known = {name for key in self.pinned for name in key.sig_algorithms}
        return [name.decode() for name in sorted(get_default_public_key_algs(), key=lambda name: name not in known)]


def pinned_keys(host: str, port: int, known_hosts: str) -> list[asyncssh.SSHKey]:
    """Those of this server. Rejected when the lines cannot be read."""
    try:
        hosts = asyncssh.import_known_hosts(known_hosts)
    except ValueError as error:
        raise Rejected(S("The pinned host keys cannot be read."), code="known_hosts_unreadable") from error
    keys, _, revoked, *_ = hosts.match(host, "", port if port != asyncssh.DEFAULT_PORT else None)
    return [key for key in keys if key not in revoked]


def pinned_fingerprints(host: str, port: int, known_hosts: str) -> str:
    """Separated by commas; "" when none of this server is pinned. Rejected when the lines cannot be read."""
    return prints(pinned_keys(host, port, known_hosts))


def prints(keys: Iterable[asyncssh.SSHKey]) -> str:
    """Their fingerprints, as ssh-keygen shows them."""
    return ", ".join(key.get_fingerprint("sha256") for key in keys)


def private_key(text: str) -> asyncssh.SSHKey:
    """Rejected `key_unreadable` when it cannot be used without a passphrase; nothing of it is ever told."""
    try:
        return asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        sentence = S("The private key cannot be read; it has to be in OpenSSH's or PEM form, without a passphrase.")
        raise Rejected(sentence, code="key_unreadable") from None


def check_key(text: str) -> str:
    """The fingerprint of a private key. Rejected `key_unreadable`."""
    return private_key(text).get_fingerprint("sha256")


def offered_host_key(host: str, port: int = PORT) -> tuple[str, str]:
    """The key a server shows to strangers: as a line to be pinned, and its fingerprint. Not from within a loop."""

    async def ask() -> asyncssh.SSHKey | None:
        with ssh_troubles.told(f"{host}:{port}", ""):
            async with asyncio.timeout(CONNECT_S):
                return await asyncssh.get_server_host_key(host, port, config=None)

    key = asyncio.run(ask())
    if key is None:
        raise Unavailable(S("%(server)s shows no key.", server=f"{host}:{port}"), code="no_key")
    name = host if port == asyncssh.DEFAULT_PORT else f"[{host}]:{port}"
    kind, text = key.export_public_key("openssh").decode().split()[:2]
    return f"{name} {kind} {text}", key.get_fingerprint("sha256")


def fingerprint_of(host: str, port: int = PORT) -> str:
    """Of the key a server shows to strangers. Not from within a loop."""
    return offered_host_key(host, port)[1]
