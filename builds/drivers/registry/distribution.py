"""Registries that speak the Docker Registry HTTP API v2 (Docker's own, Harbor, GitLab, Nexus, …).

Tokens or a password, whichever the registry asks for; a CA of one's own. See `common/exchange.py` for how a request is made
and `challenge.py` for whom we tell who we are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import SplitResult

from fangduoduo_release.common import image_names, reach
from fangduoduo_release.common.errors import Invalid, Rejected, Unavailable
from fangduoduo_release.common.exchange import Answer, Deadline, ask
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import trust

from .base import RegistryFacts
from .challenge import Challenge, read, realm, token_in, token_url

CALL_S = 8.0
MANIFEST = 4 * 1024 * 1024  # registries themselves take no larger one
SMALL = 64 * 1024
ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
GONE = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"}
VERSION = "docker-distribution-api-version"


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Where the registry is (`https://host[:port]`, `http://` for a plain one), who we are there, whom it is signed by."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""

    def __post_init__(self) -> None:
        try:
            parts = reach.split(self.url)
            reach.host_of(parts)
        except Invalid as error:
            raise Invalid(error.sentence, code=error.code, fields={"url": [error.sentence]}) from error
        if parts.scheme not in ("https", "http"):
            raise _wrong("url", S("A registry's address begins with https:// (or http:// for a plain one)."))
        if parts.username is not None or parts.password is not None:
            raise _wrong("url", S("Put the user name and the password into their own fields, not into the address."))
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise _wrong("url", S("A registry's address is https://host:port and nothing after it."))
        if ":" in self.username or re.search(r"[\x00-\x1f\x7f]", self.username + self.password):
            raise _wrong("username", S("The user name or the password holds a character that cannot be sent."))
        if self.password and not self.username:
            raise _wrong("username", S("A password needs a user name."))
        try:
            trust(self.ca)
        except ValueError as error:
            raise _wrong("ca", S("The CA holds no certificate in PEM form.")) from error

    @property
    def parts(self) -> SplitResult:
        return reach.split(self.url)


def _wrong(name: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, code=f"bad_{name}", fields={name: [sentence]})


class Distribution:
    """Kind `registry`."""

    kind: ClassVar[str] = "registry"
    Config: ClassVar[type] = RegistryConfig

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._tls: ssl.SSLContext = trust(config.ca)

    @property
    def host(self) -> str:
        return self._config.parts.netloc.lower()

    def check(self) -> RegistryFacts:
        answer, asked = self._talk("GET", "/v2/", scope="", deadline=Deadline(CALL_S), limit=SMALL)
        if answer.status != 200 or not (VERSION in answer.headers or _json(answer.body) is not None):
            raise self._stranger(answer)
        version = answer.headers.get(VERSION, "").rpartition("/")[2]
        user = self._config.username
        if asked and user:
            return RegistryFacts(version, user, S("The registry answers; signed in as “%(user)s”.", user=user))
        if user:
            return RegistryFacts(version, "", S("The registry answers and lets anybody in without a password."))
        return RegistryFacts(version, "", S("The registry answers; nobody is signed in."))

    def digest(self, repository: str, reference: str) -> str | None:
        if not image_names.is_repository(repository) or not (
            image_names.is_tag(reference) or image_names.is_digest(reference)
        ):
            raise Invalid(
                S("“%(image)s” is not the name of an image.", image=f"{repository}:{reference}"[:300]), code="bad_image"
            )
        deadline, path, scope = (
            Deadline(CALL_S),
            f"/v2/{repository}/manifests/{reference}",
            f"repository:{repository}:pull",
        )
        answer, _ = self._talk("HEAD", path, scope=scope, deadline=deadline, limit=SMALL)
        if answer.status == 404 and VERSION in answer.headers:
            return None
        named = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and image_names.is_digest(named):
            return named
        # Some say nothing on HEAD, and a 404 may come from a proxy that knows no registry: then the body tells.
        answer, _ = self._talk("GET", path, scope=scope, deadline=deadline, limit=MANIFEST)
        if answer.status == 404 and (_codes(answer.body) & GONE or VERSION in answer.headers):
            return None
        if answer.status != 200:
            raise self._stranger(answer)
        return self._digest_of(answer, repository)

    def _digest_of(self, answer: Answer, repository: str) -> str:
        if answer.cut:
            raise Rejected(S("The manifest of “%(name)s” is too large to be one.", name=repository), code="too_large")
        if not isinstance(_json(answer.body), dict):
            raise self._stranger(answer)
        named = answer.headers.get("docker-content-digest", "")
        return named if image_names.is_digest(named) else f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    # -- signing in ---------------------------------------------------------------------------------------------------
    def _talk(self, method: str, path: str, *, scope: str, deadline: Deadline, limit: int) -> tuple[Answer, bool]:
        """The answer, and whether we were asked who we are. Raises for every answer that is nobody's answer to this."""
        answer = self._ask(method, path, {}, deadline, limit)
        challenge = read(answer.headers.get("www-authenticate", "")) if answer.status == 401 else None
        if challenge is not None:
            answer = self._ask(method, path, self._signed(challenge, scope, deadline), deadline, limit)
        self._judge(answer, asked=challenge is not None)
        return answer, challenge is not None

    def _ask(self, method: str, path: str, headers: dict[str, str], deadline: Deadline, limit: int) -> Answer:
        url = f"{self._config.parts.scheme}://{self._config.parts.netloc}{path}"
        return ask(method, url, headers={"Accept": ACCEPT, **headers}, tls=self._tls, deadline=deadline, limit=limit)

    def _basic(self) -> dict[str, str]:
        if not self._config.username:
            return {}
        pair = f"{self._config.username}:{self._config.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}

    def _signed(self, challenge: Challenge, scope: str, deadline: Deadline) -> dict[str, str]:
        """The headers that answer the challenge."""
        if challenge.scheme == "basic":
            return self._basic()
        place = realm(challenge, self._config.parts, telling=bool(self._config.username))
        answer = ask(
            "GET",
            token_url(place, challenge, challenge.parameters.get("scope", "") or scope, self._config.username),
            headers={"Accept": "application/json", **self._basic()},
            tls=self._tls,
            deadline=deadline,
            limit=SMALL,
        )
        if answer.status in (401, 403):
            raise self._bad_credentials(answer)
        self._judge(answer, asked=True)
        return {"Authorization": f"Bearer {token_in(answer.body)}"}

    # -- what answers mean --------------------------------------------------------------------------------------------
    def _judge(self, answer: Answer, *, asked: bool) -> None:
        """Raises for an answer that does not speak of what was asked."""
        status, evidence = answer.status, _evidence(answer)
        if status == 401:
            if "insufficient_scope" in answer.headers.get("www-authenticate", ""):
                raise self._no_permission(evidence)
            raise self._bad_credentials(answer) if asked else self._stranger(answer)
        if status == 403:
            raise self._no_permission(evidence)
        if status == 429:
            raise Unavailable(
                S("The registry “%(host)s” has been asked too often; it will answer again later.", host=self.host),
                evidence=evidence,
                code="rate_limited",
            )
        if status >= 500 or status == 408:
            raise Unavailable(
                S("The registry “%(host)s” cannot answer now (status %(status)s).", host=self.host, status=status),
                evidence=evidence,
                code="busy",
            )
        if 300 <= status < 400:
            raise Rejected(
                S("“%(host)s” answers with a redirect, which is not followed; give the final address.", host=self.host),
                code="redirect",
            )

    def _no_permission(self, evidence: str) -> Rejected:
        if not self._config.username:
            return self._needs_credentials(evidence)
        sentence = S(
            "“%(user)s” may not read this in the registry “%(host)s”.", user=self._config.username, host=self.host
        )
        return Rejected(sentence, evidence=evidence, code="no_permission")

    def _bad_credentials(self, answer: Answer) -> Rejected:
        if not self._config.username:
            return self._needs_credentials(_evidence(answer))
        sentence = S(
            "The registry “%(host)s” does not take the user name “%(user)s” with this password.",
            host=self.host,
            user=self._config.username,
        )
        return Rejected(sentence, evidence=_evidence(answer), code="bad_credentials")

    def _needs_credentials(self, evidence: str) -> Rejected:
        sentence = S("The registry “%(host)s” wants a user name and a password.", host=self.host)
        return Rejected(sentence, evidence=evidence, code="needs_credentials")

    def _stranger(self, answer: Answer) -> Rejected:
        if self._config.parts.scheme == "http" and b"HTTPS" in answer.body:
            sentence = S("“%(host)s” speaks HTTPS; begin its address with https://.", host=self.host)
            return Rejected(sentence, evidence=_evidence(answer), code="wants_tls")
        sentence = S(
            "“%(host)s” does not answer like an image registry (status %(status)s).",
            host=self.host,
            status=answer.status,
        )
        return Rejected(sentence, evidence=_evidence(answer), code="not_a_registry")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _codes(body: bytes) -> set[str]:
    """The registry's own words for what is wrong."""
    found = _json(body)
    errors = found.get("errors") if isinstance(found, dict) else None
    return {str(one.get("code")) for one in errors if isinstance(one, dict)} if isinstance(errors, list) else set()


def _evidence(answer: Answer) -> str:
    return answer.body[:500].decode("utf-8", "replace")
