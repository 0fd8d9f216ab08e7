"""Loaded before the settings (`-p tests.environment`): every test run has its own local data folder."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("FDD_ENV", "local")
os.environ.setdefault("FDD_VAR", tempfile.mkdtemp(prefix="fdd-test-"))
os.environ.setdefault("LOG_LEVEL", "WARNING")
