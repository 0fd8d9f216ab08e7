"""The border of webhooks' dialects: how a kind of server proves who it is, names its deliveries and tells its news.

Pure: no Django, no rows, no clock of their own. A dialect is handed whatever a stranger sends, so that `verify`, `event`
and `delivery` answer for any bytes, and `news` raises nothing but Unreadable.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import parse_qs

from fangduoduo_release.common.sentence import S, Sentence
from projects.drivers.source.base import ZERO, PatchSet, PushEvent, RepositoryNews

Headers = Mapping[str, str]
"""Names in lower case."""

JSON: Final = frozenset({"", "application/json", "text/plain", "application/octet-stream"})
FORM: Final = "application/x-www-form-urlencoded"
PING: Final = "ping"
WINDOW_S: Final = 300
MOST_TOLD: Final = 2000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a delivery is not taken. Ops are told always; the sender only when it has shown the secret (`known`).

    `asks`: it gave nothing at all yet, and may only wait to be asked.
    """

    why: Sentence
    known: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One piece of news: whose (the repository's addresses, or its name on the server) and what.

    `what` None: something moved there, look for yourself.
    """

    where: frozenset[str]
    what: PushEvent | PatchSet | RepositoryNews | None = None


class Unreadable(Exception):
    """The body is not what its kind writes; the text says where it stops making sense, `told` what could be read."""

    def __init__(self, why: str, *, told: Sequence[Told] = ()) -> None:
        super().__init__(why)
        self.told = list(told)


class Dialect(Protocol):
    """One way to speak. `connection` is the kind of connection it belongs to, `types` what its body may come as."""

    kind: ClassVar[str]
    connection: ClassVar[str]
    types: ClassVar[frozenset[str]]

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
        """Whether the sender knows one of `secrets` (all are tried, whichever is right). None: it does."""

    def event(self, headers: Headers) -> str:
        """What kind of event it says it is."""

    def delivery(self, headers: Headers, body: bytes) -> str:
        """What the sender calls this delivery, the same when it is sent again; "" when it has no name for it."""

    def news(self, event: str, body: bytes) -> list[Told]:
        """What is told. Raises Unreadable."""


# -- proofs -----------------------------------------------------------------------------------------------------------
UNSIGNED: Final = Refusal(S("It was not signed."), asks=True)
WRONG: Final = Refusal(S("Its signature or token is not made with this connection's secret."))


def matches(given: str, wanted: Iterable[str]) -> bool:
    """Whether `given` is one of `wanted`, without telling by its time which, or how much of it was right."""
    found = False
    for one in wanted:
        found |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), one.encode("utf-8", "surrogateescape"))
    return found


def digest(secret: str, *parts: bytes) -> str:
    """HMAC-SHA256 in hexadecimal."""
    mac = hmac.new(secret.encode("utf-8", "surrogateescape"), digestmod=hashlib.sha256)
    for part in parts:
        mac.update(part)
    return mac.hexdigest()


def late(stamp: str, now: float) -> Refusal | None:
    """Whether a signed time (seconds since 1970) is too far from ours. Asked only after its signature was right."""
    try:
        apart = float(stamp) - now
    except ValueError:
        apart = math.nan
    if not math.isfinite(apart):
        return Refusal(S("Its timestamp is not a number of seconds since 1970."), known=True)
    if abs(apart) <= WINDOW_S:
        return None
    if apart > 0:
        sentence = S(
            "It is dated %(seconds)s seconds ahead of our clock; %(window)s are allowed. Do both clocks keep time?",
            seconds=round(min(apart, 1e12)), window=WINDOW_S,
        )  # fmt: skip
    else:
        sentence = S(
            "It is dated %(seconds)s seconds behind our clock; %(window)s are allowed. It is sent too late, or a clock is"
            " wrong.",
            seconds=round(min(-apart, 1e12)), window=WINDOW_S,
        )  # fmt: skip
    return Refusal(sentence, known=True)


def signed_by_us(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Refusal | None:
    """The signature of our own programs: HMAC over the timestamp, a point and the body."""
    stamp, given = headers.get("x-fdd-timestamp", ""), headers.get("x-fdd-signature", "")
    if not stamp or not given:
        return UNSIGNED
    start = f"{stamp}.".encode("utf-8", "surrogateescape")
    if not matches(given.lower(), [f"sha256={digest(secret, start, body)}" for secret in secrets]):
        return WRONG
    return late(stamp, now)


def first(headers: Headers, *names: str) -> str:
    """The first of these headers that says something."""
    return next((value for name in names if (value := headers.get(name, "").strip())), "")


# -- bodies -----------------------------------------------------------------------------------------------------------
def document(body: bytes) -> Any:
    """The JSON of a body, also where it came as the field `payload` of a form. Raises Unreadable."""
    try:
        text = body.decode("utf-8-sig")
        if text.startswith("payload="):
            text = parse_qs(text, max_num_fields=100).get("payload", [""])[0]
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {type(error).__name__}: {error}"[:300]) from None


def record(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: whatever may be absent may also be something else."""
    return value if isinstance(value, dict) else {}


def text(value: Any, longest: int = 500) -> str:
    """The value if it is text (or a number, as some write names), else ""."""
    if isinstance(value, str):
        return value[:longest]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def sha(value: Any) -> str:
    """The value if it is the full name of a git object, else ""."""
    found = text(value).lower()
    if len(found) not in {40, 64} or not set(found) <= set("0123456789abcdef"):
        return ""
    return found if found.strip("0") else ZERO


def moved(*, ref: Any, before: Any, after: Any, actor: Any = "", at: Any = 0, forced: Any = False) -> PushEvent | None:
    """The move that was told; None when it lacks what a move needs (then it is worth a look)."""
    name, old, new = text(ref, 4000), sha(before), sha(after)
    if not name.startswith("refs/") or not old or not new:
        return None
    happened = float(at) if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < 1e11 else 0.0
    return PushEvent(name, old, new, forced=forced is True, actor=text(actor, 150), happened_at=happened)


def addresses(of: Mapping[str, Any], *names: str) -> frozenset[str]:
    """The repository's addresses under these names. Raises Unreadable without any."""
    found = frozenset(value for name in names if (value := text(of.get(name), 1000)))
    if not found:
        raise Unreadable("it names no repository")
    return found
