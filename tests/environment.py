"""Loaded before the settings (`-p tests.environment`): every test run has its own local data folder, and so has every
worker of a run that is spread over several (`-n 2`)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("FDD_ENV", "local")
os.environ.setdefault("FDD_VAR", tempfile.mkdtemp(prefix="fdd-test-"))
os.environ.setdefault("LOG_LEVEL", "WARNING")
if "PYTEST_XDIST_WORKER" in os.environ and Path(os.environ["FDD_VAR"]).name.startswith("fdd-test-"):
    os.environ["FDD_VAR"] = str(Path(os.environ["FDD_VAR"]) / os.environ["PYTEST_XDIST_WORKER"])
