"""An anchor of one's own for every test, pages without collected files, and workshops of real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.common.conftest import own_shop  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def own_ground(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_ANCHOR = tmp_path / "audit" / "head"
