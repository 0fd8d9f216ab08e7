"""Fetches that take longer than whoever asks for them has time: none is lost, none is made twice, none hangs for ever."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.processes import alive, start_ticks
from projects.drivers.source import git_lasting
from projects.drivers.source.base import STILL_FETCHING, Credentials, Repository
from projects.drivers.source.git import GitSource
from tests.projects.git.conftest import ROOT, Server, commit, git, new_source
from tests.projects.git.serve import PEOPLE
from tests.projects.git.valve import Valve
from tests.waiting import until

DEV = Credentials("dev", PEOPLE["dev"])
SOON = 0.3  # what is asked for here waits this long
LONG = 600.0

CALLER = """
import sys
from projects.drivers.source.base import Credentials, Repository
from tests.projects.git.conftest import new_source
from pathlib import Path
root, url, password = sys.argv[1:]
source = new_source(Path(root), allow_private=True, fetch_wait=600.0)
source.refresh(Repository("mine", url, Credentials("dev", password)))
"""


@pytest.fixture
def valve(remote: Server) -> Iterator[Valve]:
    made = Valve(remote.port)
    yield made
    made.close()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's private files lie."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def here(tmp_path: Path, scratch: Path) -> Iterator[GitSource]:
    """Our side. What still runs at the end of a test is ended with it."""
    made = new_source(tmp_path / "here", allow_private=True, fetch_wait=SOON, fetch_timeout=LONG)
    yield made
    for pid in fetches(made):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)


@pytest.fixture
def work(remote: Server, tmp_path: Path) -> Path:
    slug = f"app-{tmp_path.name}".lower().replace("_", "-")[:60].strip("-")
    remote.create(slug)
    return remote.clone(slug, tmp_path / slug)


@pytest.fixture
def mine(valve: Valve, work: Path) -> Repository:
    """That repository, reached through the valve."""
    return Repository("mine", f"http://127.0.0.1:{valve.port}/git/{work.name}.git", DEV)


def fetches(source: GitSource) -> list[int]:
    """Processes of git that fetch into the mirrors of `source`."""
    found = []
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit() and start_ticks(int(proc.name)) is not None:
            try:
                words = (proc / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"git") and f"--git-dir={source.config.mirrors}/mine.git".encode() in words:
                found.append(int(proc.name))
    return found


def the_fetch(source: GitSource) -> int:
    """The one that goes on; whoever left it may have had no time to see it begin. What it forks looks like it at first."""
    (pid,) = until(lambda: found if len(found := fetches(source)) == 1 else None, 150, what="the one fetch")
    return pid


def refused(source: GitSource, mine: Repository) -> None:
    with pytest.raises(Unavailable) as refusal:
        source.refresh(mine)
    assert refusal.value.code == STILL_FETCHING


def come(source: GitSource, mine: Repository, sha: str) -> bool:
    """Ask again, as everybody does who was told to; now there is time for all of it, however slow the machine is."""
    source = GitSource(replace(source.config, fetch_wait=240.0))
    try:
        source.refresh(mine)
    except Unavailable as error:
        if error.code != STILL_FETCHING:
            raise
        return False
    return source.resolve(mine, "main").sha == sha


def test_it_goes_on_by_itself_and_is_found_by_who_asks_later(
    here: GitSource, mine: Repository, work: Path, valve: Valve, scratch: Path
) -> None:
    new = commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    refused(here, mine)
    running = the_fetch(here)
    refused(here, mine)
    assert the_fetch(here) == running, "it is not begun twice"
    valve.open()
    until(lambda: not fetches(here), what="the end of it")
    mirror = here.path(mine)
    assert git("rev-parse", "main", cwd=mirror).stdout.strip() == new, "it brought all, though nobody waited"
    until(lambda: not list(scratch.glob("fdd-git-*")), what="what it signed in with to be gone")
    until(lambda: come(here, mine, new), what="the answer")


def test_who_is_killed_while_waiting_takes_no_fetch_along(
    here: GitSource, mine: Repository, work: Path, valve: Valve, tmp_path: Path
) -> None:
    sha = git("rev-parse", "main", cwd=work).stdout.strip()
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path / "here"), mine.url, DEV.secret], cwd=ROOT)
    running = the_fetch(here)
    until(lambda: valve.waiting, what="git to wait for its server")
    caller.kill()
    caller.wait()
    refused(here, mine)
    assert the_fetch(here) == running, "the lock is its own"
    valve.open()
    until(lambda: come(here, mine, sha), what="the answer")


def test_nobody_waits_where_somebody_waited_in_vain(here: GitSource, mine: Repository) -> None:
    refused(here, mine)
    lock = here.path(mine).with_suffix(".lock")
    then = time.time() - LONG - 10  # as if it had run for that long
    os.utime(lock, (then, then))
    patience = git_lasting.Patience(wait=LONG, whole=2 * LONG)
    with pytest.raises(Unavailable) as refusal, git_lasting.only_one(lock, patience):
        pass  # it was said at once, not after ten minutes
    assert refusal.value.code == STILL_FETCHING
    assert the_fetch(here), "it may go on"


def test_one_that_hangs_for_good_is_ended_by_who_finds_it(
    here: GitSource, mine: Repository, work: Path, valve: Valve
) -> None:
    sha = git("rev-parse", "main", cwd=work).stdout.strip()
    refused(here, mine)
    hung = the_fetch(here)
    facts = {"pid": hung, "ticks": start_ticks(hung) or 0}
    lock = here.path(mine).with_suffix(".lock")
    then = time.time() - LONG - 10
    os.utime(lock, (then, then))
    refused(here, mine)  # ends it, and may have begun anew
    until(lambda: not alive(facts), what="the end of it")
    valve.open()
    until(lambda: come(here, mine, sha), what="the answer")


def test_another_process_that_has_its_number_by_now_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        lock = tmp_path / "mine.lock"
        ticks = start_ticks(bystander.pid)
        assert ticks is not None
        with lock.open("w") as held:
            held.write(json.dumps({"pid": bystander.pid, "ticks": ticks - 1}))
            held.flush()
            os.utime(lock, (time.time() - 100, time.time() - 100))
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(Unavailable), git_lasting.only_one(lock, git_lasting.Patience(SOON, 10.0)):
                pass
        assert bystander.poll() is None
        with git_lasting.only_one(lock, git_lasting.Patience(SOON, 10.0)):
            pass  # and nobody asks about it once the lock is free
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("written", ["", "{", "[]", "null", '{"pid": null}', '{"pid": "x", "ticks": 1}', "\0" * 300])
def test_whatever_the_lock_says_it_can_be_waited_for_and_taken(tmp_path: Path, written: str) -> None:
    lock = tmp_path / "mine.lock"
    with lock.open("w") as held:
        held.write(written)
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable), git_lasting.only_one(lock, git_lasting.Patience(SOON, 0.0)):
            pass
    with git_lasting.only_one(lock, git_lasting.Patience(SOON, 0.0)):
        pass


def test_a_mirror_that_was_never_filled_is_not_taken_for_an_empty_repository(
    here: GitSource, mine: Repository, work: Path, valve: Valve
) -> None:
    sha = git("rev-parse", "main", cwd=work).stdout.strip()
    refused(here, mine)
    assert not here.exists(mine)
    for ask in (here.branches, lambda one: here.resolve(one, "main"), lambda one: here.log(one, "main")):
        with pytest.raises(Unavailable) as refusal:
            ask(mine)
        assert refusal.value.code == STILL_FETCHING
    valve.open()
    until(lambda: come(here, mine, sha))
    assert here.exists(mine)
    assert [branch.short for branch in here.branches(mine)] == ["main"]


def test_while_news_is_on_its_way_what_is_here_can_be_read(
    here: GitSource, mine: Repository, work: Path, valve: Valve
) -> None:
    old = git("rev-parse", "main", cwd=work).stdout.strip()
    valve.open()
    until(lambda: come(here, mine, old))
    valve.shut()
    new = commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    refused(here, mine)
    assert here.resolve(mine, "main").sha == old
    valve.open()
    until(lambda: come(here, mine, new))


def test_what_a_killed_one_left_is_swept_by_the_next(
    here: GitSource, mine: Repository, work: Path, valve: Valve
) -> None:
    valve.open()
    until(lambda: come(here, mine, git("rev-parse", "main", cwd=work).stdout.strip()))
    half = here.path(mine) / "objects" / "pack" / "tmp_pack_half"
    half.write_bytes(b"PACK")
    until(lambda: come(here, mine, git("rev-parse", "main", cwd=work).stdout.strip()))
    assert not half.exists()


def test_a_refusal_is_told_with_its_words_and_leaves_nothing(
    here: GitSource, mine: Repository, valve: Valve, scratch: Path
) -> None:
    valve.open()
    patient = new_source(here.config.root.parent, allow_private=True)
    wrong = Repository("mine", mine.url, Credentials("dev", "wrong"))
    with pytest.raises(Exception) as refusal:
        patient.refresh(wrong)
    assert getattr(refusal.value, "code", "") == "authentication_failed"
    assert not list(scratch.glob("fdd-git-*"))


def test_where_no_process_can_be_started_it_is_said_and_nothing_stays(mine: Repository, tmp_path: Path) -> None:
    lock = tmp_path / "mine.lock"
    made: list[Path] = []

    def sign_in(folder: Path) -> dict[str, str]:
        made.append(folder)
        return {"PATH": "/usr/bin:/bin", "TOO_LONG": "x" * (8 << 20)}  # no kernel takes that

    patience = git_lasting.Patience(SOON, LONG)
    with git_lasting.only_one(lock, patience) as held, pytest.raises(Unavailable) as refusal:
        git_lasting.run(["git", "version"], sign_in=sign_in, lock=held, wait=SOON, max_file=1 << 20)
    assert refusal.value.code == "git_missing"
    assert [folder.exists() for folder in made] == [False]


def test_a_default_branch_that_is_not_told_hinders_no_fetch(
    remote: Server, work: Path, tmp_path: Path, scratch: Path
) -> None:
    """The server goes away between the commits and the question where its default branch lies."""
    script = tmp_path / "git"
    script.write_text(
        '#!/bin/sh\nif [ "$1" = ls-remote ]; then echo "fatal: Could not resolve host: x" >&2; exit 128; fi\nexec git "$@"\n'
    )
    script.chmod(0o755)
    source = new_source(tmp_path / "here", allow_private=True, program=str(script))
    bound = Repository("mine", remote.url(work.name, who=""), DEV)
    source.refresh(bound)
    assert source.resolve(bound, "main").sha == git("rev-parse", "main", cwd=work).stdout.strip()
