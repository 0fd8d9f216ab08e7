"""Lines on disk: in order, none lost however the process ends, none counted before it is safe."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from projects.trigger.journal import Full, InUse, Journal
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
MB = 1 << 20


def drain(journal: Journal, most: int = 7, most_bytes: int = MB) -> list[bytes]:
    found: list[bytes] = []
    while batch := journal.read(most, most_bytes):
        found += batch.lines
        journal.taken(batch)
    return found


def test_lines_come_back_in_order_also_after_a_restart_and_across_files(tmp_path: Path) -> None:
    lines = [b"line %d" % number for number in range(500)]
    journal = Journal(tmp_path, limit=MB, segment=200)
    for at in range(0, 500, 10):
        journal.append(lines[at : at + 10])
        if at == 250:
            journal.close()
            journal = Journal(tmp_path, limit=MB, segment=200)
    assert drain(journal) == lines
    assert journal.read(1, MB) is None
    assert len(list(tmp_path.glob("*.lines"))) == 1, "what was taken needs no disk"
    assert journal.waiting == 0
    journal.append([b"more"])
    assert drain(journal) == [b"more"]
    journal.close()


def test_what_was_not_taken_comes_again_under_the_same_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"a", b"b", b"c"])
    first = journal.read(2, MB)
    assert first is not None
    journal.close()
    journal = Journal(tmp_path, limit=MB)
    again = journal.read(2, MB)
    assert again == first
    journal.taken(first)
    rest = journal.read(2, MB)
    assert rest is not None
    assert rest.lines == (b"c",)
    assert rest.name != first.name
    journal.close()


def test_half_a_line_that_a_crash_left_is_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"whole"])
    journal.close()
    (path,) = tmp_path.glob("*.lines")
    with path.open("ab") as file:
        file.write(b'{"type":"ref-upd')
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"next"])
    assert drain(journal) == [b"whole", b"next"]
    journal.close()


@pytest.mark.parametrize("left", ["", "nonsense"])
def test_without_its_cursor_it_begins_at_the_first_line(tmp_path: Path, left: str) -> None:
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"a", b"b"])
    journal.taken(journal.read(1, MB))  # type: ignore[arg-type]
    journal.close()
    (tmp_path / "cursor").write_text(left)
    journal = Journal(tmp_path, limit=MB)
    assert drain(journal) == [b"a", b"b"]
    journal.close()


def test_a_cursor_beyond_what_is_there_goes_on_from_there(tmp_path: Path) -> None:
    tmp_path.joinpath("cursor").write_text("5 100\n")
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"new"])
    assert drain(journal) == [b"new"]
    journal.close()


def test_a_batch_is_bounded_but_never_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit=MB)
    journal.append([b"x" * 100, b"y" * 100, b"z"])
    batch = journal.read(10, 50)
    assert batch is not None
    assert batch.lines == (b"x" * 100,)
    journal.close()


def test_when_it_is_full_the_oldest_stay_and_nothing_is_kept_by_half(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit=100)
    journal.append([b"x" * 60])
    with pytest.raises(Full):
        journal.append([b"y" * 30, b"z" * 30])
    assert drain(journal) == [b"x" * 60]
    journal.append([b"y" * 30, b"z" * 30])
    assert drain(journal) == [b"y" * 30, b"z" * 30]
    journal.close()


def test_a_disk_that_is_full_spoils_nothing(tmp_path: Path) -> None:
    """/dev/full takes no byte; the file's real limit is set by the kernel for a process of its own."""
    script = f"""
import resource, signal, sys
from pathlib import Path
from projects.trigger.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path({str(tmp_path)!r}), limit=1 << 30)
journal.append([b"first"])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    journal.append([b"x" * 1000] * 10)
except OSError as error:
    print("refused", error.errno)
journal.append([b"second"])
batch = journal.read(100, 1 << 20)
print([line.decode() for line in batch.lines])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert "refused 27" in done.stdout, done.stderr
    assert "['first', 'second']" in done.stdout


def test_two_do_not_share_a_folder(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit=MB)
    with pytest.raises(InUse):
        Journal(tmp_path, limit=MB)
    journal.close()
    Journal(tmp_path, limit=MB).close()


@pytest.mark.slow
def test_killed_at_any_moment_it_keeps_every_line_it_said_was_safe(tmp_path: Path) -> None:
    """A process writes and takes without pause; it is killed again and again; what it printed as safe must be there."""
    script = f"""
import sys
from pathlib import Path
from projects.trigger.journal import Journal
journal = Journal(Path({str(tmp_path / "spool")!r}), limit=1 << 30, segment=2000)
number = int(sys.argv[1])
while True:
    journal.append([b"%d" % number, b"%d" % (number + 1)])
    print("safe", number + 1, flush=True)
    number += 2
    if number % 3 == 0:
        batch = journal.read(1, 1 << 20)
        print("taking", *[line.decode() for line in batch.lines], flush=True)
        journal.taken(batch)
"""
    chance = random.Random(5)
    log = tmp_path / "log"
    log.touch()
    safe = -1
    for _ in range(12):
        with log.open("ab") as output:
            process = subprocess.Popen([sys.executable, "-c", script, str(safe + 1)], cwd=ROOT, stdout=output)
        goal = log.stat().st_size + chance.randint(50, 4000)
        until(lambda goal=goal: log.stat().st_size > goal)
        process.kill()
        process.wait()
        whole = [line for line in log.read_text().split("\n")[:-1] if line.startswith("safe")]
        safe = int(whole[-1].split()[1])
    taking = {word for line in log.read_text().splitlines() if line.startswith("taking") for word in line.split()[1:]}
    journal = Journal(tmp_path / "spool", limit=1 << 30)
    left = [line.decode() for line in drain(journal)]
    journal.close()
    missing = [n for n in range(safe + 1) if str(n) not in taking and str(n) not in left]
    assert not missing
