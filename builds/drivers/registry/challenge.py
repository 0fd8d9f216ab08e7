"""What a registry asks for when it does not know us: `WWW-Authenticate`, taken apart; and whom we tell who we are.

Credentials go to the registry itself, or over HTTPS to whoever it names to sign its tokens; to nobody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlencode

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.sentence import S

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z]+)(?=[\s,]|$)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
MAX_HEADER = 8 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` is `bearer` or `basic`; anything else is not ours to answer."""

    scheme: str
    parameters: Mapping[str, str]


def read(header: str) -> Challenge | None:
    """The challenge we can answer: a token before a password. None: there is none."""
    found, at, header = [], 0, header[:MAX_HEADER]
    while match := _SCHEME.match(header, at):
        at, parameters = match.end(), {}
        while inner := _PARAMETER.match(header, at):
            at = inner.end()
            quoted = inner[2]
            parameters[inner[1].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else inner[3]
        found.append(Challenge(match[1].lower(), parameters))
    for wanted in ("bearer", "basic"):
        for challenge in found:
            if challenge.scheme == wanted:
                return challenge
    return None


def realm(challenge: Challenge, home: SplitResult, *, telling: bool) -> SplitResult:
    """Where to ask for a token. `telling`: we would say who we are there. Raises Rejected for a place nothing may go to."""
    try:
        place = reach.split(challenge.parameters.get("realm", ""))
        host = reach.host_of(place)
    except Invalid as error:
        raise Rejected(
            S("The registry names no place to ask for a token."), evidence=str(error.sentence), code="bad_realm"
        ) from error
    if place.scheme not in ("https", "http") or place.username is not None or place.fragment:
        raise Rejected(S("The registry names no place to ask for a token."), code="bad_realm")
    at_home = host.lower() == (home.hostname or "").lower() and home.scheme == "http"
    if telling and place.scheme != "https" and not at_home:
        raise Rejected(
            S("The registry wants our password sent unencrypted to “%(host)s”; it was not sent.", host=host),
            code="unsafe_realm",
        )
    return place


def token_url(place: SplitResult, challenge: Challenge, scope: str, account: str) -> str:
    """The question for a token, as the specification words it."""
    asked = {"service": challenge.parameters.get("service", ""), "scope": scope, "account": account}
    query = urlencode({name: value for name, value in asked.items() if value})
    return place._replace(query="&".join(part for part in (place.query, query) if part)).geturl()


def token_in(body: bytes) -> str:
    """The token in a token server's answer. Raises Rejected."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise Rejected(S("Whoever signs the registry's tokens did not answer with a token."), code="bad_token")
    return token
