"""The mirror of a bound repository as it gets old: what killed fetches left in it, and what piled up in it."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import threading
import time
import zlib
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import AppError
from projects.drivers.source.base import Credentials, Repository
from projects.drivers.source.git import GitSource
from projects.drivers.source.git_packing import AGAIN_S, MOST_LOOSE, MOST_PACKS, piled_up
from tests.projects.git.conftest import CLIENT_ENV, Server, commit, git, new_source
from tests.projects.git.serve import PEOPLE
from tests.waiting import until

DEV = Credentials("dev", PEOPLE["dev"])


@pytest.fixture
def here(tmp_path: Path) -> GitSource:
    """Our side, which may reach private networks."""
    return new_source(tmp_path / "here", allow_private=True)


@pytest.fixture
def work(remote: Server, tmp_path: Path) -> Path:
    """A clone of a repository of this test's own on the server, with a second branch."""
    slug = f"app-{tmp_path.name}".lower().replace("_", "-")[:60].strip("-")
    remote.create(slug)
    made = remote.clone(slug, tmp_path / slug)
    git("push", "--quiet", "origin", "main:side", cwd=made)
    return made


@pytest.fixture
def bound(remote: Server, here: GitSource, work: Path) -> Repository:
    """That repository, fetched once."""
    made = Repository("mine", remote.url(work.name, who=""), DEV)
    here.refresh(made)
    return made


def leave(mirror: Path, name: str, *, age: float) -> Path:
    """A lock as a killed git leaves it."""
    path = mirror / name
    path.touch()
    then = time.time() - age
    os.utime(path, (then, then))
    return path


LOCKS = ["refs/heads/main.lock", "packed-refs.lock", "packed-refs.new", "HEAD.lock", "shallow.lock", "config.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_a_killed_fetch_left_holds_up_no_later_one(
    here: GitSource, bound: Repository, work: Path, name: str
) -> None:
    mirror = here.path(bound)
    git("pack-refs", "--all", cwd=mirror)  # so that the branch that goes has to go from the packed ones too
    left = leave(mirror, name, age=here.config.fetch_timeout + 10)
    new = commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", ":side", cwd=work)
    here.refresh(bound)
    assert here.resolve(bound, "main").sha == new
    assert [ref.short for ref in here.branches(bound)] == ["main"]
    assert not left.exists()


def test_a_lock_that_somebody_may_hold_is_left_alone(here: GitSource, bound: Repository, work: Path) -> None:
    mirror = here.path(bound)
    young = [leave(mirror, name, age=here.config.fetch_timeout / 2) for name in LOCKS]
    commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    with pytest.raises(AppError):
        here.refresh(bound)
    assert all(lock.exists() for lock in young)


def pile_up_loose(mirror: Path, mark: str = "") -> list[str]:
    """Loose objects that no branch leads to, in the one folder that is counted, as if there were as many in all."""
    made: list[str] = []
    number = 0
    while len(made) * 256 <= MOST_LOOSE:
        number += 1
        data = f"{mark} {number}".encode()
        whole = b"blob %d\0" % len(data) + data
        sha = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        if sha.startswith("17"):
            (mirror / "objects" / "17").mkdir(exist_ok=True)
            (mirror / "objects" / "17" / sha[2:]).write_bytes(zlib.compress(whole))
            made.append(sha)
    return made


def pile_up_packs(mirror: Path) -> list[str]:
    """More packs than are left alone, each with an object of its own that no branch leads to."""
    made = pile_up_loose(mirror, "packed")
    while len(made) <= MOST_PACKS:
        made += pile_up_loose(mirror, f"packed {len(made)}")
    for sha in made:
        subprocess.run(["git", "pack-objects", "--quiet", "objects/pack/pack"], cwd=mirror, env=CLIENT_ENV,
                       input=f"{sha}\n".encode(), capture_output=True, check=True, timeout=240)  # fmt: skip
    git("prune-packed", cwd=mirror)
    return made


def packs(mirror: Path) -> int:
    return len(list((mirror / "objects" / "pack").glob("*.pack")))


def loose(mirror: Path) -> int:
    return sum(path.is_file() for path in (mirror / "objects").glob("[0-9a-f][0-9a-f]/*"))


def is_whole(mirror: Path, shas: list[str]) -> bool:
    git("fsck", "--strict", cwd=mirror)
    return all(git("cat-file", "-e", sha, cwd=mirror, ok=False).returncode == 0 for sha in shas)


def spied(tmp_path: Path, source: GitSource, *, broken: bool = False) -> tuple[GitSource, Path]:
    """The same source with a git that writes down what it is asked, and the paper; `broken`: it cannot pack."""
    program, paper = tmp_path / "git", tmp_path / "argv"
    paper.touch()
    spoil = 'case "$*" in *" repack "*) echo "fatal: no memory" >&2; exit 128;; esac\n' if broken else ""
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {paper}\n{spoil}exec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    return new_source(source.config.root.parent, allow_private=True, program=str(program)), paper


def test_loose_objects_that_piled_up_are_packed_and_none_is_lost(here: GitSource, bound: Repository) -> None:
    mirror = here.path(bound)
    made = pile_up_loose(mirror)
    assert piled_up(mirror)
    here.refresh(bound)
    assert loose(mirror) == 0
    assert not piled_up(mirror)
    assert is_whole(mirror, made)
    assert here.resolve(bound, "main")


def test_packs_that_piled_up_become_few_and_none_is_lost(here: GitSource, bound: Repository) -> None:
    mirror = here.path(bound)
    made = pile_up_packs(mirror)
    assert packs(mirror) > MOST_PACKS
    here.refresh(bound)
    assert packs(mirror) < 10
    assert is_whole(mirror, made)


def test_a_pack_that_a_killed_fetch_keeps_is_not_counted(here: GitSource, bound: Repository) -> None:
    mirror = here.path(bound)
    for number in range(MOST_PACKS + 10):
        for kind in ("pack", "keep"):
            (mirror / "objects" / "pack" / f"pack-{number}.{kind}").touch()
    assert not piled_up(mirror)


def test_who_reads_while_it_is_packed_is_not_disturbed(here: GitSource, bound: Repository) -> None:
    mirror = here.path(bound)
    failures: list[AppError] = []
    done = threading.Event()
    reads: list[int] = []

    def read() -> None:
        while not done.is_set():
            try:
                reads.append(len(here.log(bound, "main")) + len(here.list_files(bound, "side")))
            except AppError as error:
                failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            pile_up_loose(mirror, str(number))
            here.refresh(bound)
            assert not piled_up(mirror)
        until(lambda: reads or failures, what="a reader to have read")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert reads
    assert failures == []


def test_a_mirror_in_order_is_left_as_it_is(here: GitSource, bound: Repository, tmp_path: Path) -> None:
    source, paper = spied(tmp_path, here)
    source.refresh(bound)
    assert "fetch" in paper.read_text()
    assert "repack" not in paper.read_text()


def test_packing_that_fails_hurts_no_fetch_and_is_tried_again_a_day_later(
    here: GitSource, bound: Repository, work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = here.path(bound)
    made = pile_up_loose(mirror)
    half = mirror / "objects" / "pack" / ".tmp-1-pack-0.pack"
    half.touch()
    source, paper = spied(tmp_path, here, broken=True)
    new = commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            source.refresh(bound)
    assert source.resolve(bound, "main").sha == new
    assert [record.getMessage() for record in caplog.records if record.thread == threading.get_ident()] == [
        "the mirror mine.git could not be packed: fatal: no memory"
    ]
    assert paper.read_text().count(" repack ") == 1
    assert not half.exists()
    assert is_whole(mirror, made)
    then = time.time() - AGAIN_S - 10
    os.utime(mirror / "fdd-not-packed", (then, then))
    here.refresh(bound)
    assert not piled_up(mirror)
    assert not (mirror / "fdd-not-packed").exists()
