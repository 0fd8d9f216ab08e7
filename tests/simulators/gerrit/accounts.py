"""Who may come in: accounts with HTTP passwords and SSH keys, and the groups they are in."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

import asyncssh

CAPABILITIES = ("accessDatabase", "createGroup", "createProject", "streamEvents", "viewAccess", "viewPlugins")
REGISTERED = "Registered Users"


@dataclass
class Account:
    """`keys`: public ones as in authorized_keys. `capabilities`: Gerrit's names."""

    number: int
    username: str
    name: str
    email: str
    password: str = field(default="", repr=False)
    keys: list[str] = field(default_factory=list)
    capabilities: set[str] = field(default_factory=lambda: set(CAPABILITIES))

    def attribute(self) -> dict[str, str]:
        """As in events."""
        return {"name": self.name, "email": self.email, "username": self.username}

    def info(self) -> dict[str, Any]:
        return {"_account_id": self.number, **self.attribute()}

    def may(self, capability: str) -> bool:
        return capability in self.capabilities

    def has(self, key: asyncssh.SSHKey) -> bool:
        wanted = key.export_public_key("openssh").split()[:2]
        return any(text.encode().split()[:2] == wanted for text in self.keys)


class Accounts:
    """All accounts and groups."""

    def __init__(self) -> None:
        self._all: dict[str, Account] = {}
        self.groups: dict[str, str] = {}
        for name in ("Administrators", "Service Users"):
            self.add_group(name)
        self.groups[REGISTERED] = "global:Registered-Users"

    def add(self, username: str, password: str = "", *, name: str = "", email: str = "", key: str = "") -> Account:
        account = Account(
            1000000 + len(self._all),
            username,
            name or username.capitalize(),
            email or f"{username}@example.com",
            password,
            [key] if key else [],
        )
        self._all[username] = account
        return account

    def add_group(self, name: str) -> str:
        self.groups[name] = hashlib.sha1(name.encode()).hexdigest()
        return self.groups[name]

    def named(self, text: str) -> Account | None:
        """By user name, email address or number."""
        for account in self._all.values():
            if text in (account.username, account.email, str(account.number), account.name):
                return account
        return None

    def by_key(self, username: str, key: asyncssh.SSHKey) -> Account | None:
        account = self._all.get(username)
        return account if account is not None and account.has(key) else None

    def by_header(self, header: str) -> Account | None:
        """Who a header `Authorization: Basic …` names with the right password."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._all.get(username)
        if account is None or not account.password or not compare_digest(account.password.encode(), password.encode()):
            return None
        return account
