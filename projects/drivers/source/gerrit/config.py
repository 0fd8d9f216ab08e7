"""Which Gerrit, as whom: validated once, so that nothing below has to doubt it."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import SplitResult, quote

import asyncssh

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import certificate_problem

from ..base import Credentials, Repository
from ..git import GitConfig
from .names import check_name, is_name, mirror_name

SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 10.0
SSH_PORT = 29418
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/*", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_SSH_USER = re.compile(r"[A-Za-z0-9._@+-]{1,128}", re.ASCII)
_WRONG = "bad_gerrit"


@dataclass(frozen=True)
class GerritConfig:
    """`url` is REST's base and that of git over HTTP, and may end in a path. `password`: HTTP credentials, or a token.

    Without `ssh_host` nobody listens to events over SSH; `known_hosts` holds the server's pinned keys. `parent` and
    `group` (the owners) are for new projects. `ca`: PEM; when given, the server's certificate must come from it.
    `git`: where mirrors are kept; the server may well be on a private network, as ops name it.
    """

    url: str
    username: str
    git: GitConfig = field(repr=False)
    password: str = field(default="", repr=False)
    ssh_host: str = ""
    ssh_port: int = SSH_PORT
    ssh_user: str = ""
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)
    parent: str = ""
    group: str = ""
    label: str = "Verified"
    ca: str = field(default="", repr=False)
    timeout_s: float = LONGEST_TIMEOUT_S

    @classmethod
    def of(cls, config: Mapping[str, Any], secrets: Mapping[str, Any], git_config: GitConfig) -> GerritConfig:
        """From what a connection holds. Raises Invalid, naming each field that is wrong.

        What is judged once is kept: reading keys and certificates takes long for a page that lists projects.
        """
        told = (json.dumps(dict(config), sort_keys=True, default=str), json.dumps(dict(secrets), sort_keys=True))
        return _read(*told, git_config)

    @classmethod
    def read(cls, config: Mapping[str, Any], secrets: Mapping[str, Any], git_config: GitConfig) -> GerritConfig:
        """As `of`, anew."""
        port, timeout = config.get("ssh_port") or SSH_PORT, config.get("timeout_s") or LONGEST_TIMEOUT_S
        return cls(
            url=_text(config, "url"),
            username=_text(config, "username"),
            git=replace(git_config, allow_private=True, ca=_text(config, "ca")),
            password=str(secrets.get("password") or ""),
            ssh_host=_text(config, "ssh_host"),
            ssh_port=_number(port, int),
            ssh_user=_text(config, "ssh_user") or _text(config, "username"),
            ssh_key=str(secrets.get("ssh_key") or "").replace("\r\n", "\n").strip(),
            known_hosts=_text(config, "known_hosts"),
            parent=_text(config, "parent"),
            group=_text(config, "group"),
            label=_text(config, "label") or "Verified",
            ca=_text(config, "ca"),
            timeout_s=_number(timeout, float),
        )

    def __post_init__(self) -> None:
        wrong = {name: [sentence] for name, sentence in self._problems() if sentence is not None}
        if wrong:
            raise Invalid(next(iter(wrong.values()))[0], code=_WRONG, fields=wrong)

    def _problems(self) -> list[tuple[str, Sentence | None]]:
        listens = bool(self.ssh_host)
        return [
            ("url", _url_problem(self.url)),
            ("username", _user_problem(self.username)),
            ("password", _password_problem(self.password)),
            ("ssh_host", _host_problem(self.ssh_host) if listens else None),
            ("ssh_port", _port_problem(self.ssh_port)),
            ("ssh_user", _ssh_user_problem(self.ssh_user) if listens and self._ssh_user_is_told else None),
            ("ssh_key", _key_problem(self.ssh_key) if listens or self.ssh_key else None),
            ("known_hosts", _known_hosts_problem(self.known_hosts) if listens or self.known_hosts else None),
            ("parent", None if not self.parent or is_name(self.parent) else _NO_NAME),
            ("group", _group_problem(self.group)),
            ("label", None if _LABEL.fullmatch(self.label) else _NO_LABEL),
            ("ca", certificate_problem(self.ca)),
            ("timeout_s", _timeout_problem(self.timeout_s)),
        ]

    @property
    def _ssh_user_is_told(self) -> bool:
        """Else it is the user name, and what is wrong with that is said once."""
        return self.ssh_user != self.username or _user_problem(self.username) is None

    @property
    def base(self) -> str:
        """The address that every request begins with; no slash at its end."""
        return self.url.rstrip("/")

    @cached_property
    def parts(self) -> SplitResult:
        return reach.split(self.base)

    @property
    def host(self) -> str:
        return reach.host_of(self.parts)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Reading certificates takes 20 ms and more, so once."""
        return ssl.create_default_context(cadata=self.ca or None)

    def bound(self, repository: Repository) -> Repository:
        """The same repository as kind `git` fetches it over HTTP into a mirror of its own. Raises Invalid."""
        name = check_name(repository.name)
        url = f"{self.base}/a/{quote(name, safe='/')}"
        return Repository(mirror_name(self.base, name), url, Credentials(self.username, self.password))


@lru_cache(maxsize=64)
def _read(config: str, secrets: str, git_config: GitConfig) -> GerritConfig:
    return GerritConfig.read(json.loads(config), json.loads(secrets), git_config)


_NO_NAME = S("This cannot be the name of a project in Gerrit.")
_NO_LABEL = S("A label's name holds letters, digits and “-” only.")


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "").strip()


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """A number, also one that was typed as text; -1, which is wrong everywhere, for what is none."""
    try:
        return -1 if isinstance(value, bool) else kind(value)
    except (TypeError, ValueError, OverflowError):
        return -1


def _url_problem(url: str) -> Sentence | None:
    try:
        parts = reach.split(url)
        reach.host_of(parts)
    except Invalid as error:
        return error.sentence
    if parts.scheme not in {"http", "https"}:
        return S("The address must begin with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        return S("The address must hold no user name and no password.")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return S("The address must hold no “?” and no “#”.")
    if not _PREFIX.fullmatch(parts.path) or ".." in parts.path:
        return S("The address's path may hold letters, digits, “.”, “_”, “-” and “/” only.")
    if parts.path.rstrip("/").endswith("/a"):
        return S("Give the address without “/a” at its end; the portal adds it by itself.")
    return None


def _user_problem(user: str) -> Sentence | None:
    if not user or len(user) > 200 or ":" in user or not user.isprintable():
        return S("Give the user name of the portal's account in Gerrit: up to 200 characters without “:”.")
    return None


def _password_problem(password: str) -> Sentence | None:
    if not password or len(password) > 1000 or not password.isprintable():
        return S("Give the HTTP password or token of the portal's account (in Gerrit: Settings → HTTP Credentials).")
    return None


def _host_problem(host: str) -> Sentence | None:
    return None if reach.HOST.fullmatch(host) else S("This is no valid host name.")


def _port_problem(port: int) -> Sentence | None:
    return None if 0 < port < 65536 else S("A port is a number from 1 to 65535.")


def _ssh_user_problem(user: str) -> Sentence | None:
    return None if _SSH_USER.fullmatch(user) else S("This cannot be a user name over SSH.")


def _key_problem(key: str) -> Sentence | None:
    if not key:
        return S("Give the private SSH key that the portal signs in with.")
    try:
        asyncssh.import_private_key(key + "\n")
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        if isinstance(error, asyncssh.KeyEncryptionError) or "passphrase" in str(error).lower():
            return S("The private SSH key is protected by a passphrase; give one without.")
        return S("This is no private SSH key (for example “-----BEGIN OPENSSH PRIVATE KEY-----…”).")
    return None


def _known_hosts_problem(lines: str) -> Sentence | None:
    if not lines:
        return S("Give the server's host keys (“ssh-keyscan -p 29418 host”, compared with what its operators say).")
    try:
        asyncssh.import_known_hosts(lines + "\n")
    except (ValueError, TypeError):
        return S("These are no lines of a file known_hosts.")
    real = [line for line in lines.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for number, line in enumerate(real, 1):
        words = line.split()
        key = words[2:] if words[0].startswith("@") else words[1:]
        try:
            asyncssh.import_public_key(" ".join(key[:2]))
        except (asyncssh.KeyImportError, ValueError):
            return S("Line %(number)s holds no host key; a line is “[host]:port ssh-ed25519 AAAA…”.", number=number)
    return None if real else S("These are no lines of a file known_hosts.")


def _group_problem(group: str) -> Sentence | None:
    if len(group) > 250 or (group and not group.isprintable()):
        return S("This cannot be the name of a group in Gerrit.")
    return None


def _timeout_problem(timeout_s: float) -> Sentence | None:
    if not SHORTEST_TIMEOUT_S <= timeout_s <= LONGEST_TIMEOUT_S:
        return S("A call may take %(least)s to %(most)s seconds.", least=SHORTEST_TIMEOUT_S, most=LONGEST_TIMEOUT_S)
    return None
