"""Packs what fetches have piled up in a mirror, since git itself is never let do it: in small steps, and losing nothing.

Whoever reads meanwhile is not disturbed: git looks for an object again when its pack has gone. Also what no branch leads
to any more is kept, as an old build may still ask for it. It must not know where the objects came from.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

from fangduoduo_release.common.errors import Unavailable

from .git_command import Git

logger = logging.getLogger(__name__)
MOST_PACKS, MOST_LOOSE = 50, 5_000
MOST_S, AGAIN_S = 60.0, 86_400.0
"""Seconds it may take, and until it is tried again where it failed: somebody may wait for the fetch it follows."""
_FAILED = "fdd-not-packed"


def pack(git: Git, mirror: Path) -> None:
    """Pack the mirror if it is worth it; its lock is held. A failure is told in the log and changes nothing."""
    failed = mirror / _FAILED
    if not piled_up(mirror) or (failed.exists() and time.time() - failed.stat().st_mtime < AGAIN_S):
        return
    failed.touch()  # until it went well: who is killed for taking too long does not begin with it again
    try:
        # Merges small packs and leaves large ones alone, so the cost goes with what is new; reachable or not, all is kept.
        answer = git.ask("repack", "--geometric=2", "-d", "--quiet", repository=mirror, timeout=MOST_S)
        trouble = answer.err.strip()[-500:] or f"exit {answer.code}" if answer.code else ""
    except Unavailable as error:
        trouble = str(error)
    with suppress(OSError):  # of a full disk, say: the next fetch tells
        for half in (mirror / "objects" / "pack").glob(".tmp-*"):  # of a packing that was stopped
            half.unlink()
        if trouble:
            logger.warning("the mirror %s could not be packed: %s", mirror.name, trouble)
        else:
            failed.unlink(missing_ok=True)


def piled_up(mirror: Path) -> bool:
    """Judged by one of the 256 folders of loose objects, as git does it; packs that a killed fetch still keeps stay."""
    loose = sum(1 for _ in (mirror / "objects" / "17").glob("*")) * 256
    packs = (mirror / "objects" / "pack").glob("*.pack")
    return loose > MOST_LOOSE or sum(not path.with_suffix(".keep").exists() for path in packs) > MOST_PACKS
