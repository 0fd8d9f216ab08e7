"""Consul's HTTP API as far as its key-value store goes: addresses, what answers mean, and where to wait next.

Nothing here sends anything. The ACL token is a header and never part of an address.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, urlencode

from fangduoduo_release.common import reach
from fangduoduo_release.common.errors import AppError, Invalid, Rejected, Unavailable
from fangduoduo_release.common.exchange import Answer
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.common.tls import trust

from .base import LARGEST_TEXT, Document, check_key, decode, sha256_of, too_large

INDEX = "x-consul-index"
FILTERED = "x-consul-results-filtered-by-acls"
LARGEST_ANSWER = LARGEST_TEXT * 4 // 3 + 16 * 1024  # of one key: its value comes in base64
LARGEST_LIST = 4 * 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z|\Z")


@dataclass(frozen=True, slots=True)
class ConsulAccess:
    """How a Consul is reached. `prefix`: before every key. `namespace` and `partition` are known to Consul Enterprise
    alone. `stale`: any server may answer those who wait for changes."""

    url: str
    token: str = field(default="", repr=False)
    prefix: str = ""
    namespace: str = ""
    partition: str = ""
    datacenter: str = ""
    ca: str = ""
    stale: bool = False

    def __post_init__(self) -> None:
        try:
            parts = reach.split(self.url)
            reach.host_of(parts)
        except Invalid as error:
            raise Invalid(error.sentence, code=error.code, fields={"url": [error.sentence]}) from error
        if parts.scheme not in ("https", "http"):
            raise _wrong("url", S("A Consul's address begins with https:// (or http:// for a plain one)."))
        if parts.username is not None or parts.password is not None:
            raise _wrong("url", S("Put the ACL token into its own field, not into the address."))
        if parts.query or parts.fragment or parts.path.rstrip("/").endswith("/v1") or ".." in parts.path:
            raise _wrong("url", S("A Consul's address ends before /v1, for example https://consul.example:8501."))
        if not re.fullmatch(r"[\x21-\x7e]{0,500}", self.token):
            raise _wrong("token", S("The ACL token holds a character that cannot be sent."))
        for name in ("namespace", "partition", "datacenter"):
            if not NAME.match(getattr(self, name)):
                raise _wrong(name, S("“%(name)s” is no name in Consul.", name=getattr(self, name)[:100]))
        if self.prefix:
            try:
                check_key(self.prefix)
            except Invalid as error:
                raise Invalid(error.sentence, code="bad_prefix", fields={"prefix": [error.sentence]}) from error
        if not _is_readable(self.ca):
            raise _wrong("ca", S("The CA holds no certificate in PEM form."))

    @property
    def parts(self) -> SplitResult:
        return reach.split(self.url)

    @property
    def host(self) -> str:
        return self.parts.netloc.lower()

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept": "application/json", **({"X-Consul-Token": self.token} if self.token else {})}

    def place(self, key: str) -> str:
        """The whole key in Consul."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def address(self, path: str) -> str:
        parts = self.parts
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/v1/{path}"

    def kv(self, key: str, **query: str) -> str:
        """The address of a key. A query's empty value is a flag (`?consistent`)."""
        scope = {"dc": self.datacenter, "ns": self.namespace, "partition": self.partition}
        told = {name: value for name, value in scope.items() if value}
        asked = "&".join(urlencode({name: value}) if value else name for name, value in {**query, **told}.items())
        return self.address(f"kv/{quote(self.place(key), safe='/')}") + (f"?{asked}" if asked else "")

    def page(self, key: str) -> str:
        """Where people see the key in Consul's own pages."""
        parts = self.parts
        place = f"{self.datacenter}/kv/{quote(self.place(key), safe='/')}/edit" if self.datacenter else ""
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/ui/{place}"


@lru_cache(maxsize=64)
def _is_readable(ca: str) -> bool:
    """Whether these are certificates; followers ask every other second, and it takes reading all that this machine trusts."""
    try:
        trust(ca)
    except ValueError:
        return False
    return True


def waiting(access: ConsulAccess, key: str, index: int, wait_s: float) -> str:
    """The address of a blocking look at a key."""
    query = {"index": str(index), "wait": f"{max(1, round(wait_s))}s"} if index else {}
    return access.kv(key, **query, **({"stale": ""} if access.stale else {}))


def index_of(answer: Answer, before: int) -> int:
    """The index to wait after. One that went backwards (a restored snapshot, a key removed) begins again at 0; one that
    is no number, or 0, would make every next look return at once, so it is taken as 1."""
    told = answer.headers.get(INDEX, "")
    index = int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else 0
    if index < before:
        return 0
    return max(index, 1)


def document_in(access: ConsulAccess, key: str, answer: Answer) -> Document | None:
    """The text in an answer about one key; None: Consul says that there is no such key. Raises."""
    judge(access, answer)
    if answer.status == 404:
        return None
    if answer.cut:
        raise too_large(key)
    rows = _json(access, answer)
    row = rows[0] if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) else None
    if row is None or not isinstance(row.get("ModifyIndex"), int) or not isinstance(row.get("Value"), str | None):
        raise _stranger(access, answer)
    try:
        raw = base64.b64decode(row.get("Value") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _stranger(access, answer) from error
    text = decode(key, raw)
    return Document(key, text, str(row["ModifyIndex"]), sha256_of(text))


def names_in(access: ConsulAccess, answer: Answer) -> list[str]:
    """The keys in a list of keys. Raises."""
    judge(access, answer)
    if answer.status == 404:
        return []
    if answer.cut:
        sentence = S("There are too many keys under “%(prefix)s” to be listed.", prefix=access.prefix)
        raise Rejected(sentence, code="too_many_keys")
    rows = _json(access, answer)
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise _stranger(access, answer)
    return rows


def judge(access: ConsulAccess, answer: Answer) -> None:
    """Raises for an answer that does not speak of what was asked. A 404 passes when it is Consul's own."""
    status, host = answer.status, access.host
    said = answer.body[:500].decode("utf-8", "replace").strip()
    evidence = _evidence(access, answer, 500)
    if status == 200 or (status == 404 and INDEX in answer.headers):
        return
    if status == 429 or "RESOURCE_EXHAUSTED" in said:
        sentence = S("Consul at “%(host)s” has been asked too often; it will answer again later.", host=host)
        raise Unavailable(sentence, evidence=evidence, code="rate_limited")
    if status in (401, 403):
        raise _not_allowed(access, said, evidence)
    if "No path to datacenter" in said:
        sentence = S("Consul at “%(host)s” knows no datacenter “%(name)s”.", host=host, name=access.datacenter)
        raise Rejected(sentence, evidence=evidence, code="bad_datacenter")
    if status == 400 and re.search(r"Enterprise feature|\"(ns|partition)\"", said):
        sentence = S("Consul at “%(host)s” knows no namespaces; only Consul Enterprise does.", host=host)
        raise Rejected(sentence, evidence=evidence, code="no_namespaces")
    if status == 413:
        raise Invalid(S("Consul at “%(host)s” takes no text of that size.", host=host), code="config_too_large")
    if "No cluster leader" in said:
        sentence = S("Consul at “%(host)s” has no leader at the moment.", host=host)
        raise Unavailable(sentence, evidence=evidence, code="no_leader")
    if status >= 500 or status == 408:
        sentence = S("Consul at “%(host)s” cannot answer now (status %(status)s).", host=host, status=status)
        raise Unavailable(sentence, evidence=evidence, code="busy")
    if 300 <= status < 400:
        sentence = S("“%(host)s” answers with a redirect, which is not followed; give the final address.", host=host)
        raise Rejected(sentence, code="redirect")
    raise _stranger(access, answer)


def unreachable(access: ConsulAccess, error: Exception) -> AppError:
    """What a connection that could not be made, or was cut, means."""
    sentence = S("“%(host)s” does not answer.", host=access.parts.hostname or "")
    return Unavailable(sentence, evidence=type(error).__name__, code="unreachable")


def _not_allowed(access: ConsulAccess, said: str, evidence: str) -> Rejected:
    if "ACL not found" in said:
        sentence = S("Consul at “%(host)s” does not know this ACL token; was it removed?", host=access.host)
        return Rejected(sentence, evidence=evidence, code="bad_token")
    if not access.token:
        sentence = S("Consul at “%(host)s” wants an ACL token.", host=access.host)
        return Rejected(sentence, evidence=evidence, code="needs_token")
    lacks = re.search(r"lacks permission '(key:\w+)'", said)
    sentence = S(
        "The ACL token may not do this in Consul at “%(host)s”: it lacks %(permission)s.",
        host=access.host,
        permission=lacks[1] if lacks else "key:read",
    )
    return Rejected(sentence, evidence=evidence, code="no_permission")


def _evidence(access: ConsulAccess, answer: Answer, limit: int) -> str:
    """How the answer begins, without our token, which a proxy may repeat. Masked first: a cut would leave half of it."""
    text = answer.body.decode("utf-8", "replace")
    return (text.replace(access.token, "•••") if access.token else text)[:limit].strip()


def _json(access: ConsulAccess, answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise _stranger(access, answer) from error


def _stranger(access: ConsulAccess, answer: Answer) -> Rejected:
    evidence = _evidence(access, answer, 300)
    if access.parts.scheme == "http" and b"HTTPS" in answer.body:
        sentence = S("“%(host)s” speaks HTTPS; begin its address with https://.", host=access.host)
        return Rejected(sentence, evidence=evidence, code="wants_tls")
    sentence = S(
        "“%(host)s” does not answer like a Consul (status %(status)s).", host=access.host, status=answer.status
    )
    return Rejected(sentence, evidence=evidence, code="not_consul")


def _wrong(name: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, code=f"bad_{name}", fields={name: [sentence]})


def told(answer: Answer) -> Mapping[str, Any]:
    """The JSON object in an answer; empty when it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
