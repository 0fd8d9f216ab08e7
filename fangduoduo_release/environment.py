"""How settings are read from the environment, for the files that hold settings. Knows no setting's meaning.

`FDD_ENV=local` may make secrets of its own under VAR; a production names them all.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ.get("FDD_ENV", "production")
LOCAL = ENVIRONMENT == "local"
VAR = Path(os.environ.get("FDD_VAR", BASE_DIR / "var")).resolve()


def env_bool(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def env_int(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def env_pairs(name: str) -> dict[str, str]:
    """`a=x,b=y` as a dict; what has no "=" is left out."""
    pairs = (part.rpartition("=") for part in env_list(name) if "=" in part)
    return {left.strip(): right.strip() for left, _, right in pairs}


def local_secret(name: str, make: Callable[[], str]) -> str:
    """A secret kept in VAR/secrets, made once; only for FDD_ENV=local. It appears whole or not at all, and two starts
    at once agree on one."""
    folder = VAR / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        new = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # the other start was first: its secret is the one
        finally:
            new.unlink()
    return path.read_text().strip()
