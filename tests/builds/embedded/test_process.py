"""A program of a build: its own session, a clean environment, limits, and a death that takes its children along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from builds.drivers.builder.base import Limits
from builds.drivers.builder.embedded import orphans
from builds.drivers.builder.embedded.control import Consumed, Interrupt, Interrupted, Scope
from builds.drivers.builder.embedded.orphans import BUILD_KEY, STEP_KEY, build_pids, kill_build, running_keys
from builds.drivers.builder.embedded.process import Leftovers, Program, run
from fangduoduo_release.common import given
from fangduoduo_release.common.sentence import S
from tests.waiting import until

PATH = "/usr/bin:/bin"


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def program(key: str, script: str, cwd: Path, *, limits: Limits | None = None) -> Program:
    marks = {BUILD_KEY: key, STEP_KEY: "1"}
    return Program(["/bin/sh", "-c", script], cwd, {"PATH": PATH, **marks}, limits or Limits(), marks)


def run_script(
    key: str, script: str, cwd: Path, scope: Scope | None = None, limits: Limits | None = None, grace: float = 3.0
) -> tuple[int, bytes]:
    out = bytearray()
    code = run(program(key, script, cwd, limits=limits), scope or Scope(), Consumed(), out=out.extend, grace=grace)
    return code, bytes(out)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def pid_in(file: Path) -> int:
    return int(until(lambda: file.exists() and file.read_text().strip(), what=f"{file.name} to be written"))


def test_output_and_exit_code_come_back(key: str, tmp_path: Path) -> None:
    assert run_script(key, "echo out; echo err >&2; exit 7", tmp_path) == (7, b"out\nerr\n")


def test_output_and_error_can_be_kept_apart(key: str, tmp_path: Path) -> None:
    out, error = bytearray(), bytearray()
    code = run(
        program(key, "echo out; echo err >&2", tmp_path), Scope(), Consumed(), out=out.extend, error=error.extend
    )
    assert (code, bytes(out), bytes(error)) == (0, b"out\n", b"err\n")


def test_a_program_that_dies_of_a_signal_says_so_as_shells_do(key: str, tmp_path: Path) -> None:
    assert run_script(key, "kill -9 $$", tmp_path)[0] == 137


def test_the_environment_is_what_was_given_and_standard_input_is_empty(key: str, tmp_path: Path) -> None:
    os.environ["PORTAL_SECRET_FOR_TEST"] = "must-not-be-seen"
    try:
        _, out = run_script(key, "env; cat; echo end", tmp_path)
    finally:
        del os.environ["PORTAL_SECRET_FOR_TEST"]
    names = {line.split("=")[0] for line in out.decode().splitlines() if "=" in line}
    assert names == {"PATH", "PWD", BUILD_KEY, STEP_KEY}
    assert out.endswith(b"end\n")


def test_only_the_three_standard_descriptors_are_open(key: str, tmp_path: Path) -> None:
    handle = (tmp_path / "open").open("w")
    os.set_inheritable(handle.fileno(), True)
    _, out = run_script(key, "ls /proc/self/fd", tmp_path)
    handle.close()
    assert len(out.split()) <= 4  # 0, 1, 2 and the folder ls reads


def test_each_program_leads_its_own_session(key: str, tmp_path: Path) -> None:
    _, out = run_script(key, "ps -o sid= -p $$; echo $$", tmp_path)
    session, pid = out.split()
    assert session == pid


def test_limits_are_in_force(key: str, tmp_path: Path) -> None:
    limits = Limits(open_files=64, file_size_mib=1, memory_mib=64)
    code, out = run_script(
        key, "ulimit -n; ulimit -c; head -c 3000000 /dev/zero > big; ls -l big | cut -d' ' -f5", tmp_path, limits=limits
    )
    assert out.split()[:2] == [b"64", b"0"]
    assert (tmp_path / "big").stat().st_size <= 1024 * 1024
    eater = f"{sys.executable} -c 'x = bytearray(200 * 1024 * 1024)'"
    code, out = run_script(key, eater, tmp_path, limits=Limits(memory_mib=100))
    assert code != 0
    assert b"MemoryError" in out


def test_a_missing_program_is_an_error_of_the_system(key: str, tmp_path: Path) -> None:
    marks = {BUILD_KEY: key, STEP_KEY: "1"}
    with pytest.raises(FileNotFoundError):
        run(Program(["/no/such"], tmp_path, {}, Limits(), marks), Scope(), Consumed(), out=lambda data: None)


def test_an_interrupt_ends_the_whole_group_gently_at_first(key: str, tmp_path: Path) -> None:
    scope = Scope()
    script = "trap 'echo bye; exit 0' TERM; echo $$ > leader; sleep 300 & echo $! > child; wait"
    out = bytearray()

    def stop() -> None:
        child = pid_in(tmp_path / "child")
        # Until it is `sleep` the child is still the shell, whose trap would swallow the signal.
        until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"))
        scope.interrupt(Interrupt(S("Stop.")))

    threading.Thread(target=stop, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(program(key, script, tmp_path), scope, Consumed(), out=out.extend, grace=200)
    assert time.monotonic() - began < 60, "who ends gently is not waited for longer"
    assert not alive(pid_in(tmp_path / "leader"))
    assert not alive(pid_in(tmp_path / "child"))


def test_who_ignores_the_gentle_signal_is_killed_after_the_grace(key: str, tmp_path: Path) -> None:
    scope = Scope()
    asked: list[float] = []

    def stop() -> None:
        pid_in(tmp_path / "leader")
        asked.append(time.monotonic())
        scope.interrupt(Interrupt(S("Stop.")))

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Interrupted):
        run_script(key, "trap '' TERM; echo $$ > leader; while :; do sleep 1; done", tmp_path, scope, grace=0.5)
    assert 0.5 < time.monotonic() - asked[0] < 60
    assert not alive(pid_in(tmp_path / "leader"))


def test_a_child_in_its_own_session_dies_with_its_step(key: str, tmp_path: Path) -> None:
    scope = Scope()
    script = "setsid sh -c 'echo $$ > stray; sleep 300' & sleep 300"
    threading.Thread(
        target=lambda: (pid_in(tmp_path / "stray"), scope.interrupt(Interrupt(S("Stop.")))), daemon=True
    ).start()
    with pytest.raises(Interrupted):
        run_script(key, script, tmp_path, scope)
    assert not alive(pid_in(tmp_path / "stray"))


def test_a_step_ends_with_its_script_though_a_background_child_holds_the_output(key: str, tmp_path: Path) -> None:
    leftovers = Leftovers()
    out = bytearray()
    began = time.monotonic()
    script = "(while :; do echo tick; echo >> ticks; sleep 0.05; done) & echo $! > child; echo started"
    code = run(program(key, script, tmp_path), Scope(), Consumed(), out=out.extend, leftovers=leftovers)
    assert code == 0
    assert time.monotonic() - began < 60
    assert b"started" in out
    child = pid_in(tmp_path / "child")
    ticks = tmp_path / "ticks"
    ticked = ticks.stat().st_size if ticks.exists() else 0
    until(lambda: ticks.exists() and ticks.stat().st_size > ticked + 3, what="it to write on, though nobody reads it")
    assert alive(child)
    assert kill_build(key, grace=1.0) >= 1
    leftovers.close()
    until(lambda: not alive(child))


def test_an_error_of_who_takes_the_output_ends_the_program(key: str, tmp_path: Path) -> None:
    def refuse(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run(program(key, "echo $$ > leader; echo x; sleep 300", tmp_path), Scope(), Consumed(), out=refuse)
    assert not alive(pid_in(tmp_path / "leader"))


@pytest.mark.parametrize(
    "start",
    [
        "nohup sleep 300 >/dev/null 2>&1 & echo $! > stray",
        "setsid sh -c 'echo $$ > stray; exec sleep 300' &",
        "(setsid sh -c 'echo $$ > stray; exec sleep 300' &) ; exit 0",
        "sh -c 'trap \"\" TERM HUP INT; echo $$ > stray; while :; do sleep 1; done' &",
        "setsid sh -c 'env -i sh -c \"echo \\$\\$ > stray; exec sleep 300\" & sleep 300' &",
        "setsid sh -c 'env -i sh -c \"trap : TERM; echo \\$\\$ > stray; while :; do sleep 1; done\" & sleep 300' &",
    ],
)
def test_kill_build_finds_every_stray(start: str, key: str, tmp_path: Path) -> None:
    leftovers = Leftovers()
    run(program(key, start, tmp_path), Scope(), Consumed(), out=lambda data: None, leftovers=leftovers)
    stray = pid_in(tmp_path / "stray")
    until(lambda: alive(stray))
    kill_build(key, grace=0.3)
    leftovers.close()
    assert not alive(stray)
    assert build_pids(key) == set()


def test_kill_build_outruns_a_fork_bomb_of_modest_size(key: str, tmp_path: Path) -> None:
    bomb = "for i in 1 2 3 4 5 6; do (while :; do sleep 0.01; done) & done; wait"
    process = subprocess.Popen(
        ["/bin/sh", "-c", bomb], env={"PATH": PATH, BUILD_KEY: key}, cwd=tmp_path, start_new_session=True
    )
    until(lambda: len(build_pids(key)) >= 6)
    kill_build(key, grace=0.0)
    assert process.wait(60) == -signal.SIGKILL
    assert build_pids(key) == set()


def test_a_program_is_found_also_while_it_becomes_another_one(key: str, tmp_path: Path) -> None:
    """In the middle of `execve` its environment reads as empty: no stray may be overlooked for that."""
    restless = tmp_path / "restless"
    restless.write_text('#!/bin/sh\nexec "$0"\n')
    restless.chmod(0o755)
    process = subprocess.Popen([restless], env={"PATH": PATH, BUILD_KEY: key}, start_new_session=True)
    try:
        mark = f"{BUILD_KEY}={key}".encode()
        assert [look for look in range(2000) if mark not in given.environment(process.pid)] == []
        assert build_pids(key) == {process.pid}
        assert running_keys({BUILD_KEY: key}) == {key}
    finally:
        kill_build(key, grace=0.0)
        process.kill()
        process.wait(60)


def test_who_dies_slowly_is_killed_until_it_is_gone(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a while is no reason to give up after so many signals."""
    monkeypatch.setattr(orphans, "_ROUNDS", 0)
    stubborn = "trap '' TERM; while :; do sleep 0.01; done"
    process = subprocess.Popen(["/bin/sh", "-c", stubborn], env={"PATH": PATH, BUILD_KEY: key}, start_new_session=True)
    assert kill_build(key, grace=0.0) >= 1
    assert process.wait(60) == -signal.SIGKILL
    assert build_pids(key) == set()


def test_kill_build_leaves_other_builds_and_this_process_alone(key: str, tmp_path: Path) -> None:
    other = str(uuid.uuid4())
    bystander = subprocess.Popen(["sleep", "600"], env={"PATH": PATH, BUILD_KEY: other}, start_new_session=True)
    try:
        assert kill_build(key, grace=0.1) == 0
        assert bystander.poll() is None
        assert build_pids(other) == {bystander.pid}
    finally:
        kill_build(other, grace=0.0)
        bystander.wait(60)


def test_the_program_dies_when_its_agent_is_killed(key: str, tmp_path: Path) -> None:
    agent = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from builds.drivers.builder.base import Limits
from builds.drivers.builder.embedded import orphans
from builds.drivers.builder.embedded.control import Consumed, Scope
from builds.drivers.builder.embedded.process import Program, run
run(Program(["/bin/sh", "-c", "echo $$ > leader; sleep 300"], Path({str(tmp_path)!r}), {{"PATH": "{PATH}"}},
    Limits(), {{"X": "1"}}), Scope(), Consumed(), out=lambda data: None)
"""
    process = subprocess.Popen([sys.executable, "-c", agent])
    leader = pid_in(tmp_path / "leader")
    process.kill()
    process.wait(60)
    until(lambda: not alive(leader), what="the direct child to die with its parent")


def test_the_end_of_a_build_writes_into_no_file_that_is_not_its_own() -> None:
    """Whoever drains is awake for the program that was just adopted and sees the end at once."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(1000):
            leftovers = Leftovers()
            reader, writer = os.pipe()
            leftovers.adopt(reader)
            leftovers.close()
            os.close(writer)
    finally:
        sys.setswitchinterval(interval)
