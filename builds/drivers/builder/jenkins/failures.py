"""What Jenkins' refusals mean: a status and a page become one of our errors, each with a code and a sentence.

`Unavailable`: try again. `Rejected`: final, with Jenkins' own text as evidence. What a 404 means only the caller knows.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from fangduoduo_release.common.errors import DriverError, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .config import JenkinsConfig

LONGEST_EVIDENCE = 2000
# Pages come from outside, so every pattern here is linear in their length.
_UNSEEN = re.compile(r"<(script|style|head|svg)\b", re.I)
_TITLE = re.compile(r"<title>([^<]*)</title>", re.I)
_TAG = re.compile(r"<[^<>]*>")
_LACKS = re.compile(r"is missing (?:the|a permission, one of) ([\w ,/-]{1,200}?/\w+)(?: permission| is required)")
_GROUPS = {"Item": "Job", "Hudson": "Overall", "Jenkins": "Overall", "Computer": "Agent", "Run": "Run", "View": "View"}


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, also as they look in a form, in a URL and in a header."""
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret)} if secret else ():
            text = text.replace(form, "****")
    return text


def secrets_of(config: JenkinsConfig) -> tuple[str, str]:
    """What must never be seen of a connection."""
    pair = base64.b64encode(f"{config.user}:{config.token}".encode()).decode()
    return pair, config.token


def text_of(page: str) -> str:
    """What a person would read on an error page, on one line."""
    title = _TITLE.search(page)
    body = _TAG.sub(" ", _seen(page))
    text = f"{title[1]} {body}" if title and "Powered by Jetty" in page else body
    return re.sub(r"\s+", " ", html.unescape(text)).strip()


def _seen(page: str) -> str:
    """The page without what no person sees."""
    low, kept, at = page.lower(), [], 0
    while found := _UNSEEN.search(page, at):
        kept.append(page[at : found.start()])
        at = low.find(f"</{found[1].lower()}", found.end())
        if at < 0:
            return " ".join(kept)
    return " ".join([*kept, page[at:]])


def evidence(status: int, headers: Mapping[str, str], page: str, secrets: Iterable[str]) -> str:
    """The server's own words: its X-Error where it gives one, else its page as text."""
    said = headers.get("X-Error") or text_of(page)
    return masked(f"HTTP {status}: {said}", secrets)[:LONGEST_EVIDENCE].rstrip(": ")


def permission_of(headers: Mapping[str, str], page: str) -> str:
    """The permission that is missing, as Jenkins' matrix calls it (`Job/Build`); "" when it is not told."""
    required = headers.get("X-Required-Permission", "")
    if required.count(".") >= 2:
        _, group, name = required.rsplit(".", 2)
        return f"{_GROUPS.get(group, group)}/{name}"
    found = _LACKS.search(text_of(page))
    return found[1].strip() if found else ""


def no_permission(config: JenkinsConfig, permission: str, said: str) -> Rejected:
    if permission:
        sentence = S(
            "The user “%(user)s” lacks the permission %(permission)s in Jenkins; whoever runs Jenkins can grant it.",
            user=config.user,
            permission=permission,
        )
    else:
        sentence = S(
            "Jenkins refused it: the user “%(user)s” lacks a permission; whoever runs Jenkins can grant it.",
            user=config.user,
        )
    return Rejected(sentence, evidence=said, code="no_permission")


def refusal(
    config: JenkinsConfig, status: int, headers: Mapping[str, str], page: str, secrets: Iterable[str]
) -> DriverError:
    """The error for a status from 300 on that its caller has no better word for."""
    said, host = evidence(status, headers, page, secrets), config.host
    if status == 401 or (status == 403 and "Authentication required" in page):
        sentence = S(
            "Jenkins at “%(host)s” does not accept the user “%(user)s” with this token; make a new API token there and "
            "save it in the connection.",
            host=host,
            user=config.user,
        )
        return Rejected(sentence, evidence=said, code="bad_credentials")
    if status == 403 and "crumb" in page:
        sentence = S(
            "Jenkins wants a crumb, so the connection holds a password; make an API token for “%(user)s” and save that.",
            user=config.user,
        )
        return Rejected(sentence, evidence=said, code="bad_credentials")
    if status == 403:
        return no_permission(config, permission_of(headers, page), said)
    if status == 429:
        return Unavailable(S("Jenkins at “%(host)s” is asked too often now.", host=host), evidence=said, code="busy")
    if status == 503:
        return Unavailable(
            S("Jenkins at “%(host)s” is starting up or overloaded; it is asked again.", host=host),
            evidence=said,
            code="starting",
        )
    if status >= 500:
        sentence = S(
            "Jenkins at “%(host)s” failed with an error of its own (status %(status)s).", host=host, status=status
        )
        return Unavailable(sentence, evidence=said, code="server_error")
    if status < 400:
        sentence = S(
            "“%(host)s” answers with a redirect, which is not followed; give Jenkins' final address in the connection.",
            host=host,
        )
        return Unavailable(
            sentence, evidence=masked(f"{said} → {headers.get('Location', '')}", secrets), code="redirected"
        )
    return Rejected(
        S("Jenkins at “%(host)s” refused it (status %(status)s).", host=host, status=status),
        evidence=said,
        code="refused",
    )


def job_gone(config: JenkinsConfig, path: str) -> Rejected:
    return Rejected(
        S(
            "The job “%(job)s” is not in Jenkins any more, or the user “%(user)s” may not see it.",
            job=path,
            user=config.user,
        ),
        code="job_gone",
    )


def build_gone(config: JenkinsConfig, path: str, number: int) -> Rejected:
    return Rejected(
        S("Build %(number)s of “%(job)s” is not in Jenkins any more: it was deleted there.", number=number, job=path),
        code="build_gone",
    )
