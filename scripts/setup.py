#!/usr/bin/env python3
"""Make this checkout ready: virtual environment, packages, browser files, translations. Called by make.

Why a script and not make rules: what went wrong is said in one sentence, with what to do. Standard library only, and
it must not know Django: nothing is installed yet when it runs. Stamps make the second run a matter of milliseconds.

    setup.py run    what the portal needs
    setup.py dev    that, and what tests, lint and benchmarks need
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
VENV_TIMEOUT_S = 300
PIP_TIMEOUT_S = 3600
STEP_TIMEOUT_S = 1800


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stop(sentence: str) -> SystemExit:
    """What a person reads when it cannot go on."""
    return SystemExit(f"\n{sentence}")


def fingerprint(*paths: Path, extra: str = "") -> str:
    """Changes with the content of any of the files and with `extra`."""
    digest = hashlib.sha256(extra.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_machine() -> None:
    """SystemExit with what to install, when something basic is missing."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise stop(
            f"Python 3.11 or newer is needed; this is {found}. Point make at another: make run PYTHON=python3.12"
        )
    if shutil.which("git") is None:
        raise stop("git is needed and was not found. On Debian or Ubuntu: sudo apt install git")
    if PYTHON.exists():
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise stop(f"This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install {package}")


def works(interpreter: Path) -> bool:
    """Whether the environment's Python starts, finds its pip and has not been moved here from another folder."""
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([str(interpreter), "-c", code], timeout=60, capture_output=True, check=False)
    except OSError:
        return False
    activate = VENV / "bin" / "activate"
    return done.returncode == 0 and activate.is_file() and str(VENV) in activate.read_text()


def make_environment() -> None:
    if (VENV / ".works").is_file() and PYTHON.exists() and (VENV / ".works").read_text() == str(VENV):
        return
    if not works(PYTHON):
        say(f"Making a virtual environment in {VENV.name} with Python {sys.version.split()[0]}")
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        if subprocess.run(command, timeout=VENV_TIMEOUT_S, check=False).returncode:
            raise stop(f"The virtual environment in {VENV} could not be made; the reason stands above.")
    (VENV / ".works").write_text(str(VENV))


def install(kind: str) -> None:
    """Packages by the lock file of `kind` ("run" or "dev")."""
    lists = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if kind == "dev" else [])
    wanted = fingerprint(*lists, extra=os.path.realpath(PYTHON))
    stamp = VENV / f".installed-{kind}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(f"Installing packages from {lists[-1].name} (the first time takes a minute or two)")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "install", "-qq", "-r", str(lists[-1])]
    if subprocess.run(command, timeout=PIP_TIMEOUT_S, check=False, cwd=ROOT).returncode:
        raise stop("The packages could not be installed; pip's reason stands above. Is the package index reachable?")
    stamp.write_text(wanted)


def step(script: str, *arguments: str, failed: str, rest: Path | None = None) -> None:
    """Run one of our own scripts in the environment; they keep their own stamps.

    `rest`: what a run that was interrupted may have left half-done; it is removed before a second and last attempt.
    """
    command = [str(PYTHON), str(ROOT / "scripts" / script), *arguments]
    if not subprocess.run(command, timeout=STEP_TIMEOUT_S, check=False, cwd=ROOT).returncode:
        return
    if rest is not None and rest.exists():
        say(f"That failed; trying once more without what is in {rest.name}")
        shutil.rmtree(rest, ignore_errors=True)
        if not subprocess.run(command, timeout=STEP_TIMEOUT_S, check=False, cwd=ROOT).returncode:
            return
    raise stop(failed)


def main(arguments: list[str]) -> int:
    kind = arguments[0] if arguments else "run"
    if kind not in {"run", "dev"}:
        raise stop("Say what to set up: run or dev.")
    check_machine()
    make_environment()
    install(kind)
    step(
        "assets.py",
        rest=ROOT / "node_modules",
        failed="The browser files could not be fetched; the reason stands above. Is npm's registry reachable?",
    )
    step("messages.py", "compile", failed="The translations could not be compiled; the reason stands above.")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise stop("Stopped before it was ready; the same command goes on from here.") from None
    except subprocess.TimeoutExpired as error:
        raise stop(f"Set-up gave up waiting for: {' '.join(map(str, error.cmd))}") from None
