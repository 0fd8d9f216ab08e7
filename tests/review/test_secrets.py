"""A secret of FDD_ENV=local appears whole or not at all, also when several processes start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PRINT = "from fangduoduo_release import settings; print(settings.SECRET_KEY)"


def start(var: Path) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"SECRET_KEY", "DATABASE_URL"}}
    env.update(FDD_ENV="local", FDD_VAR=str(var))
    return subprocess.Popen([sys.executable, "-c", PRINT], env=env, stdout=subprocess.PIPE, text=True)


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    started = [start(tmp_path / "var") for _ in range(4)]
    said = {process.communicate(timeout=240)[0].strip() for process in started}
    assert len(said) == 1
    assert len(said.pop()) > 50
    folder = tmp_path / "var" / "secrets"
    assert not list(folder.glob(".*"))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
