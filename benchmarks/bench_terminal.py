"""Terminals: opening, a key's echo, and ten megabytes, each beside a WebSocket straight to the cluster's exec; and two hundred
of them open in one web process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.portal import ROOT, Portal, migrated_database

from .measure import Number


def measure(scratch: Path) -> Iterator[Number]:
    folder = scratch / "terminals"
    folder.mkdir(mode=0o700)
    env = {**Portal(folder / "unused").env, "FDD_VAR": str(folder), "LOG_LEVEL": "ERROR"}
    (folder / "db.sqlite3").write_bytes(migrated_database(env).read_bytes())
    command = [sys.executable, "-m", "benchmarks.terminals"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])  # before it, what the web process said
    direct, ours = found["direct"], found["ours"]
    name = "a WebSocket straight to the exec"
    yield Number(
        "a terminal opens (to the shell's first output)", ours["open_ms"], "ms", direct["open_ms"], name, 1.5,
        note=f"medians of {found['rounds']}, in turns; the audit line included",
    )  # fmt: skip
    more = ours["echo_ms"] - direct["echo_ms"]
    note = f"{ours['echo_ms']:.1f} ms against {direct['echo_ms']:.1f} ms, of {found['keys']} keys each"
    yield Number("a key's echo takes longer than straight (p95)", more, "ms", limit=5.0, note=note)
    yield Number("10 MB of `cat`", ours["cat_mb_s"], "MB/s", direct["cat_mb_s"], name, 0.6, at_least=True)
    yield Number(
        f"{found['open']} terminals open in one web process", found["rss_mb"], "MB", limit=300.0,
        note=f"resident; {found['rss_before_mb']:.0f} MB before",
    )  # fmt: skip
