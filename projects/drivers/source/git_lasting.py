"""A fetch takes as long as it takes, and nobody who asks for one has that long: an engine's step is over after seconds,
its worker is killed after half a minute, a browser gives up after a minute.

So a fetch is a process that holds the lock of its mirror by itself. Who has waited for long enough leaves it running;
who comes later finds what it brought, or that it still runs. The lock's file says which process that is, so that one
which hangs is ended by whoever finds it. It must not know what is fetched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fangduoduo_release.common import processes
from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

from .base import STILL_FETCHING
from .git_command import STDERR_MAX, Answer, cannot_start, end

# A constant: what it is about arrives as arguments. What the process signs in with goes when it ends, whoever is there.
_SCRIPT = 'folder=$1; ulimit -f "$2" && shift 2 && "$@"; code=$?; rm -rf -- "$folder"; exit $code'
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long one waits here, and how long a process that is left running may take in all."""

    wait: float
    whole: float


@contextlib.contextmanager
def only_one(lock: Path, patience: Patience) -> Iterator[int]:
    """Hold the mirror's lock (git's own fetch locks only single refs); yields its descriptor. Unavailable."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + patience.wait
        while not _taken(descriptor):
            # Where one waited in vain, the next need not: a flood of pushes would keep all workers waiting.
            if time.monotonic() > until or _age_of_holder(descriptor, patience.whole) > patience.wait:
                raise _still_fetching()
            time.sleep(_LOOK_S)
        yield descriptor
    finally:
        os.close(descriptor)


def run(
    argv: Sequence[str],
    *,
    sign_in: Callable[[Path], Mapping[str, str]],
    lock: int,
    wait: float,
    max_file: int,
) -> Answer:
    """How the command ended; its standard output is not read. Unavailable after `wait` seconds: it goes on without us, and
    keeps the lock.

    `sign_in` puts what it needs into a private folder and answers the environment. `max_file` (bytes) stops any file
    from growing further.
    """
    folder, left = Path(tempfile.mkdtemp(prefix="fdd-git-")), False
    try:
        with tempfile.TemporaryFile() as said:
            process = _start([str(folder), str(max(1, max_file // 512)), *argv], sign_in(folder), lock, said.fileno())
            try:
                _write_down(lock, process.pid)
                code = process.wait(wait)
            except subprocess.TimeoutExpired:
                left = True
                raise _still_fetching() from None
            finally:
                if not left:
                    end(process)
            said.seek(0)
            return Answer(code, b"", said.read(STDERR_MAX).decode(errors="replace"))
    finally:
        if not left:
            shutil.rmtree(folder, ignore_errors=True)


def _start(arguments: list[str], env: Mapping[str, str], lock: int, said: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=dict(env),
            start_new_session=True,
            pass_fds=(lock,),
        )
    except OSError as error:
        raise cannot_start(error) from error


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_down(lock: int, pid: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"pid": pid, "ticks": processes.start_ticks(pid)}).encode(), 0)


def _age_of_holder(lock: int, whole: float) -> float:
    """For how many seconds the process that is written down has been running; one that has for too long is killed."""
    try:
        facts = json.loads(os.pread(lock, 200, 0) or b"{}")
    except ValueError:  # just being written
        return 0.0
    if not processes.alive(facts):
        return 0.0  # somebody who prepares, or looks after a fetch that ended
    age = time.time() - os.fstat(lock).st_mtime
    if age > whole:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(facts["pid"], signal.SIGKILL)
        return 0.0
    return age


def _still_fetching() -> Unavailable:
    sentence = S("The repository is still being fetched. That goes on by itself; try again in a minute.")
    return Unavailable(sentence, code=STILL_FETCHING)
