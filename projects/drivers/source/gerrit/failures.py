"""What Gerrit's refusals mean: a status and a text become one of our errors, each with a code and a sentence.

`Unavailable`: try again. `Rejected`: final, with Gerrit's own words as evidence. What a 404 means only the caller knows.
"""

from __future__ import annotations

import base64
import html
import re
import ssl
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import httpcore

from fangduoduo_release.common.errors import AppError, Conflict, DriverError, NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

from .config import GerritConfig

LONGEST_EVIDENCE, LONGEST_SAID = 2000, 300
_UNSEEN = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>", re.I | re.S)
_TAG = re.compile(r"<[^<>]*>")


class TooLarge(Unavailable):
    """An answer is larger than its caller said it may be."""

    code = "answer_too_large"


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, also as they look in a URL, in a page and in a header."""
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret)} if secret else ():
            text = text.replace(form, "****")
    return text


def secrets_of(config: GerritConfig) -> tuple[str, ...]:
    """What must never be seen of a connection."""
    pair = base64.b64encode(f"{config.username}:{config.password}".encode()).decode()
    return pair, config.password, config.ssh_key


def said(config: GerritConfig, body: bytes) -> str:
    """What a person would read of an answer, on one line."""
    text = body.decode(errors="replace")
    if "<" in text[:200]:
        text = html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text)))
    plain = " ".join(masked(text, secrets_of(config)).split())
    return str(storable(plain))[:LONGEST_EVIDENCE]


def refusal(config: GerritConfig, status: int, body: bytes, location: str = "") -> AppError:
    """The error for a status from 300 on that its caller has no better word for."""
    words, host = said(config, body), config.host
    evidence = f"HTTP {status}: {words}".rstrip(": ")
    if status == 401:
        sentence = S(
            "Gerrit at “%(host)s” does not accept the user “%(user)s” with this password; make new HTTP credentials "
            "there and save them in the connection.",
            host=host,
            user=config.username,
        )
        return Rejected(sentence, evidence=evidence, code="bad_credentials")
    if status == 403:
        sentence = S(
            "Gerrit refused it to the user “%(user)s”: %(reason)s.",
            user=config.username,
            reason=_short(words) or "forbidden",
        )
        return Rejected(sentence, evidence=evidence, code="no_permission")
    if status == 404:
        return NotFound(
            S("Gerrit at “%(host)s” does not know this: %(reason)s.", host=host, reason=_short(words) or "404")
        )
    if status == 409:
        return Conflict(S("Gerrit refused it, as things stand: %(reason)s.", reason=_short(words) or "conflict"))
    if status == 429:
        return Unavailable(S("Gerrit at “%(host)s” is asked too often now.", host=host), evidence=evidence, code="busy")
    if status == 503:
        sentence = S("Gerrit at “%(host)s” is starting up or overloaded; it is asked again.", host=host)
        return Unavailable(sentence, evidence=evidence, code="starting")
    if status >= 500:
        sentence = S(
            "Gerrit at “%(host)s” failed with an error of its own (status %(status)s).", host=host, status=status
        )
        return Unavailable(sentence, evidence=evidence, code="server_error")
    if status < 400:
        sentence = S(
            "“%(host)s” answers with a redirect, which is not followed; give Gerrit's final address in the connection.",
            host=host,
        )
        where = masked(str(storable(location[:500])), secrets_of(config))
        return Unavailable(sentence, evidence=f"{evidence} → {where}", code="redirected")
    sentence = S("Gerrit refused it: %(reason)s.", reason=_short(words) or f"HTTP {status}")
    return Rejected(sentence, evidence=evidence, code="refused")


def broken(config: GerritConfig, error: Exception, *, sent: bool, reads: bool) -> AppError:
    """Why there is no answer, and whether Gerrit may have acted on the question."""
    host = config.host
    evidence = masked(f"{type(error).__name__}: {error}", secrets_of(config))[:LONGEST_EVIDENCE]
    if isinstance(error, DriverError):
        return Unavailable(error.sentence, evidence=evidence, code="unreachable")
    if isinstance(error, AppError):
        return Rejected(error.sentence, evidence=evidence, code="forbidden_address")
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        sentence = S(
            "No trusted connection to Gerrit at “%(host)s”: check its certificate, and the CA given for it.", host=host
        )
        return Unavailable(sentence, evidence=evidence, code="bad_certificate")
    if not sent:
        sentence = S("Gerrit at “%(host)s” cannot be reached; check the address, and whether it runs.", host=host)
        return Unavailable(sentence, evidence=evidence, code="unreachable")
    if not reads:
        sentence = S("Gerrit at “%(host)s” was asked but did not answer; whether it acted is not known yet.", host=host)
        return Unavailable(sentence, evidence=evidence, code="unknown_outcome")
    if isinstance(error, httpcore.TimeoutException):
        return Unavailable(
            S("Gerrit at “%(host)s” did not answer in time.", host=host), evidence=evidence, code="no_answer"
        )
    sentence = S("The answer of Gerrit at “%(host)s” was cut off.", host=host)
    return Unavailable(sentence, evidence=evidence, code="broken_answer")


def not_gerrit(config: GerritConfig, body: bytes) -> Unavailable:
    sentence = S("What answers at “%(host)s” does not speak like a Gerrit.", host=config.host)
    return Unavailable(sentence, evidence=said(config, body), code="not_gerrit")


def cut_off(config: GerritConfig, why: str) -> Unavailable:
    sentence = S("The answer of Gerrit at “%(host)s” was cut off.", host=config.host)
    return Unavailable(sentence, evidence=masked(why, secrets_of(config))[:LONGEST_EVIDENCE], code="broken_answer")


def too_large(config: GerritConfig) -> TooLarge:
    return TooLarge(S("The answer of Gerrit at “%(host)s” is too large to be taken in.", host=config.host))


def no_repository(config: GerritConfig, name: str) -> NotFound:
    sentence = S(
        "Gerrit at “%(host)s” has no project “%(name)s” that “%(user)s” may see. If it was renamed there, give its new "
        "name in the project's settings.",
        host=config.host,
        name=name,
        user=config.username,
    )
    return NotFound(sentence, code="no_repository")


def _short(words: str) -> str:
    return words[:LONGEST_SAID].rstrip(". ")
