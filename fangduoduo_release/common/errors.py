"""The few errors an action may raise and a driver may let through; mapped to HTTP in one place (`common/http.py`).

Each carries a code (stable, for machines), an HTTP status, and a `Sentence` (for people). Django-free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .sentence import Sentence


class AppError(Exception):
    """Something a person or another system did that we answer with one clear sentence."""

    status = 400
    code = "error"

    def __init__(self, sentence: Sentence, *, code: str | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        if code is not None:
            self.code = code


class Invalid(AppError):
    """A rule about the content is broken (422); `fields` maps a field name to its sentences."""

    status = 422
    code = "invalid"

    def __init__(
        self,
        sentence: Sentence,
        *,
        code: str | None = None,
        fields: Mapping[str, Sequence[Sentence]] | None = None,
    ) -> None:
        super().__init__(sentence, code=code)
        self.fields = dict(fields or {})


class NotFound(AppError):
    """Absent, or not to be seen by this actor: the two are never told apart."""

    status = 404
    code = "not_found"


class Conflict(AppError):
    """The world moved on: an illegal state move, a second active deployment, a stale revision."""

    status = 409
    code = "conflict"


class Denied(AppError):
    """Seen but not allowed. Names the rule, who can grant it, and where to ask."""

    status = 403
    code = "denied"

    def __init__(
        self,
        sentence: Sentence,
        *,
        rule: str,
        granted_by: Sequence[str] = (),
        request_url: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(sentence, code=code)
        self.rule = rule
        self.granted_by = list(granted_by)
        self.request_url = request_url


class TooMany(AppError):
    """Too often (429); `retry_after` says in how many seconds it is worth another try."""

    status = 429
    code = "too_many"

    def __init__(self, sentence: Sentence, *, retry_after: int, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.retry_after = retry_after


class DriverError(AppError):
    """What a driver lets through its border instead of its SDK's own exceptions."""

    status = 502
    code = "driver_error"

    def __init__(self, sentence: Sentence, *, evidence: str = "", code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.evidence = evidence


class Unavailable(DriverError):
    """The other side cannot be reached or is overloaded now: try again later."""

    status = 504
    code = "unavailable"


class Rejected(DriverError):
    """The other side said no for good; `evidence` is its reason."""

    status = 502
    code = "rejected"
