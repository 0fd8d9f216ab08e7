"""Runs several lanes of a build at once, each in its own thread and scope: parallel stages, matrix cells, `parallel`.

Knows when to stop the others (failFast) and which error counts, not what a lane does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from fangduoduo_release.common.sentence import S

from .context import Branch
from .control import Fatal, Interrupt, Interrupted, Result, Scope

_MAX_THREADS = 64
# What a lane runs in its branch; its error, or None. Raises only Fatal.
Lane = Callable[[Branch], Exception | None]


def side_by_side(branch: Branch, lanes: Sequence[tuple[str, Lane]], *, fail_fast: bool) -> Exception | None:
    """All lanes, by the name their lines are marked with; the error that was first and no mere consequence.

    Raises Fatal when a lane did, after all have ended."""
    forks = [branch.fork(name, Scope(branch.context.scope)) for name, _ in lanes]
    errors: list[Exception] = []
    lock = threading.Lock()

    def run(index: int) -> None:
        name, lane = lanes[index]
        try:
            error = lane(forks[index])
        except Fatal as fatal:
            error = fatal
        if error is None:
            return
        with lock:
            errors.append(error)
        if fail_fast and not stopped_by_sibling(error):
            interrupt = Interrupt(S("Stopped because “%(name)s” failed.", name=name), Result.ABORTED, fail_fast=True)
            for other, fork in enumerate(forks):
                if other != index:
                    fork.context.scope.interrupt(interrupt)

    with ThreadPoolExecutor(max_workers=min(_MAX_THREADS, max(1, len(lanes)))) as pool:
        for done in [pool.submit(run, index) for index in range(len(lanes))]:
            done.result()
    for fork in forks:
        branch.join(fork)
    fatal = next((e for e in errors if isinstance(e, Fatal)), None)
    if fatal is not None:
        raise fatal
    return next((e for e in errors if not stopped_by_sibling(e)), errors[0] if errors else None)


def stopped_by_sibling(error: Exception) -> bool:
    """True for the end of a lane that failFast stopped: it does not make the build worse."""
    return isinstance(error, Interrupted) and error.interrupt.fail_fast
