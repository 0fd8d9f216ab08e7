#!/usr/bin/env python
"""`make lint`: style, types, borders between rooms, templates, migrations, deployment checks, known vulnerabilities.

Every tool runs, also after another one complained; two at a time, each with a time limit. What passes says one line,
what fails shows its output. Standard library only; the tools come from requirements-dev.txt.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
APPS = ["fangduoduo_release", "permissions", "clusters", "projects", "builds", "deployments"]
TOOL_TIMEOUT_S = 600
AUDIT_TIMEOUT_S = 90
LOCAL_ONLY = ("DATABASE_URL", "REDIS_URL", "DEBUG", "FDD_PROCESS")


@dataclass(frozen=True, slots=True)
class Check:
    """One tool. `may_be_away`: its server may be out of reach, which is said and is no failure."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    timeout_s: int = TOOL_TIMEOUT_S
    may_be_away: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    word: str  # ok | FAILED | skipped
    seconds: float
    output: str


def safe_production() -> dict[str, str]:
    """An environment that a production could have; nothing in it is used by anybody."""
    return {
        "FDD_ENV": "production",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_KEYS": secrets.token_urlsafe(48),
        "AUDIT_KEYS": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "release.example.com",
        "PUBLIC_URL": "https://release.example.com",
        "DATABASE_URL": "postgres://portal@db.example.com/portal",
        "REDIS_URL": "redis://redis.example.com/0",
    }


def checks() -> list[Check]:
    python, manage = sys.executable, str(ROOT / "manage.py")
    audit = [
        str(BIN / "pip-audit"),
        "-r",
        "requirements.txt",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
    ]
    return [
        Check(
            "types (mypy)", [str(BIN / "mypy"), *APPS, "scripts", "benchmarks", "tests/portal.py", "tests/conftest.py"]
        ),
        Check("style (ruff check)", [str(BIN / "ruff"), "check", "."]),
        Check("format (ruff format)", [str(BIN / "ruff"), "format", "--check", "."]),
        Check("borders (import-linter)", [str(BIN / "lint-imports"), "--no-cache"]),
        Check("house rules (tests/architecture)", [python, "-m", "pytest", "-q", "tests/architecture"]),
        Check("templates (djlint)", [str(BIN / "djlint"), "--lint", "--quiet", "templates"]),
        Check("migrations", [python, manage, "makemigrations", "--check", "--dry-run"]),
        Check(
            "production (check --deploy)",
            [python, manage, "check", "--deploy", "--fail-level", "WARNING"],
            safe_production(),
        ),
        Check("vulnerabilities (pip-audit)", [*audit, "--timeout", "10"], timeout_s=AUDIT_TIMEOUT_S, may_be_away=True),
    ]


def run(check: Check, var: str) -> Outcome:
    began = time.monotonic()
    inherited = {name: value for name, value in os.environ.items() if name not in LOCAL_ONLY}
    env = {**inherited, "FDD_ENV": "local", "FDD_VAR": var, "NO_COLOR": "1", **check.env}
    try:
        done = subprocess.run(
            check.command,
            cwd=ROOT,
            env=env,
            timeout=check.timeout_s,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        output, passed = done.stdout.strip(), done.returncode == 0
    except subprocess.TimeoutExpired:
        output, passed = f"no answer within {check.timeout_s} s", False
    word = "ok" if passed else "FAILED"
    if not passed and check.may_be_away and "known vulnerabilit" not in output:
        word, output = "skipped", f"it could not answer: {output.splitlines()[-1] if output else 'no reason given'}"
    return Outcome(check, word, time.monotonic() - began, output)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def lines_of(folders: list[str]) -> int:
    """Lines of Python in tracked files below the folders, without migrations."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *folders], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    ).stdout.split("\0")
    wanted = [ROOT / name for name in listed if name.endswith(".py") and "/migrations/" not in name]
    return sum(path.read_bytes().count(b"\n") for path in wanted if path.is_file())


def main() -> int:
    var = tempfile.mkdtemp(prefix="fdd-lint-")
    failed = 0
    try:
        with ThreadPoolExecutor(max_workers=2) as pool:
            for outcome in pool.map(lambda check: run(check, var), checks()):
                say(f"{outcome.word:<8} {outcome.check.name} ({outcome.seconds:.1f} s)")
                if outcome.word != "ok":
                    say(outcome.output + "\n")
                failed += outcome.word == "FAILED"
    finally:
        shutil.rmtree(var, ignore_errors=True)
    source, tests = lines_of(APPS), lines_of(["tests"])
    if source:
        say(f"{tests} lines of tests for {source} lines of source: {tests / source:.2f} to 1")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
