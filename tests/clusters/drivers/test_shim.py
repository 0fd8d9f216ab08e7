"""The shim keeps a process running, healthy, logged and alone, whatever the process does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusters.drivers.process import procfs
from clusters.drivers.process.handle import Handle, Orders, ShimStatus, wait_gone
from tests.clusters.drivers.sample import free_range
from tests.waiting import until


@dataclass
class Run:
    handle: Handle

    def status(self) -> ShimStatus:
        status = self.handle.status()
        assert status is not None
        return status

    def until(self, predicate: Callable[[ShimStatus], Any], timeout: float = 60.0) -> ShimStatus:
        return until(lambda: predicate(self.status()) and self.status(), timeout)

    def log(self) -> bytes:
        """All that is kept; what is rotated away meanwhile is looked for anew."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                return b"".join(path.read_bytes() for path in sorted((self.handle.directory / "logs").glob("*.log")))

    def marked(self) -> list[int]:
        return procfs.marked(b"FDD_INSTANCE", self.handle.marks["FDD_INSTANCE"].encode())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*argv: str, **changes: Any) -> Run:
        name = f"shim-{os.getpid()}-{time.monotonic_ns()}"
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        run = Run(Handle(folder, {"FDD_INSTANCE": name}))
        runs.append(run)
        env = {"PATH": os.environ["PATH"], "FDD_INSTANCE": name, **changes.pop("env", {})}
        orders = Orders(argv=argv, env=env, cwd=folder, **{"grace_s": 0.5, "backoff_s": (0.05, 1.0), **changes})
        run.handle.finish(run.handle.begin(orders))
        return run

    yield begin
    for run in runs:
        run.handle.terminate()
        if not wait_gone([run.handle], 30.0):
            run.handle.kill()
        until(lambda run=run: run.marked() == [], what="everything of the shim to be gone")


def check(kind: str, **values: Any) -> dict[str, Any]:
    base = {"path": "/", "port": 0, "command": [], "initial_delay_s": 0.0, "period_s": 0.1, "timeout_s": 30.0}
    return {"kind": kind, "failure_threshold": 2, **base, **values}


def test_it_is_small_lives_in_its_own_session_and_needs_nobody_to_reap_it(start: Callable[..., Run]) -> None:
    run = start("sleep", "300")
    status = run.until(lambda s: s.pid)
    fields = Path(f"/proc/{status.shim}/stat").read_text().rpartition(")")[2].split()
    assert int(fields[3]) != os.getsid(0)
    assert int(fields[1]) != os.getpid()
    rss = int(Path(f"/proc/{status.shim}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert rss <= 12 * 1024 * 1024
    assert os.getpgid(status.pid) == status.pid


def test_a_second_shim_for_the_same_folder_is_not_started(start: Callable[..., Run]) -> None:
    run = start("sleep", "300")
    orders = Orders(argv=("sleep", "300"), env={}, cwd=run.handle.directory)
    assert run.handle.begin(orders) is None
    assert run.handle.alive()


def test_no_secret_is_in_an_argv_or_a_file(start: Callable[..., Run]) -> None:
    run = start("sleep", "300", env={"TOKEN": "hunter2-hunter2"})
    status = run.until(lambda s: s.pid)
    assert procfs.environment(status.pid)["TOKEN"] == "hunter2-hunter2"
    assert "TOKEN" not in procfs.environment(status.shim)
    for pid in (status.shim, status.pid):
        assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    for path in run.handle.directory.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


def test_a_crashing_process_is_restarted_with_growing_pauses(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "echo run; exit 3")
    status = run.until(lambda s: s.restarts >= 4)
    assert (status.exit_code, status.exit_signal, status.reason) == (3, None, "exited")
    text = run.log().decode()
    pauses = [line.rpartition(" in ")[2] for line in text.splitlines() if "next start" in line]
    assert pauses[:4] == ["0.05 s", "0.1 s", "0.2 s", "0.4 s"]
    assert text.count("stdout F run") >= 4
    assert status.previous_run is not None
    assert status.previous_run < status.run


def test_a_program_that_does_not_exist_is_named(start: Callable[..., Run]) -> None:
    status = start("no-such-program").until(lambda s: s.reason)
    assert (status.reason, status.detail, status.pid) == ("cannot_start", "No such file or directory", 0)


def test_sigterm_ends_the_group_and_then_the_shim(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "trap 'echo bye; exit 0' TERM; echo hi; sleep 300 & wait")
    until(lambda: b"hi" in run.log())
    assert run.handle.terminate()
    assert wait_gone([run.handle], 60.0)
    until(lambda: run.marked() == [], what="what was killed to be gone")
    assert b"bye" in run.log()
    assert (run.status().state, run.status().exit_code) == ("stopped", 0)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "trap '' TERM; echo hi; while :; do sleep 0.1; done")
    until(lambda: b"hi" in run.log())
    begun = time.monotonic()
    run.handle.terminate()
    assert wait_gone([run.handle], 60.0)
    assert time.monotonic() - begun >= 0.5
    assert run.status().exit_signal == signal.SIGKILL


def test_grandchildren_that_fled_to_a_session_of_their_own_die_too(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "setsid sleep 300 & (setsid setsid sleep 301 &) ; echo hi; sleep 302")
    until(lambda: b"hi" in run.log())
    until(lambda: len(run.marked()) >= 5, what="all of them to be there")
    os.kill(run.status().pid, signal.SIGKILL)
    run.until(lambda s: s.restarts == 1)
    run.handle.terminate()
    assert wait_gone([run.handle], 60.0)
    until(lambda: run.marked() == [], what="what was killed to be gone")


def test_a_killed_shim_leaves_what_can_be_found_and_killed(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "setsid sleep 300 & echo hi; wait")
    until(lambda: b"hi" in run.log())
    os.kill(run.status().shim, signal.SIGKILL)
    until(lambda: not run.handle.alive())
    run.handle.kill_leftovers()
    until(lambda: run.marked() == [])


def test_output_is_rotated_and_the_oldest_goes(start: Callable[..., Run]) -> None:
    code = "import sys\nfor i in range(20000): print('line', i)\nsys.stdout.flush()\nimport time; time.sleep(300)"
    run = start(sys.executable, "-S", "-c", code, log_bytes=100_000, log_files=3)
    until(lambda: b"line 19999\n" in run.log())
    files = sorted((run.handle.directory / "logs").glob("*.log"))
    assert len(files) == 3
    assert all(path.stat().st_size <= 100_000 for path in files)
    numbers = [int(line.rsplit(b" ", 1)[1]) for line in run.log().splitlines()]
    assert numbers == list(range(numbers[0], 20000))


def test_a_huge_line_and_binary_output_pass_through_in_pieces(start: Callable[..., Run]) -> None:
    code = "import os, time\nos.write(1, b'x' * 100_000 + b'\\n')\nos.write(2, bytes(range(256)) + b'end')"
    run = start(sys.executable, "-S", "-c", code)
    until(lambda: b"ended with" in run.log())
    lines = run.log().split(b"next start")[0].splitlines()
    pieces = [line.split(b" ", 3) for line in lines if b" stdout " in line]
    assert [piece[2] for piece in pieces] == [b"P"] * 6 + [b"F"]
    assert b"".join(piece[3] for piece in pieces) == b"x" * 100_000
    assert b"\xfe\xffend" in run.log()


def test_readiness_by_http_follows_the_answer(start: Callable[..., Run]) -> None:
    port = free_range(1)
    run = start(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port), port=port,
                checks={"readiness": check("http", path="/good")})  # fmt: skip
    run.until(lambda s: s.reason == "not_ready" and s.detail == "HTTP 404")
    (run.handle.directory / "good").touch()
    run.until(lambda s: s.ready)
    (run.handle.directory / "good").unlink()
    assert run.until(lambda s: not s.ready).restarts == 0


def test_a_stranger_on_the_port_does_not_count_as_ready(start: Callable[..., Run]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        run = start("sleep", "300", port=port, checks={"readiness": check("tcp")})
        status = run.until(lambda s: s.reason)
        run.until(lambda s: "another process" in s.detail)
    assert not status.ready


def test_a_failing_liveness_check_restarts(start: Callable[..., Run]) -> None:
    run = start("sleep", "300", checks={"liveness": check("exec", command=["test", "!", "-e", "dead"])})
    assert run.until(lambda s: s.ready).restarts == 0
    (run.handle.directory / "dead").touch()
    status = run.until(lambda s: s.restarts >= 1)
    assert (status.reason, status.detail) == ("liveness", "exit code 1")


def test_a_passed_startup_check_alone_makes_ready(start: Callable[..., Run]) -> None:
    assert start("sleep", "300", checks={"startup": check("exec", command=["true"])}).until(lambda s: s.ready)


def test_a_startup_check_holds_the_others_back_and_gives_up(start: Callable[..., Run]) -> None:
    run = start("sleep", "300", checks={
        "startup": check("exec", command=["false"]), "readiness": check("exec", command=["touch", "asked"]),
    })  # fmt: skip
    status = run.until(lambda s: s.restarts >= 1)
    assert status.reason == "startup"
    assert not (run.handle.directory / "asked").exists()


def test_a_check_that_hangs_is_cut_off_and_leaves_nothing(start: Callable[..., Run]) -> None:
    run = start("sleep", "300", checks={"readiness": check("exec", command=["sleep", "200"], timeout_s=0.2)})
    run.until(lambda s: s.detail == "timeout")
    run.handle.terminate()
    assert wait_gone([run.handle], 60.0)


def test_memory_is_limited(start: Callable[..., Run]) -> None:
    run = start(sys.executable, "-S", "-c", "x = bytearray(200_000_000)", memory=64 * 1024 * 1024)
    run.until(lambda s: s.restarts >= 1)
    assert b"MemoryError" in run.log()


def test_a_log_that_cannot_be_written_loses_lines_but_not_the_process(start: Callable[..., Run]) -> None:
    run = start("sh", "-c", "while :; do echo line; echo x >> count; sleep 0.02; done", log_bytes=200)
    until(lambda: run.log().count(b"line") > 2)
    before = run.status().pid
    logs, count = run.handle.directory / "logs", run.handle.directory / "count"
    logs.rename(run.handle.directory / "away")
    logs.write_text("not a folder")
    counted = count.stat().st_size
    until(lambda: count.stat().st_size > counted + 20, what="the process to go on")
    assert procfs.start_ticks(before)
    assert run.handle.alive()
