"""What the numbers were measured on. Numbers without it mean nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.portal import ROOT


def describe() -> dict[str, Any]:
    """Plain facts: date, commit, cores, processor, memory, load, kernel, Python."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "memory_mib": memory_mib(),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def commit() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def sentence(facts: dict[str, Any]) -> str:
    """One line for the head of a table."""
    return (
        f"{facts['at']} · {facts['commit']} · {facts['cores']} cores of {facts['processor']}, "
        f"{facts['memory_mib'] / 1024:.0f} GiB, load {facts['load_before']} before · "
        f"Linux {facts['kernel']}, Python {facts['python']}"
    )
