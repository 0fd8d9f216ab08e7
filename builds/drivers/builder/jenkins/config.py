"""Which Jenkins, as whom: validated once, so that nothing below has to doubt it."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cached_property

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import certificate_problem

from .paths import PREFIX, is_segment

CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,200}")
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 60.0


@dataclass(frozen=True)
class JenkinsConfig:
    """`url` may end in a path (`https://ci.example/jenkins/`). `token` is an API token, so no crumb is ever needed.

    `folder` may be nested (`a/b`). `credentials_id` names a credential *in Jenkins* that reads our repositories.
    `ca`: PEM; when given, the server's certificate must come from it.
    """

    url: str
    user: str
    token: str = field(repr=False)
    folder: str = "fangduoduo-release"
    credentials_id: str = ""
    ca: str = field(default="", repr=False)
    timeout_s: float = 10

    def __post_init__(self) -> None:
        wrong = {name: [sentence] for name, sentence in self._problems() if sentence is not None}
        if wrong:
            raise Invalid(next(iter(wrong.values()))[0], code="bad_jenkins", fields=wrong)

    def _problems(self) -> list[tuple[str, Sentence | None]]:
        return [
            ("url", _url_problem(self.url)),
            ("user", _user_problem(self.user)),
            ("token", _token_problem(self.token)),
            ("folder", _folder_problem(self.folder)),
            ("credentials_id", _credential_problem(self.credentials_id)),
            ("ca", certificate_problem(self.ca)),
            ("timeout_s", _timeout_problem(self.timeout_s)),
        ]

    @property
    def base(self) -> str:
        """The address that every request begins with; ends in `/`."""
        return self.url.rstrip("/") + "/"

    @property
    def host(self) -> str:
        return reach.host_of(reach.split(self.url))

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Reading certificates takes 20 ms and more, so once."""
        return ssl.create_default_context(cadata=self.ca or None)


def is_credential(text: str) -> bool:
    """Whether Jenkins could have given a credential this id; it goes into Groovy and XML."""
    return CREDENTIAL.fullmatch(text) is not None


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
    if not PREFIX.fullmatch(parts.path):
        return S("The address's path may hold letters, digits, “.”, “_”, “-” and “/” only.")
    return None


def _user_problem(user: str) -> Sentence | None:
    if not user or len(user) > 200 or ":" in user or not user.isprintable():
        return S("Give the Jenkins user's id: up to 200 characters without “:”.")
    return None


def _token_problem(token: str) -> Sentence | None:
    if not token or len(token) > 500 or not token.isascii() or not token.isprintable() or " " in token:
        return S("Give an API token of the Jenkins user (its page in Jenkins: Security → API Token).")
    return None


def _folder_problem(folder: str) -> Sentence | None:
    if len(folder) > 200 or not all(is_segment(part) for part in folder.split("/")):
        return S("A folder is named by letters, digits, “.”, “_”, “-” and spaces; “/” leads to a folder in a folder.")
    return None


def _credential_problem(credential: str) -> Sentence | None:
    if credential and not is_credential(credential):
        return S("The id of a credential in Jenkins holds letters, digits, “.”, “_” and “-” only.")
    return None


def _timeout_problem(timeout_s: float) -> Sentence | None:
    if not SHORTEST_TIMEOUT_S <= timeout_s <= LONGEST_TIMEOUT_S:
        return S("A call may take %(least)s to %(most)s seconds.", least=SHORTEST_TIMEOUT_S, most=LONGEST_TIMEOUT_S)
    return None
