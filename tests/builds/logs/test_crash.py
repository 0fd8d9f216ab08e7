"""Writers and sealers that are killed, starved or run twice: what was stored stays, and anybody may go on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction

from builds.logs import reader, seal
from builds.logs.store import LogWriter
from builds.models import Build, BuildLog, LogChunk
from tests.common.sockets.serving import database_url
from tests.waiting import until

from .conftest import sha, typical, whole

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent.parent.parent
WRITER = Path(__file__).with_name("writer.py")


def child(
    build: Build, verb: str, *arguments: object, says: IO[str] | None = None, **env: str
) -> subprocess.Popen[str]:
    """`writer.py` as another process on the test's database and files. `says`: where its own log goes."""
    return subprocess.Popen(
        [sys.executable, str(WRITER), verb, str(build.pk), *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "FDD_VAR": str(settings.VAR),
            "DATABASE_URL": database_url(),
            "FDD_PROCESS": "worker",
            "PYTHONPATH": str(ROOT),
            **env,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=says,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def expected(count: int) -> bytes:
    """What writer.py writes."""
    return b"".join(b"%07d the quick brown fox jumps over the lazy dog\n" % number for number in range(count))


@pytest.mark.parametrize("seed", range(3))
def test_a_writer_killed_in_the_middle_loses_nothing_it_had_stored(build: Build, seed: int) -> None:
    process = child(build, "write", 10_000_000)
    luck = random.Random(seed)
    stored = 0
    assert process.stdout is not None
    for _ in range(luck.randrange(3, 12)):
        stored = int(process.stdout.readline())
    time.sleep(luck.random() * 0.2)
    process.kill()
    process.wait()
    assert stored > 0
    Build.objects.filter(pk=build.pk).update(state="failed")
    assert [log.pk for log in seal.unsealed()] == [build.pk]
    log = seal.seal(build.pk)
    data = whole(build.pk)
    assert len(data) >= stored
    assert expected(len(data) // 52 + 1).startswith(data)
    assert data.endswith(b"\n")
    assert log.sha256 == sha(data)
    assert reader.read(build.pk, 0, 1 << 30).data == data


def test_a_second_writer_goes_on_after_a_killed_one(build: Build) -> None:
    process = child(build, "write", 10_000_000)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    before = reader.read(build.pk, 0, 1 << 30).data
    writer = LogWriter(build.pk)
    writer.append(b"The build's process was killed.\n")
    writer.finish()
    assert whole(build.pk) == before + b"The build's process was killed.\n"


@pytest.mark.parametrize("seed", range(4))
def test_a_sealing_killed_anywhere_is_repaired_by_the_next(build: Build, seed: int) -> None:
    data = b"".join(typical(60_000))
    writer = LogWriter(build.pk)
    writer.append(data)
    writer.close()
    luck = random.Random(seed)
    for _ in range(3):
        process = child(build, "seal")
        assert process.stdout is not None
        process.stdout.readline()  # it is about to begin
        time.sleep(luck.random() * 0.3)
        process.kill()
        process.wait()
        assert reader.read(build.pk, 0, 1 << 30).data == data
    log = seal.seal(build.pk)
    assert whole(build.pk) == data
    assert log.sha256 == sha(data)
    assert not LogChunk.objects.filter(build=build).exists()
    _, kept = default_storage.listdir(seal.folder_of(build.pk))
    assert [f"{seal.folder_of(build.pk)}/{name}" for name in kept] == [log.stored_name]


def test_many_sealers_at_once_leave_one_log(build: Build) -> None:
    data = b"".join(typical(40_000))
    writer = LogWriter(build.pk)
    writer.append(data)
    writer.close()
    for process in [child(build, "seal") for _ in range(4)]:
        ended(process)
    assert whole(build.pk) == data
    _, kept = default_storage.listdir(seal.folder_of(build.pk))
    assert len(kept) == 1


def test_a_database_that_is_away_longer_than_its_own_patience_costs_only_time(build: Build, tmp_path: Path) -> None:
    """The write lock is held for longer than a connection waits: calls fail, the writer tries again."""
    if connection.vendor != "sqlite":
        pytest.skip("the lock is SQLite's")
    log = tmp_path / "says"
    with log.open("w") as says:
        process = child(build, "write", 20_000, "asked", says=says, SQLITE_TIMEOUT_S="1")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()  # from here on it waits for our word
    with contextlib.closing(connection.get_new_connection(connection.get_connection_params())) as other:
        other.execute("BEGIN IMMEDIATE")
        process.stdin.write("go on\n")
        process.stdin.flush()
        until(lambda: log.read_text().count("waits for the database") >= 2, what="two calls to fail")
        other.execute("ROLLBACK")
    ended(process)
    seal.seal(build.pk)
    assert whole(build.pk) == expected(20_000)


def test_a_full_disk_is_said_at_once_and_what_was_stored_stays(build: Build) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the limit is SQLite's")
    output = ended(child(build, "fill"))
    assert "ENOSPC" in output
    data = reader.read(build.pk, 0, 1 << 30).data
    assert len(data) > 0
    assert len(data) % 1001 == 0
    assert seal.seal(build.pk).size == len(data)


def test_a_big_log_never_sits_in_memory(build: Build) -> None:
    """100 MB written and sealed; the process grows by less than 64 MB."""
    grown = float(ended(child(build, "big", 100)).split()[-1])
    assert grown < 64
    log = BuildLog.objects.get(pk=build.pk)
    assert log.complete
    assert log.size > 99_000_000
    digest = hashlib.sha256()
    for part in reader.pieces(reader.head(build.pk), 0):
        digest.update(part)
    assert digest.hexdigest() == log.sha256
    assert log.stored_size * 8 < log.size


def test_a_reader_and_a_sealer_never_trip_over_each_other(build: Build) -> None:
    data = b"".join(typical(30_000))
    writer = LogWriter(build.pk)
    writer.append(data)
    writer.close()
    stop, troubles = threading.Event(), []

    def look() -> None:
        luck = random.Random(9)
        while not stop.is_set():
            offset = luck.randrange(len(data))
            got = reader.read(build.pk, offset, 5000).data
            if got != data[offset : offset + 5000]:
                troubles.append(offset)
        connection.close()

    readers = [threading.Thread(target=look) for _ in range(3)]
    for thread in readers:
        thread.start()
    ended(child(build, "seal"))
    until(lambda: not LogChunk.objects.filter(build=build).exists())
    stop.set()
    for thread in readers:
        thread.join()
    assert troubles == []


def is_free() -> bool:
    """Whether nobody is in the middle of a write."""
    if connection.vendor != "sqlite":
        with contextlib.suppress(DatabaseError), transaction.atomic():
            list(BuildLog.objects.select_for_update(nowait=True).values_list("pk"))
            return True
        return False
    with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as probe:
        try:
            probe.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        probe.rollback()
        return True


def suspend(process: subprocess.Popen[str]) -> None:
    """Stop it as a machine is that was suspended, but not within a transaction: nobody could write until it goes on."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        if not is_free():
            process.send_signal(signal.SIGCONT)
            return False
        return True

    until(stopped, every=0.01, what="a moment between two writes")


def test_a_writer_stopped_by_a_signal_can_be_followed(build: Build) -> None:
    process = child(build, "write", 10_000_000)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        suspend(process)
        LogWriter(build.pk).finish()
        size = reader.head(build.pk).size
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate()
    finally:
        process.kill()  # else it would hold what it has for ever
    assert "LostClaim" in output
    assert reader.head(build.pk).size == size
    assert whole(build.pk) == expected(10_000_000 if size > 1 << 30 else size // 52 + 1)[:size]
