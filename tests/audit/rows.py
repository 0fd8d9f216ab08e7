"""Rows of a trail for tests, and the ways in which somebody with the database's password would change them."""

from __future__ import annotations

from typing import Any

from django.db import connection

from fangduoduo_release.audit import trail
from fangduoduo_release.audit.guard import open_door
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM

THING = trail.Named("tests.thing", "1", "a thing", "shop")


def write(count: int = 1, verb: str = "thing.do", **more: Any) -> list[AuditEntry]:
    """So many rows, written as actions do it."""
    return [trail.record(SYSTEM, verb, THING, after={"n": number}, **more) for number in range(1, count + 1)]


def by_hand(statement: str, *values: Any) -> None:
    """Past the triggers, as somebody would who may do everything in the database."""
    with open_door(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def change(seq: int, column: str, value: Any) -> None:
    by_hand(f'UPDATE audit_auditentry SET "{column}" = %s WHERE seq = %s', value, seq)


def remove(*seqs: int) -> None:
    for seq in seqs:
        by_hand("DELETE FROM audit_auditentry WHERE seq = %s", seq)


def copy_row(source: int, **changes: Any) -> None:
    """Slip in a copy of a row, with other values in some columns."""
    columns = [field.column for field in AuditEntry._meta.concrete_fields]
    chosen = ", ".join("%s" if name in changes else f'"{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    values = [changes[name] for name in columns if name in changes]
    by_hand(
        f"INSERT INTO audit_auditentry ({names}) SELECT {chosen} FROM audit_auditentry WHERE seq = %s", *values, source
    )
