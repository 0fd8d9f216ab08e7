"""Say what a test needs from the machine. Missing: skipped with a printed reason, or a failure with FDD_REQUIRE=all."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def _missing(what: str) -> NoReturn:
    reason = f"needs {what}, which this machine does not have"
    if os.environ.get("FDD_REQUIRE") == "all":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need(*programs: str) -> list[str]:
    """Paths of the named programs (an alternative as "a|b"); skip or fail when one is missing."""
    found = []
    for wanted in programs:
        path = next((p for name in wanted.split("|") if (p := shutil.which(name))), None)
        if path is None:
            _missing(wanted)
        found.append(path)
    return found


def need_env(name: str) -> str:
    """The value of an environment variable that names a server under test."""
    value = os.environ.get(name)
    if not value:
        _missing(f"${name}")
    return value
