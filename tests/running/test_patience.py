"""How long the supervisor waits for a child that was asked to stop: as long as it is told to, and then no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.portal import ROOT
from tests.waiting import until

CHILD = """
import pathlib, signal, sys, time
here = pathlib.Path(sys.argv[1])
def asked(*_):
    (here / "asked").touch()
    while not (here / "gate").exists():
        time.sleep(0.02)
    (here / "ended").touch()
    raise SystemExit
signal.signal(signal.SIGTERM, asked)
(here / "ready").touch()
while True:
    time.sleep(1)
"""
SUPERVISOR = """
import pathlib, sys
from fangduoduo_release.supervisor import Supervisor
class OfOne(Supervisor):
    def commands(self):
        return {"web": [sys.executable, "-c", sys.argv[2], sys.argv[1]]}
raise SystemExit(OfOne(var=pathlib.Path(sys.argv[1]), port=9, roles=["web"], first_start=False, hook=False).run())
"""
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A supervisor with that FDD_STOP_S, whose only child is ready."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(stop_s: str) -> subprocess.Popen[bytes]:
        (tmp_path / "run").mkdir()
        command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), CHILD]
        made.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "FDD_STOP_S": stop_s}))
        until((tmp_path / "ready").exists, what="the child")
        return made[-1]

    yield begin
    for process in made:
        process.kill()
        process.wait()


def test_who_is_told_to_be_patient_lets_a_slow_child_end_by_itself(start: Start, tmp_path: Path) -> None:
    supervisor = start("900")
    supervisor.send_signal(signal.SIGINT)
    until((tmp_path / "asked").exists, what="the child to be asked")
    time.sleep(2.5)  # longer than a web process has when nothing is said
    (tmp_path / "gate").touch()
    assert supervisor.wait(60) == 0
    assert (tmp_path / "ended").exists()


def test_whoever_does_not_end_is_killed(start: Start, tmp_path: Path) -> None:
    supervisor = start("1")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(60) == 0
    assert not (tmp_path / "ended").exists()
