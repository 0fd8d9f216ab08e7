"""A process that writes or seals a log, for tests that kill it: writer.py write|seal|fill|big <build> [count] [asked]."""

from __future__ import annotations

import os
import sys

import django
import psutil
from django.db import connection
from django.db.backends.signals import connection_created

EACH = 200


def write(build_id: int, count: int, asked: bool = False) -> None:
    """Numbered lines; after every EACH of them the bytes that are stored. `asked`: after the first only when told to."""
    from builds.logs.store import LogWriter
    from fangduoduo_release.common.runs import LostClaim

    writer = LogWriter(build_id)
    try:
        for number in range(count):
            writer.append(
                b"%07d the quick brown fox jumps over the lazy dog\n" % number, stage=f"s{number // 1000}", step=1
            )
            if number % EACH == EACH - 1:
                writer.flush()
                print(writer.stored, flush=True)
                if asked and number < EACH:
                    sys.stdin.readline()
        writer.close()
    except LostClaim as error:
        print("LostClaim", error, flush=True)


def fill(build_id: int) -> None:
    """Write until the database may not grow any more."""
    from builds.logs.store import LogWriter

    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]

    def limit(connection: object, **_: object) -> None:
        connection.cursor().execute(f"PRAGMA max_page_count={pages + 200}")

    connection_created.connect(limit)
    writer = LogWriter(build_id)
    try:
        for _ in range(100_000):
            writer.append(os.urandom(500).hex().encode() + b"\n")
    except OSError as error:
        print("ENOSPC" if error.errno == 28 else error)


def big(build_id: int, megabytes: int) -> None:
    """That much log in the manner of a compiler; prints by how many MB the process grew at most."""
    from builds.logs.store import LogWriter

    process = psutil.Process()
    writer = LogWriter(build_id)
    writer.append(b"warm up\n")
    writer.flush()
    before = peak = process.memory_info().rss
    lines = [
        b"gcc -O2 -Wall -Iinclude -c src/module_%03d.c -o build/module_%03d.o\n" % (number % 900, number % 900)
        for number in range(900)
    ]
    block = b"".join(lines)
    for _ in range(megabytes * 1_000_000 // len(block) + 1):
        writer.append(block)
        peak = max(peak, process.memory_info().rss)
    writer.finish()
    print((max(peak, process.memory_info().rss) - before) / 1e6)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
    django.setup()
    verb, build_id = sys.argv[1], int(sys.argv[2])
    if verb == "seal":
        from builds.logs.seal import seal

        print("begin", flush=True)
        seal(build_id)
    elif verb == "fill":
        fill(build_id)
    elif verb == "big":
        big(build_id, int(sys.argv[3]))
    else:
        write(build_id, int(sys.argv[3]), asked=sys.argv[4:] == ["asked"])


main()
