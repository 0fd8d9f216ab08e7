"""Loaded before the settings (`-p tests.environment`): every test run has its own local data folder, and so has every
worker of a run that is spread over several (`-n 4`), which also has a Redis database of its own where there is a Redis."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

os.environ.setdefault("FDD_ENV", "local")
os.environ.setdefault("FDD_VAR", tempfile.mkdtemp(prefix="fdd-test-"))
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ.setdefault("FDD_FETCH_WAIT_S", "240")  # of what tests call themselves: nobody kills them after half a minute
if os.environ.get("REDIS_URL") and (number := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")):
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{int(number) % 16}").geturl()
if "PYTEST_XDIST_WORKER" in os.environ and Path(os.environ["FDD_VAR"]).name.startswith("fdd-test-"):
    os.environ["FDD_VAR"] = str(Path(os.environ["FDD_VAR"]) / os.environ["PYTEST_XDIST_WORKER"])
