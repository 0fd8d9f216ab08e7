"""What ends a build from outside: people, a lost lease, limits, a full disk; nothing of it runs on."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.drivers.builder.base import Limits, LogFull
from builds.drivers.builder.embedded.orphans import build_pids
from fangduoduo_release.common.sentence import S
from tests.waiting import until

from .ground import Ground, Recorder, pipeline
from .test_process import alive

POST = "post { always { echo '>always' } aborted { sh 'echo \">aborted\"' } success { echo '>wrong' } cleanup { echo '>cleanup' } }"


def test_a_cancel_kills_what_runs_and_then_post_runs(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('A') { steps { sh 'echo started; setsid sleep 300 & sleep 300' } } stage('B') { steps { echo '>b' } }",
            POST,
        )
    )
    running.wait_for("started")
    running.execution.cancel(S("Cancelled by %(who)s.", who="ann"))
    ran = running.end()
    assert (ran.state, ran.sentence) == ("cancelled", "Cancelled by ann.")
    assert ran.said() == ["always", "aborted", "cleanup"]
    assert ran.states == {"A": "cancelled", "B": "skipped"}
    assert build_pids(running.key) == set()


def test_a_cancel_before_the_start_runs_no_stage(ground: Ground) -> None:
    spec = ground.spec(pipeline("stage('A') { steps { sh 'echo \">ran\"' } }"))
    from builds.drivers.builder.embedded import Execution

    sink = Recorder()
    execution = Execution(spec, sink)
    execution.cancel()
    assert execution.run().state == "cancelled"
    assert ">ran" not in sink.text


def test_a_second_cancel_stops_post_too(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('A') { steps { sh 'echo started; sleep 300' } }",
            "post { always { sh 'echo in post; sleep 300' } cleanup { echo '>cleanup' } }",
        )
    )
    running.wait_for("started")
    running.execution.cancel()
    running.wait_for("in post")
    running.execution.cancel()
    ran = running.end()
    assert ran.state == "cancelled"
    assert ran.said() == ["cleanup"]


def test_a_cancel_reaches_every_branch_and_every_kind_of_waiting(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('P') { parallel { stage('sh') { steps { sh 'echo started; sleep 300' } } stage('sleep') { steps { sleep 300 } }"
            " stage('input') { steps { input 'ok?' } } stage('loop') { steps { script { while (true) { sleep(time: 5, unit: 'MILLISECONDS') } } } } } }",
            POST,
        )
    )
    running.wait_for("started")
    running.wait_for_input()
    branches = {f"P/{name}" for name in ("sh", "sleep", "input", "loop")}
    until(lambda: {running.sink.states().get(b) for b in branches} <= {"running", "paused"}, what="all branches")
    running.execution.cancel()
    ran = running.end()
    assert {ran.states[f"P/{name}"] for name in ("sh", "sleep", "input")} == {"cancelled"}
    assert ran.states["P/loop"] in ("cancelled", "failed")
    assert ran.said() == ["always", "aborted", "cleanup"]
    assert ran.state == "cancelled"


def test_a_lost_lease_stops_everything_at_once_without_post(ground: Ground) -> None:
    running = ground.start(
        pipeline("stage('A') { steps { sh 'echo started; sleep 300' } post { always { echo '>stage post' } } }", POST)
    )
    running.wait_for("started")
    running.stop.drop(S("This build was taken over."))
    ran = running.end()
    assert (ran.state, ran.sentence) == ("cancelled", "This build was taken over.")
    assert ran.said() == []
    assert ran.states == {"A": "cancelled"}
    assert build_pids(running.key) == set()


def test_a_script_cannot_catch_a_lost_lease(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('A') { steps { script { try { sh 'echo started; sleep 300' } catch (Throwable e) { echo '>caught' } }\n catchError { sh 'echo \">on\"' } } }"
        )
    )
    running.wait_for("started")
    running.stop.drop()
    assert running.end().said() == []


def test_the_build_may_take_only_so_long(ground: Ground) -> None:
    began = time.monotonic()
    ran = ground.run(
        pipeline("stage('A') { steps { sh 'sleep 600' } }", "post { failure { echo '>failure' } }"),
        limits=Limits(wall_seconds=1),
    )
    assert time.monotonic() - began < 120
    assert (ran.state, ran.said()) == ("failed", ["failure"])
    assert ran.sentence == "The build took longer than the 1 s it may take."


def test_the_log_may_grow_only_so_far(ground: Ground) -> None:
    ran = ground.run(pipeline("stage('A') { steps { sh 'yes' } }", POST), limits=Limits(log_mib=1))
    assert (ran.state, ran.sentence) == ("failed", "The log grew beyond 1 MiB.")
    assert ran.states == {"A": "failed"}
    assert len(ran.sink.data) <= 1 << 20


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk is full: the log of this build could not be written.",
        ),
        (OSError(errno.EIO, "I/O error"), "could not be written (I/O error)"),
        (LogFull(), "The log grew beyond"),
    ],
)
def test_a_sink_that_fails_ends_the_build_with_its_reason(ground: Ground, error: Exception, sentence: str) -> None:
    sink = Recorder(failure=error, fail_after=2000)
    spec = ground.spec(pipeline("stage('A') { steps { sh 'seq 1 100000; sleep 300' } }", POST))
    from builds.drivers.builder.embedded import Execution

    began = time.monotonic()
    outcome = Execution(spec, sink).run()
    assert time.monotonic() - began < 120
    assert outcome.state == "failed"
    assert sentence in str(outcome.sentence)
    assert build_pids(spec.key) == set()
    assert sink.states() == {"A": "failed"}


class LostClaimError(Exception):
    """As a sink raises it whose run belongs to somebody else by now."""


def test_what_else_a_sink_raises_stops_everything_and_comes_out_of_run(ground: Ground) -> None:
    from builds.drivers.builder.embedded import Execution

    spec = ground.spec(
        pipeline("stage('A') { steps { sh 'seq 1 100000; sleep 300' } post { always { sh 'touch posted' } } }", POST)
    )
    with pytest.raises(LostClaimError):
        Execution(spec, Recorder(failure=LostClaimError("fence"), fail_after=2000)).run()
    assert build_pids(spec.key) == set()
    assert not (spec.workspace_root / spec.key / "ws" / "posted").exists()


def test_a_signal_handler_may_stop_the_build_at_any_moment(ground: Ground, tmp_path: Path) -> None:
    spec = ground.spec(pipeline("stage('A') { steps { sh 'sleep 300' } }"))
    file = tmp_path / "spec.pickle"
    file.write_bytes(pickle.dumps(spec))
    code = AGENT.format(root=str(Path.cwd()), spec=str(file)).replace(
        "print(Execution(spec, Recorder()",
        "import signal\nfrom builds.drivers.builder.base import StopSignal\nstop = StopSignal()\n"
        "signal.signal(signal.SIGTERM, lambda *_: stop.drop())\nprint(Execution(spec, Recorder(), stop",
    )
    agent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    until(lambda: len(build_pids(spec.key)) >= 2)
    for _ in range(5):
        agent.send_signal(signal.SIGTERM)
    assert agent.communicate(timeout=120)[0].strip() == "cancelled"
    assert build_pids(spec.key) == set()


def test_the_workspace_is_fresh_and_goes_with_the_build(ground: Ground) -> None:
    from builds.drivers.builder.embedded import Execution

    spec = ground.spec(
        pipeline("stage('A') { steps { sh 'test ! -e ../ws/old; mkdir -p ro/d; touch ro/d/f; chmod -R a-w ro' } }"),
        keep_workspace=False,
    )
    (spec.workspace_root / spec.key / "ws").mkdir(parents=True)
    (spec.workspace_root / spec.key / "ws" / "old").write_text("of a killed agent")
    assert Execution(spec, Recorder()).run().state == "succeeded"
    assert list(spec.workspace_root.iterdir()) == []


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, timeout=60, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], timeout=60, check=False)


@pytest.mark.parametrize(
    "steps",
    [
        "sh 'head -c 4000000 /dev/zero > big'",
        "sh 'head -c 1500000 /dev/zero > a'\n stash(name: 's', includes: 'a')",
        "sh 'head -c 1500000 /dev/zero > a'\n archiveArtifacts 'a'",
        "script { def s = 'x' * 900000\n writeFile(file: 'a', text: s)\n writeFile(file: 'b', text: s)\n writeFile(file: 'c', text: s) }",
    ],
)
def test_a_full_disk_fails_the_build_with_that_reason(ground: Ground, tiny: Path, steps: str) -> None:
    ran = ground.run(
        pipeline(f"stage('A') {{ steps {{ {steps} }} }}", "post { failure { echo '>failure' } }"),
        workspace_root=tiny / "work", artifacts_dir=tiny / "artifacts",
    )  # fmt: skip
    assert ran.state == "failed"
    assert ran.sentence.startswith("The disk is full"), ran.sentence
    assert ran.said() == ["failure"]


def test_a_disk_too_full_to_begin_with_says_so(ground: Ground, tiny: Path) -> None:
    try:
        (tiny / "filler").write_bytes(b"x" * (3 << 20))
    except OSError:
        pass
    ran = ground.run(
        "pipeline { agent any stages { stage('A') { steps { sh 'true' } } } }",
        workspace_root=tiny / "work",
        artifacts_dir=tiny / "a",
    )
    assert ran.state == "failed"
    assert "disk is full" in ran.sentence


def test_a_step_cannot_write_files_beyond_its_limit(ground: Ground) -> None:
    ran = ground.run(
        pipeline("stage('A') { steps { sh 'head -c 5000000 /dev/zero > big' } }"), limits=Limits(file_size_mib=1)
    )
    assert ran.state == "failed"
    assert (ran.root / "ws" / "big").stat().st_size <= 1 << 20


def test_a_hundred_megabytes_of_log_pass_in_bounded_memory(ground: Ground) -> None:
    sink = Recorder(keep=False)
    script = "yes 'a line of a log that is about eighty characters long, as they usually are, more or less' | head -c 100000000"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ran = ground.run(
        pipeline(f"stage('A') {{ steps {{ sh \"{script}\" }} }}"),
        sink,
        secrets=tuple(f"secret-value-{i}-xyz" for i in range(20)),
    )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert ran.state == "succeeded"
    assert 100_000_000 <= sink.written < 101_000_000
    assert grown < 48 * 1024
    assert sink.longest < 1 << 20


def test_binary_output_becomes_safe_text(ground: Ground) -> None:
    ran = ground.steps(
        "sh 'head -c 200000 /dev/urandom; printf \"\\\\033]0;t\\\\007\\\\033[2J<b>\\\\033[32mgreen\\\\033[0m\\\\n\"'"
    )
    assert ran.state == "succeeded"
    assert "<b>\x1b[32mgreen\x1b[0m" in ran.text
    assert not [c for c in ran.text if c < " " and c not in "\n\t\x1b"]


def test_a_slow_sink_slows_the_step_and_loses_nothing(ground: Ground) -> None:
    class Slow(Recorder):
        def log(self, data: bytes, *, stage: str | None, step: int | None) -> None:
            time.sleep(0.02)
            super().log(data, stage=stage, step=step)

    ran = ground.steps("sh 'seq 1 200000'", Slow())
    assert [line for line in ran.sink.lines if line.isdigit()] == [str(i) for i in range(1, 200001)]


AGENT = """
import sys
sys.path.insert(0, {root!r})
import pickle, pathlib
from builds.drivers.builder.embedded import Execution
from tests.builds.embedded.ground import Recorder
spec = pickle.loads(pathlib.Path({spec!r}).read_bytes())
print(Execution(spec, Recorder(), own_process=True).run().state, flush=True)
"""


def start_agent(ground: Ground, tmp_path: Path, text: str) -> tuple[subprocess.Popen[str], Path, str]:
    spec = ground.spec(text)
    file = tmp_path / "spec.pickle"
    file.write_bytes(pickle.dumps(spec))
    code = AGENT.format(root=str(Path.cwd()), spec=str(file))
    return (
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True),
        spec.workspace_root / spec.key,
        spec.key,
    )


ESCAPE = (
    "sh '''(env -i setsid sh -c 'echo $$ > stray; exec sleep 300' &) ; while ! test -s stray; do sleep 0.02; done'''"
)


def test_in_a_process_of_its_own_nothing_escapes_not_even_without_environment(ground: Ground, tmp_path: Path) -> None:
    agent, root, _ = start_agent(ground, tmp_path, pipeline("stage('A') { steps { " + ESCAPE + " } }"))
    assert agent.communicate(timeout=120)[0].strip() == "succeeded"
    stray = int((root / "ws" / "stray").read_text())
    assert not alive(stray)


def test_after_a_killed_agent_kill_build_leaves_nothing(ground: Ground, tmp_path: Path) -> None:
    from builds.drivers.builder.embedded import kill_build

    agent, root, key = start_agent(
        ground,
        tmp_path,
        pipeline("stage('A') { steps { sh 'nohup sleep 300 & setsid sleep 300 & echo go > go; sleep 300' } }"),
    )
    until(lambda: (root / "ws" / "go").exists())

    def sleeping() -> int:
        names = []
        for pid in build_pids(key):
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{pid}/comm").read_text())
        return names.count("sleep\n")

    # Both must be `sleep` by now: a shell still tracing its command would die of the broken pipe.
    until(lambda: sleeping() >= 3)
    agent.send_signal(signal.SIGKILL)
    agent.communicate(timeout=120)
    until(lambda: len(build_pids(key)) >= 2)
    kill_build(key, grace=0.2)
    assert build_pids(key) == set()
