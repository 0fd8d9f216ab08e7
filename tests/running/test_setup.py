"""`make` on a machine that lacks something says one sentence with the way out, and a second set-up does nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.portal import ROOT

SCRIPTS = ("setup.py", "lock.py")


def bare_checkout(root: Path) -> Path:
    """A checkout with only what set-up needs, and nothing to download."""
    (root / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.py", root / "scripts")
    for name in ("assets.py", "messages.py"):
        (root / "scripts" / name).write_text("")
    shutil.copy(ROOT / "Makefile", root)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (root / name).write_text("# nothing\n")
    return root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return bare_checkout(tmp_path / "checkout")


def set_up(root: Path, *, path: str | None = None, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": path if path is not None else os.environ["PATH"]}
    return subprocess.run(
        [python, "scripts/setup.py", "run"], cwd=root, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_set_up_does_what_is_needed_and_nothing_twice(checkout: Path) -> None:
    """One story, because making an environment takes many seconds."""
    first = set_up(checkout)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Making a virtual environment" in first.stdout
    assert "Installing packages from requirements.txt" in first.stdout

    before = (checkout / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    second = set_up(checkout)
    assert (second.returncode, second.stdout) == (0, "")
    assert (checkout / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == before

    (checkout / "requirements.txt").write_text("./there-is-no-such-package\n")
    impossible = set_up(checkout)
    assert impossible.returncode != 0
    assert "The packages could not be installed" in impossible.stderr
    assert "Traceback" not in impossible.stderr

    (checkout / "requirements.txt").write_text("# changed\n")
    assert "Installing packages from requirements.txt" in set_up(checkout).stdout

    moved = checkout.with_name("elsewhere")
    checkout.rename(moved)
    again = set_up(moved)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Making a virtual environment" in again.stdout


def test_a_missing_git_is_named(checkout: Path, tmp_path: Path) -> None:
    done = set_up(checkout, path=str(tmp_path))
    assert done.returncode != 0
    assert "git is needed" in done.stderr


def test_a_python_without_venv_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    """As Debian's python3 without python3-venv: its standard library lacks ensurepip."""
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    (bare / "sitecustomize").mkdir()
    hide = "import sys\nsys.modules['ensurepip'] = None\n"
    site = next((bare / "lib").glob("python3.*/site-packages"))
    (site / "sitecustomize.py").write_text(hide)
    done = set_up(checkout, python=str(bare / "bin" / "python"))
    assert done.returncode != 0
    assert "sudo apt install python3." in done.stderr
    assert "Traceback" not in done.stderr


def test_make_without_a_python_says_so(checkout: Path) -> None:
    done = subprocess.run(
        ["make", "run", "PYTHON="], cwd=checkout, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stdout


def test_make_alone_lists_what_there_is(checkout: Path) -> None:
    done = subprocess.run(["make"], cwd=checkout, capture_output=True, text=True, timeout=300, check=True)
    for word in ("make run", "make test", "make bench", "make lint", "make live", "make clean"):
        assert word in done.stdout


def test_clean_leaves_the_data_alone(checkout: Path) -> None:
    for folder in ("var", ".venv", "node_modules", "static/vendor", "locale"):
        (checkout / folder).mkdir(parents=True, exist_ok=True)
    (checkout / "var" / "db.sqlite3").write_text("data")
    subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, timeout=300, check=True)
    assert (checkout / "var" / "db.sqlite3").read_text() == "data"
    assert not (checkout / ".venv").exists()
    assert not (checkout / "node_modules").exists()


@pytest.mark.parametrize("name", SCRIPTS)
def test_set_up_scripts_need_nothing_but_python(name: str) -> None:
    code = f"import runpy; runpy.run_path({str(ROOT / 'scripts' / name)!r}, run_name='imported')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=300)
