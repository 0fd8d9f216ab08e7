#!/usr/bin/env python3
"""Write requirements.txt and requirements-dev.txt from the two lists that people edit.

Why: every machine installs exactly the same versions. Two clean virtual environments are made, and what pip chose for
them is written down: no index addresses, no hashes (not every platform's files are known here). Standard library only.
Run it with the oldest supported Python, so that nothing newer than that is chosen: `python3.11 scripts/lock.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_TIMEOUT_S = 1800


def environment(folder: Path, *arguments: str) -> list[str]:
    """`pip freeze` of a new environment with `pip install <arguments>`; SystemExit when pip finds a conflict."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *arguments], check=True, cwd=ROOT, timeout=PIP_TIMEOUT_S)
    subprocess.run([*pip, "check"], check=True, timeout=300)
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True, timeout=300).stdout
    lines = [line for line in frozen.splitlines() if line and not line.startswith("#")]
    odd = [line for line in lines if "==" not in line or "@" in line]
    if odd:
        raise SystemExit(f"These cannot be locked to a version: {', '.join(odd)}")
    return lines


def marked(listing: Path) -> dict[str, str]:
    """Packages that the list asks for on some Pythons only, with their condition; they are locked here in any case."""
    found = {}
    for line in listing.read_text().splitlines():
        requirement, _, condition = line.partition(";")
        if condition and not line.startswith("#"):
            found[requirement.strip()] = condition.strip()
    return found


def main() -> int:
    conditions = marked(ROOT / "requirements.in")
    with tempfile.TemporaryDirectory(prefix="fdd-lock-") as scratch:
        runtime = environment(Path(scratch) / "run", "-r", "requirements.in", *conditions)
        locked = [
            f"{line} ; {conditions[name]}" if (name := line.split("==")[0]) in conditions else line for line in runtime
        ]
        head = "# Written by scripts/lock.py from requirements.in; do not edit.\n"
        (ROOT / "requirements.txt").write_text(head + "\n".join(locked) + "\n")
        everything = environment(Path(scratch) / "dev", "-r", "requirements.txt", "-r", "requirements-dev.in")
    head = "# Written by scripts/lock.py from requirements-dev.in; do not edit.\n-r requirements.txt\n"
    extra = sorted(set(everything) - set(runtime), key=str.lower)
    (ROOT / "requirements-dev.txt").write_text(head + "\n".join(extra) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
