"""People, channels and servers to tell them through; messages are driven by the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.engines import drive, engines
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.models import Channel, Circuit, Delivery
from tests import world
from tests.simulators.mailserver import MailServer, mail_server
from tests.simulators.receiver import Receiver

from .notifier_contract import allow

HOOK_SECRET = "hook-secret-2b9d7c61"


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told answers in time, however slow this machine is; silence has tests of its own."""
    allow(monkeypatch, connect_s=60.0, call_s=180.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A web server that takes whatever it is told."""
    made = Receiver()
    with made.serving():
        yield made


@pytest.fixture
def mail(tmp_path: Path, settings: Any) -> Iterator[MailServer]:
    """A mail server, and settings that lead to it."""
    with mail_server(tmp_path) as server:
        settings.MAIL = server.mail
        yield server


@pytest.fixture
def hook(receiver: Receiver) -> Callable[..., Channel]:
    """Makes webhooks that lead to the receiver: of a person, a project, or ops."""

    def make(path: str = "hook", **whose: Any) -> Channel:
        facts = {"kind": "webhook", "name": path, "address": f"{receiver.url}/{path}", "secret": HOOK_SECRET}
        return channels.add(actor=SYSTEM, **{**facts, **whose})[0]

    return make


def ann(**facts: Any) -> Any:
    return world.person("ann", **{"email": "ann@example.org", **facts})


def work() -> None:
    """What the worker does with everything that is due now."""
    engine = engines()["notification"]
    while (pk := engine.mine(runs.due(Delivery)).order_by("next_at").values_list("pk", flat=True).first()) is not None:
        drive(engine, pk)


def wait_over(*routes: str) -> None:
    """Time passes: routes (default: all) may be tried again, and messages are due again."""
    closed = Circuit.objects.filter(route__in=routes) if routes else Circuit.objects.all()
    closed.update(until=runs.in_seconds(-1))
    Delivery.objects.filter(state="queued").update(next_at=runs.in_seconds(-1))


def states(**of: Any) -> list[str]:
    return list(Delivery.objects.filter(**of).order_by("pk").values_list("state", flat=True))
