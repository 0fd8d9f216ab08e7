"""What every kind of channel must do; each kind runs it against its own real server or simulator."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fangduoduo_release.common.errors import AppError, DriverError, Invalid, Rejected, Unavailable
from fangduoduo_release.notifications.drivers import email, posting
from fangduoduo_release.notifications.drivers.base import Later, Message, Notifier

AT_LAST_S = 120.0  # by then a call is over; who is silent, or drips, would go on for longer

MESSAGE = Message(
    id="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    event="build.failed",
    at=datetime(2026, 11, 1, 3, 0, tzinfo=UTC),
    title="[shop] A build failed",
    text="Build #7 of shop failed: 修复登录 <b>now</b> [click](http://evil.example) (main).",
    link="https://release.example.org/builds/7/",
    open_label="Open",
    project="shop",
    why="You chose to be told this; change it here:",
    why_link="https://release.example.org/me/notifications/",
    data={"number": 7, "project": "shop"},
)


class NotifierContract(ABC):
    """Subclasses give `notifier`, a fixture with one that is well set up, and the hooks below."""

    SECRETS: tuple[str, ...]

    @pytest.fixture
    @abstractmethod
    def notifier(self) -> Iterator[Notifier]: ...

    @abstractmethod
    def heard(self) -> list[str]:
        """The text of every message that arrived."""

    @abstractmethod
    def make_busy(self) -> None:
        """The other side asks to be left alone for a while."""

    @abstractmethod
    def make_refuse(self) -> None:
        """The other side says no for good."""

    @abstractmethod
    def make_silent(self) -> None:
        """The other side takes the connection and says nothing."""

    @abstractmethod
    def away(self) -> Notifier:
        """The same kind, led to where nobody listens."""

    @abstractmethod
    def stranger(self) -> Notifier:
        """The same kind with a wrong secret."""

    def test_it_says_the_message_with_its_link_in_whatever_language(self, notifier: Notifier) -> None:
        notifier.send(MESSAGE)
        (text,) = self.heard()
        assert "修复登录" in text
        assert MESSAGE.link in text

    def test_it_says_a_message_without_a_link(self, notifier: Notifier) -> None:
        notifier.send(replace(MESSAGE, link="", why="", why_link=""))
        assert len(self.heard()) == 1

    def test_it_says_a_very_long_message(self, notifier: Notifier) -> None:
        notifier.send(replace(MESSAGE, text="很长" * 20_000))
        assert "很长" in self.heard()[0]

    def test_nobody_there_is_unavailable(self, notifier: Notifier) -> None:
        with pytest.raises(Unavailable) as raised:
            self.away().send(MESSAGE)
        self.keeps_its_secrets(raised.value)

    def test_too_busy_is_unavailable_and_says_so(self, notifier: Notifier) -> None:
        self.make_busy()
        with pytest.raises(Later) as raised:
            notifier.send(MESSAGE)
        assert raised.value.evidence
        self.keeps_its_secrets(raised.value)
        assert self.heard() == []

    def test_a_refusal_is_final_and_brings_the_reason(self, notifier: Notifier) -> None:
        self.make_refuse()
        with pytest.raises(Rejected) as raised:
            notifier.send(MESSAGE)
        assert raised.value.evidence
        self.keeps_its_secrets(raised.value)

    def test_a_wrong_secret_gets_nothing_through(self, notifier: Notifier) -> None:
        with pytest.raises(DriverError) as raised:
            self.stranger().send(MESSAGE)
        self.keeps_its_secrets(raised.value)
        assert self.heard() == []

    def test_silence_ends_in_time(self, notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
        allow(monkeypatch, connect_s=0.5, call_s=1.0)
        self.make_silent()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            notifier.send(MESSAGE)
        assert time.monotonic() - began < AT_LAST_S

    def test_neither_its_config_nor_the_log_shows_a_secret(
        self, notifier: Notifier, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        notifier.send(MESSAGE)
        config: Any = notifier._config  # type: ignore[attr-defined]
        shown = f"{config!r} {config} {vars(notifier)!r} {caplog.text}"
        assert not [secret for secret in self.SECRETS if secret in shown]

    def keeps_its_secrets(self, error: AppError) -> None:
        shown = f"{error} {error.sentence} {error!r} {getattr(error, 'evidence', '')}"
        assert not [secret for secret in self.SECRETS if secret in shown], shown


def allow(monkeypatch: pytest.MonkeyPatch, *, connect_s: float, call_s: float) -> None:
    """So long the other side may say nothing, and so long a call may take."""
    for driver in (email, posting):
        monkeypatch.setattr(driver, "CONNECT_S", connect_s)
        monkeypatch.setattr(driver, "CALL_S", call_s)


def refused(make: Any, **config: Any) -> Invalid:
    """The complaint of a config that is not good."""
    with pytest.raises(Invalid) as raised:
        make(**config)
    return raised.value
