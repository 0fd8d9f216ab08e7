"""Tell a living process from a later one with the same number: a pid counts only with its start time."""

from __future__ import annotations

from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """Start time of `pid` in clock ticks since boot; None when it does not live (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def alive(facts: dict[str, int] | None) -> bool:
    """Whether the process remembered as {"pid", "ticks"} still lives."""
    if not facts or not facts.get("pid"):
        return False
    ticks = start_ticks(facts["pid"])
    return ticks is not None and ticks == facts.get("ticks")
