"""Sealing: one object that any gunzip reads, harmless to repeat, safe to be killed anywhere in between."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from builds.logs import lines, reader, seal
from builds.logs.store import LogWriter
from builds.models import Build, BuildLog, LogChunk
from fangduoduo_release.common.runs import LostClaim

from .conftest import sha, typical, whole

pytestmark = pytest.mark.django_db(transaction=True)


def write(build: Build, data: bytes) -> LogWriter:
    writer = LogWriter(build.pk)
    writer.append(data)
    writer.close()
    return writer


def test_the_object_is_the_log_and_the_index_leads_into_it(build: Build) -> None:
    data = b"".join(typical(20_000))
    write(build, data)
    log = seal.seal(build.pk)
    assert log.complete
    assert whole(build.pk) == data
    assert log.sha256 == sha(data)
    assert (log.size, log.lines) == (len(data), 20_000)
    assert not LogChunk.objects.filter(build=build).exists()
    with default_storage.open(log.stored_name) as file:
        stored = file.read()
    assert len(stored) == log.stored_size
    assert log.stored_size * 8 <= log.size
    for number, (offset, line, place) in enumerate(log.index):
        end = log.index[number + 1][2] if number + 1 < len(log.index) else None
        member = gzip.decompress(stored[place:end])
        assert len(member) <= lines.BLOCK
        assert data[offset:].startswith(member)
        assert data.count(b"\n", 0, offset) + 1 == line


def test_a_log_of_small_pieces_is_sealed_into_big_blocks(build: Build) -> None:
    writer = LogWriter(build.pk)
    sent = typical(200)
    for line in sent:
        writer.append(line)
        writer.flush()
    writer.finish()
    log = BuildLog.objects.get(pk=build.pk)
    assert len(log.index) == 1
    assert log.stored_size < log.size / 4
    assert whole(build.pk) == b"".join(sent)


def test_reading_is_the_same_before_and_after(build: Build) -> None:
    data = b"".join(typical(12_000))
    write(build, data)

    def look() -> object:
        return (
            [reader.read(build.pk, offset, 70_000).data for offset in (0, 1, 262_143, 262_145, len(data) - 5)],
            [reader.lines(build.pk, first, 40).rows for first in (1, 2999, 3000, 6001, 11_990, -40)],
        )

    before = look()
    seal.seal(build.pk)
    assert look() == before


def test_an_empty_log_is_complete_too(build: Build) -> None:
    log = seal.seal(build.pk)
    assert (log.complete, log.size, log.sha256) == (True, 0, sha(b""))
    assert reader.read(build.pk, 0, 100) == reader.Part(b"", 0, 0, True)
    assert reader.lines(build.pk, -500, 500).rows == []


def test_sealing_twice_changes_nothing(build: Build) -> None:
    write(build, b"once\n")
    first = seal.seal(build.pk)
    second = seal.seal(build.pk)
    assert (first.stored_name, first.sha256) == (second.stored_name, second.sha256)
    assert whole(build.pk) == b"once\n"


def test_what_a_killed_attempt_left_is_removed(build: Build) -> None:
    write(build, b"the log\n")
    stray = default_storage.save(f"{seal.folder_of(build.pk)}/half.log.gz", ContentFile(b"half"))
    log = seal.seal(build.pk)
    assert not default_storage.exists(stray)
    assert default_storage.exists(log.stored_name)


def test_rows_left_after_completion_are_found_and_removed(build: Build) -> None:
    write(build, b"the log\n")
    kept = list(LogChunk.objects.filter(build=build))
    seal.seal(build.pk)
    LogChunk.objects.bulk_create(kept)  # killed between "complete" and the deletion
    assert [log.pk for log in seal.unsealed()] == [build.pk]
    assert reader.read(build.pk, 0, 100).data == b"the log\n"
    seal.seal(build.pk)
    assert not seal.unsealed().exists()


def test_an_ended_build_with_an_open_log_is_found(build: Build) -> None:
    write(build, b"the log\n")
    assert not seal.unsealed().exists()  # it still runs
    Build.objects.filter(pk=build.pk).update(state="failed")
    assert [log.pk for log in seal.unsealed()] == [build.pk]


def test_a_lost_claim_seals_nothing(build: Build) -> None:
    write(build, b"the log\n")

    def fence() -> None:
        raise LostClaim("gone")

    with pytest.raises(LostClaim):
        seal.seal(build.pk, fence=fence)
    assert not BuildLog.objects.get(pk=build.pk).complete
    assert reader.read(build.pk, 0, 100).data == b"the log\n"


def test_missing_rows_are_never_sealed_over(build: Build) -> None:
    write(build, b"".join(typical(9000)))
    LogChunk.objects.filter(build=build)[1].delete()
    with pytest.raises(seal.LogGap):
        seal.seal(build.pk)
    assert not BuildLog.objects.get(pk=build.pk).complete


def test_a_sealer_overtaken_by_another_finds_its_log_complete(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one names its object and removes the rows just when this one begins to read them."""
    data = b"".join(typical(9000))
    write(build, data)
    read_rows = seal._rows

    def overtaken(build_id: int) -> Iterator[LogChunk]:
        monkeypatch.setattr(seal, "_rows", read_rows)
        seal.seal(build_id)
        return read_rows(build_id)

    monkeypatch.setattr(seal, "_rows", overtaken)
    assert seal.seal(build.pk).complete
    assert whole(build.pk) == data
