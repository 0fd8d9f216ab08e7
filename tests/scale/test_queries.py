"""Every page asks the database a fixed number of questions, and never more than stands in the ratchet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from benchmarks.scale.addresses import visits
from benchmarks.scale.fill import fill
from benchmarks.scale.filled import Filled, Shape
from permissions import sessions
from permissions.models import User

from .ratchet import RATCHET

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600), pytest.mark.slow]
FEW = Shape(projects=5, builds=6, deep_builds=40, deployments=2, deep_deployments=5, dev_in=5)
MANY = Shape(projects=50, builds=6, deep_builds=80, deployments=2, deep_deployments=30, dev_in=50)


@pytest.fixture(autouse=True)
def sessions_are_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not again in the middle of a page, when the test takes longer than the minute after which that is due."""
    monkeypatch.setattr(sessions, "FRESH_S", 86_400)


def asked(at: Filled, statements: list[str]) -> dict[str, int]:
    """How many statements each page of each person takes, by "name (who)"."""
    clients = {}
    for name in ("dev", "ops"):
        clients[name] = Client()
        clients[name].force_login(User.objects.get(username=name))
    counts = {}
    for who, name, path in visits(at):
        clients[who].get("/healthz")  # at its first request a session is noted; that is not the page's
        statements.clear()
        response = clients[who].get(path)
        if response.streaming:
            b"".join(response)  # type: ignore[arg-type]
        assert response.status_code == 200, f"{path} answers {response.status_code}"
        counts[f"{name} ({who})"] = len(statements)
    return counts


@pytest.mark.parametrize("shape", [FEW, MANY], ids=["5 projects", "50 projects"])
def test_no_page_asks_more_than_the_ratchet(shape: Shape, statements: list[str], settings: Any, tmp_path: Path) -> None:
    settings.REPOSITORIES_ROOT, settings.MEDIA_ROOT = tmp_path / "repositories", tmp_path / "files"
    counts = asked(fill(shape, log_lines=50), statements)
    grown = {page: (count, RATCHET.get(page)) for page, count in counts.items() if count > RATCHET.get(page, -1)}
    assert not grown, f"(statements now, allowed): {grown}"


def test_the_ratchet_allows_no_page_more_than_twelve() -> None:
    assert max(RATCHET.values()) <= 12
