"""Read the chain back and say what is wrong with it: every row's content, place and predecessor, the head, the anchor.

Rows are read as raw columns in slices by id: a million of them take seconds, and as little memory as a thousand.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils import timezone

from fangduoduo_release.common.sentence import S, Sentence

from . import anchor, chain
from .chain import NOTHING, Point
from .models import AuditCheck, AuditEntry, AuditHead

SLICE = 5_000
TOLD = 20  # findings; what follows is counted
FIRST_ID = -(2**63)
# A time is signed as this text, whatever the engine keeps. SQLite's own leaves out a fraction of zero.
AT = {
    "sqlite": "CASE length(at) WHEN 19 THEN at || '.000000' ELSE at || '' END",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
}


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: at the first row, or after one that was found sound before."""

    seq: int = 0
    entry: int = FIRST_ID
    digest: str = NOTHING


@dataclass(slots=True)
class Report:
    """What was read and what was found; `seq`, `entry` and `digest` are of the last row."""

    seq: int
    entry: int
    digest: str
    rows: int = 0
    findings: list[Sentence] = field(default_factory=list)
    more: int = 0  # findings beyond those that are told

    @property
    def sound(self) -> bool:
        return not self.findings

    def add(self, sentence: Sentence) -> None:
        if len(self.findings) < TOLD:
            self.findings.append(sentence)
        else:
            self.more += 1


def verify(start: Start | None = None, *, expect: Point | None = None) -> Report:
    """Everything from `start` on. `expect` is a place that somebody wrote down elsewhere."""
    start = start or Start()
    report = Report(start.seq, start.entry, start.digest)
    known = _anchored(report)  # before the head: writers move the head first
    head = AuditHead.objects.filter(pk=AuditHead.ONLY).first()
    until = head.entry if head is not None else _last_id()
    _walk(report, until)
    _judge_head(report, head)
    if known is not None:
        _judge_place(report, known, "VAR/audit/head")
    if expect is not None:
        _judge_place(report, expect, "--expect")
    if start.seq:
        _judge_place(report, Point(start.seq, start.digest), "AuditCheck")
    return report


def _anchored(report: Report) -> Point | None:
    try:
        return anchor.read()
    except anchor.Unreadable:
        report.add(S("The anchor file of this host cannot be read, or is not what the portal wrote."))
        return None


def _last_id() -> int:
    return AuditEntry.objects.aggregate(last=Max("id"))["last"] or 0


def rows(after: int, until: int) -> Iterator[Sequence[Any]]:
    """Raw rows (what is signed, then the digest) in the order of their ids."""
    columns = [AT[connection.vendor] if name == "at" else f'"{name}"' for name in (*chain.CONTENT, "digest")]
    place = chain.CONTENT.index("id")
    query = f"SELECT {', '.join(columns)} FROM audit_auditentry WHERE id > %s AND id <= %s ORDER BY id LIMIT {SLICE}"  # noqa: S608 - names of our own
    with connection.cursor() as cursor:
        while True:
            cursor.execute(query, [after, until])
            found = cursor.fetchall()
            yield from found
            if len(found) < SLICE:
                return
            after = found[-1][place]


def _walk(report: Report, until: int) -> None:
    """The fast way for rows in order; whatever is not goes to `_judge_row`. After a finding the row's own word is
    taken, so that one broken row is one finding."""
    keys, encode, digest_of = chain.keyring(), chain.encode, hmac.digest
    seq, previous, entry, count = report.seq, report.digest, report.entry, 0
    try:
        for row in rows(report.entry, until):
            *content, digest = row
            key = keys.get(content[-1])
            try:
                signed = key is not None and digest_of(key, encode(content).encode(), "sha256").hex() == digest
            except TypeError:  # not even the kind of value that we write
                signed = False
            if not signed or content[1] != seq + 1 or content[0] != previous:
                _judge_row(report, content, key is not None, signed, seq, previous)
            entry, previous = content[2], digest
            seq = content[1] if isinstance(content[1], int) else seq + 1
            count += 1
    except DatabaseError as error:
        if "decode" not in str(error):
            raise
        report.add(S("The rows after row %(seq)s hold bytes that are no text.", seq=seq))
    report.seq, report.digest, report.entry, report.rows = seq, str(previous), entry, count


def _judge_row(report: Report, content: list[Any], known: bool, signed: bool, seq: int, previous: str) -> None:
    """Why this row is not the one that belongs here, in one sentence."""
    mine, entry = content[1], content[2]
    facts = {"seq": str(mine)[:40], "entry": str(entry)}
    if not known:
        key = str(content[-1])[:16]
        report.add(S("Row %(seq)s is signed with key %(key)s, which is not among AUDIT_KEYS.", key=key, **facts))
    elif not signed:
        report.add(S("Row %(seq)s (id %(entry)s) is not as it was written: its content was changed.", **facts))
    elif mine == seq + 1:
        report.add(S("Row %(seq)s does not follow the row before it: that one was changed or replaced.", **facts))
    elif mine > seq + 1:
        report.add(_missing(seq + 1, mine - 1))
    else:
        report.add(S("Row %(seq)s (id %(entry)s) stands in the wrong place, after row %(after)s.", after=seq, **facts))


def _missing(first: int, last: int) -> Sentence:
    if first == last:
        return S("Row %(seq)s is missing.", seq=first)
    return S("Rows %(first)s to %(last)s are missing.", first=first, last=last)


def _judge_head(report: Report, head: AuditHead | None) -> None:
    if head is None:
        if report.rows:
            report.add(S("The head of the chain is missing: whether rows were taken from its end cannot be told."))
        return
    if not chain.is_ours(head, "head"):
        report.add(S("The head of the chain is not signed by any of AUDIT_KEYS: it was changed."))
    if head.seq > report.seq:
        report.add(_missing(report.seq + 1, head.seq))
    elif head.seq < report.seq or head.digest != report.digest:
        report.add(S("The head of the chain does not belong to its last row, %(seq)s.", seq=report.seq))
    # One statement: both as of one moment, however many write meanwhile.
    beyond = AuditEntry.objects.filter(id__gt=AuditHead.objects.filter(pk=head.pk).values("entry")).order_by("id")
    if (stray := beyond.values_list("id", flat=True).first()) is not None:
        report.add(S("A row with id %(entry)s stands after the head: it was slipped in.", entry=stray))


def _judge_place(report: Report, point: Point, source: str) -> None:
    """Whether the chain still goes through a place that was known before; `source` says where it was written down."""
    if point.seq == 0:
        return
    found = AuditEntry.objects.filter(seq=point.seq).values_list("digest", flat=True).first()
    facts = {"source": source, "seq": point.seq, "last": report.seq}
    if found is None and point.seq > report.seq:
        report.add(
            S("%(source)s knows row %(seq)s, but the trail ends with row %(last)s: its end was taken away.", **facts)
        )
    elif found != point.digest:
        report.add(S("%(source)s knows another row %(seq)s than the one that is there: it was replaced.", **facts))


# --- what is remembered of it ------------------------------------------------------------------------------------
def last_check() -> AuditCheck | None:
    return AuditCheck.objects.filter(pk=AuditCheck.ONLY).first()


def resume(check: AuditCheck | None) -> Start:
    """After what was found sound the last time; from the first row when nobody of ours says so."""
    if check is None or not chain.is_ours(check, "check"):
        return Start()
    return Start(check.seq, check.entry, check.digest)


def remember(report: Report, *, whole: bool, now: Callable[[], datetime] = timezone.now) -> AuditCheck:
    """Keep the result for the page, and the place up to which all is sound for the next time."""
    check = last_check() or AuditCheck(pk=AuditCheck.ONLY)
    check.at, check.sound, check.rows = now(), report.sound, report.rows
    check.whole_at = check.at if whole else check.whole_at
    check.findings = [sentence.as_json() for sentence in report.findings]
    if report.sound:
        check.seq, check.entry, check.digest = report.seq, report.entry, report.digest
        check.key = chain.signing_key()
        check.signature = chain.stamp(check.key, "check", check.seq, check.entry, check.digest)
    check.save()
    return check


def begin_anew(report: Report) -> None:
    """Take the end that was found for the end: a new head where there is no good one. Behind `guard.open_door`."""
    head = AuditHead.objects.filter(pk=AuditHead.ONLY).first()
    if head is None or not chain.is_ours(head, "head") or (head.seq, head.digest) != (report.seq, report.digest):
        AuditHead.objects.filter(pk=AuditHead.ONLY).delete()
        AuditHead.objects.create(
            pk=AuditHead.ONLY, **chain.head_at(report.seq, max(report.entry, _last_id()), report.digest)
        )
