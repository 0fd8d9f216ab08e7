# ruff: noqa: PLC0415 - models can be imported after the set-up only

"""The inside of `bench_audit`: fill, read, verify and write audit rows in a database of one's own; answers one JSON line."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import django

BATCH = 20_000


def main() -> None:
    django.setup()
    what, *numbers = sys.argv[1:]
    parts: dict[str, Any] = {"fill": fill, "read": read, "command": command, "write": write}
    print(json.dumps(parts[what](*map(int, numbers))))


def fill(count: int) -> dict[str, Any]:
    """Rows as years of use would leave them, signed one after the other."""
    from django.db import connection, transaction

    from fangduoduo_release.audit import chain
    from fangduoduo_release.audit.models import AuditHead

    names = ", ".join(f'"{name}"' for name in (*chain.CONTENT, "digest"))
    marks = ", ".join(["%s"] * (len(chain.CONTENT) + 1))
    statement = f"INSERT INTO audit_auditentry ({names}) VALUES ({marks})"
    rows, last = [], chain.Point(0, chain.NOTHING)
    with transaction.atomic(), connection.cursor() as cursor:
        for row in signed(count):
            rows.append(row)
            last = chain.Point(row[1], row[-1])
            if len(rows) == BATCH:
                cursor.executemany(statement, rows)
                rows.clear()
        cursor.executemany(statement, rows)
        AuditHead.objects.create(pk=AuditHead.ONLY, **chain.head_at(last.seq, last.seq, last.digest))
        cursor.execute("SELECT count(*) FROM audit_auditentry")
        return {"rows": cursor.fetchone()[0]}


def signed(count: int) -> Iterator[list[Any]]:
    from django.utils import timezone

    from fangduoduo_release.audit import chain
    from fangduoduo_release.audit.fields import text_of

    key, began, previous = chain.signing_key(), timezone.now() - timedelta(days=1_000), chain.NOTHING
    secret = chain.keyring()[key]
    verbs = ("build.start", "deployment.deploy", "project.update", "member.set", "token.create")
    for seq in range(1, count + 1):
        project, verb = f"app-{seq % 500:04d}", verbs[seq % len(verbs)]
        before = text_of({"version": seq % 900, "replicas": 2}) if seq % 2 else None
        after = text_of(
            {"version": seq % 900 + 1, "replicas": 3, "machine": f"machine-{seq % 12}", "reason": "weekly release"}
        )
        content = [
            previous, seq, seq, chain.written(began + timedelta(seconds=80 * seq)), f"person{seq % 200}", verb,
            "deployments.deployment", str(seq), f"{project} @ machine-{seq % 12} deploy {seq % 90}", project, before, after,
            "192.0.2.17", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
            f"{seq:032x}", key,
        ]  # fmt: skip
        previous = chain.sign(secret, content)
        yield [*content, previous]


def read() -> dict[str, Any]:
    """The baseline: every column of every row fetched, nothing done with it."""
    from django.db import connection

    began, count = time.monotonic(), 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM audit_auditentry ORDER BY id")
        while rows := cursor.fetchmany(5_000):
            count += len(rows)
    return {"rows": count, "s": time.monotonic() - began}


def command() -> dict[str, Any]:
    from django.core.management import call_command

    began, used, out = time.monotonic(), time.process_time(), io.StringIO()
    call_command("verify_audit", stdout=out)
    used = time.process_time() - used
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"said": out.getvalue(), "s": time.monotonic() - began, "cpu": used, "mib": mib}


def write(count: int) -> dict[str, Any]:
    """Milliseconds for a chained row, and for one put into a plain table of the same shape."""
    from django.db import connection, transaction

    from fangduoduo_release.audit import trail
    from fangduoduo_release.common.actor import SYSTEM

    thing = trail.Named("tests.thing", "1", "a thing", "shop")
    began = time.monotonic()
    for number in range(count):
        with transaction.atomic():
            trail.record(SYSTEM, "thing.do", thing, after={"n": number})
    chained = time.monotonic() - began
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE plain AS SELECT * FROM audit_auditentry WHERE id < 0")
        began = time.monotonic()
        for _ in range(count):
            with transaction.atomic():
                cursor.execute("INSERT INTO plain SELECT * FROM audit_auditentry WHERE id = 1")
    return {"chained": chained / count * 1000, "plain": (time.monotonic() - began) / count * 1000}


if __name__ == "__main__":
    main()
