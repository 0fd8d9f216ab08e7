"""A million chained audit rows verified, against plainly reading the same rows; and what chaining costs a writer.

The rows are made by the portal's own signing, in a scratch SQLite database; the verification is the command as ops run
it, start of the process included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.portal import ROOT

from .measure import Number

ROWS = 1_000_000
WRITES = 500
LIMIT_S = 60.0


def measure(scratch: Path) -> Iterator[Number]:
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    env |= {"FDD_ENV": "local", "FDD_VAR": str(scratch / "var"), "FDD_PROCESS": "worker", "LOG_LEVEL": "ERROR"}
    env |= {"DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True, timeout=300)
    found = inside(env, "fill", ROWS)
    if found["rows"] != ROWS:
        raise RuntimeError(f"{found['rows']} rows instead of {ROWS}")
    plain = inside(env, "read")
    verified = inside(env, "command")
    if f"{ROWS} rows verified" not in verified["said"]:
        raise RuntimeError(verified["said"])
    yield Number(f"{ROWS:,} audit rows, verify_audit", verified["s"], "s", limit=LIMIT_S)
    yield Number(
        "… against reading them plainly", verified["s"], "s", baseline=plain["s"], baseline_name="SELECT *, streamed"
    )
    yield Number("… processor time of the command", verified["cpu"], "s")
    yield Number("… memory of the command", verified["mib"], "MiB", limit=200)
    written = inside(env, "write", WRITES)
    yield Number(
        "one audit row, chained", written["chained"], "ms", baseline=written["plain"], baseline_name="plain insert",
        note="each in a transaction of its own, at the end of a million rows; anchor and log included",
    )  # fmt: skip


def inside(env: dict[str, str], what: str, *arguments: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.chained", what, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1_200, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))
