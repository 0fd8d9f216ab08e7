"""The worker's small parts: what counts as a hanging queue, the bell, the wish to stop, groups of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fangduoduo_release.common.storable import storable
from fangduoduo_release.common.worker import bell, children
from fangduoduo_release.common.worker.marks import Mark, Marks
from fangduoduo_release.common.worker.supervisor import hang
from tests.waiting import until

NOW = 1000.0
ROOT = Path(__file__).resolve().parents[2]
FIRST_WORK = """
import sys

import django

django.setup()

from django.urls import reverse
from fangduoduo_release.common.worker.supervisor import preload

preload()
known = set(sys.modules)
from django.conf import settings
from django.utils.module_loading import import_string
from django_q.brokers import get_broker

for path in settings.RUN_ENDINGS.values():
    import_string(path)
get_broker()
reverse("build", args=[1])
print([name for name in set(sys.modules) - known if not name.startswith("django.core.cache.")])
"""


def marks(**values: float) -> Marks:
    made = Marks()
    made[Mark.GUARD] = NOW - 1
    for name, value in values.items():
        made[Mark[name]] = value
    return made


@pytest.mark.parametrize(
    ("seen", "since", "reason"),
    [
        ({}, 100, ""),
        ({"PULLED": 999, "STARTED": 990, "FINISHED": 991}, 100, ""),
        ({"PULLED": 980, "STARTED": 970, "FINISHED": 971}, 100, "it took a ring and nobody answers"),
        ({"PULLED": 980, "STARTED": 970, "FINISHED": 971}, 990, ""),  # it was started only now
        ({"PULLED": 980, "STARTED": 979, "FINISHED": 978}, 100, ""),  # somebody is at work
        (
            {"PULLED": 951, "STARTED": 950, "FINISHED": 940},
            100,
            "it took a ring and nobody answers",
        ),  # too long at work
        ({"PULLED": 980, "STARTED": 981, "FINISHED": 982}, 100, ""),
        ({"OLDEST_WAIT_S": 16}, 100, "due work waits and nobody takes it"),
        ({"OLDEST_WAIT_S": 16}, 990, ""),
        ({"OLDEST_WAIT_S": 16, "STARTED": 995, "FINISHED": 996}, 100, ""),  # it takes, but there is much to do
        ({"GUARD": 900}, 100, "its guard is silent"),
        ({"GUARD": 0}, 990, ""),
    ],
)
def test_a_hanging_queue_is_told_from_a_busy_one(seen: dict[str, float], since: float, reason: str) -> None:
    assert hang(marks(**seen), NOW, since) == reason


@pytest.fixture
def bells(settings: Any, tmp_path: Path) -> Path:
    deep = tmp_path / ("long-name-" * 12)  # longer than a socket's own path may be
    settings.SOCKETS_ROOT = deep
    return deep / "bells"


def test_a_ring_wakes_a_listener_at_once(bells: Path) -> None:
    listener = bell.Bell()
    assert not listener.wait(0)
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(listener.wait(3600)), daemon=True)
    thread.start()
    bell.ring()
    thread.join(60)
    assert woken == [True]


def test_many_rings_are_one_and_none_waits_for_a_slow_listener(bells: Path) -> None:
    listener = bell.Bell()
    for _ in range(5000):
        bell.ring()
    assert listener.wait(0)
    assert not listener.wait(0)


def test_bells_of_the_dead_are_taken_down(bells: Path) -> None:
    pid = os.fork()
    if pid == 0:
        bell.Bell()
        os._exit(0)
    os.waitpid(pid, 0)
    assert (bells / str(pid)).exists()
    bell.ring()
    assert not (bells / str(pid)).exists()


def test_ringing_where_nobody_ever_listened_is_fine(bells: Path) -> None:
    bell.ring()


def test_the_wish_to_stop_crosses_processes_and_stays() -> None:
    stop = children.Stop()
    assert not stop.is_set()
    assert not stop.wait(0.01)
    pid = os.fork()
    if pid == 0:
        stop.set()
        os._exit(0)
    assert stop.wait(60)
    os.waitpid(pid, 0)
    assert stop.is_set()
    assert stop.wait(0)


def test_a_child_leads_its_group_and_its_code_comes_back() -> None:
    def main() -> None:
        if os.getpgid(0) != os.getpid():
            raise SystemExit(9)
        raise SystemExit(5)

    pid = children.fork("test", main)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5


def test_a_child_takes_no_signal_mask_and_no_handlers_along() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        pid = children.fork("test", lambda: time.sleep(3600))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "fdd-test\n")
    until(lambda: "SigBlk:\t0000000000000000" in Path(f"/proc/{pid}/status").read_text())
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("plain ✓", "plain ✓"),
        ("a\x00b\ud800c", "a\ufffdb\ufffdc"),
        ({"k\x00": ["\udfff", 1, None, {"x": ("\x00",)}]}, {"k\ufffd": ["\ufffd", 1, None, {"x": ["\ufffd"]}]}),
        (3.5, 3.5),
    ],
)
def test_text_that_no_database_takes_is_replaced(value: object, kept: object) -> None:
    assert storable(value) == kept


def test_what_a_worker_needs_for_its_first_work_is_imported_before_it_forks(tmp_path: Path) -> None:
    """A child that imports all pages by itself does so in a transaction: everybody who writes waits for it."""
    env = {
        **os.environ,
        "FDD_ENV": "local",
        "FDD_VAR": str(tmp_path),
        "FDD_PROCESS": "worker",
        "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
    }
    command = [sys.executable, "-c", FIRST_WORK]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
