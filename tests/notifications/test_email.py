"""Email against a real SMTP server with STARTTLS and a sign-in."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.notifications.drivers.base import Later, Notifier
from fangduoduo_release.notifications.drivers.email import Email, EmailConfig
from tests.portal import free_port
from tests.simulators.mailserver import PASSWORD, mail_server

from .notifier_contract import AT_LAST_S, MESSAGE, NotifierContract, allow, refused

ANN = "ann@example.org"


class TestEmail(NotifierContract):
    SECRETS = (PASSWORD,)

    @pytest.fixture
    def notifier(self, tmp_path: Path) -> Iterator[Notifier]:
        with mail_server(tmp_path, security="starttls", sign_in=True) as self.server:
            self.config = EmailConfig(to=(ANN,), **self.server.mail)
            yield Email(self.config)

    def heard(self) -> list[str]:
        return [body(letter, "plain") for letter in self.server.letters]

    def make_busy(self) -> None:
        self.server.handler.answer = "451 the disk is full, later"

    def make_refuse(self) -> None:
        self.server.handler.refuses[ANN] = "550 no such mailbox"

    def make_silent(self) -> None:
        self.quiet = socket.create_server(("127.0.0.1", 0))
        object.__setattr__(self.config, "port", self.quiet.getsockname()[1])

    def away(self) -> Notifier:
        return Email(replace(self.config, port=free_port()))

    def stranger(self) -> Notifier:
        return Email(replace(self.config, password="wrong"))

    def test_a_letter_is_text_and_html_with_the_id_of_its_message(self, notifier: Notifier) -> None:
        notifier.send(MESSAGE)
        notifier.send(MESSAGE)
        first, second = self.server.letters
        assert first["Message-ID"] == second["Message-ID"] == f"<{MESSAGE.id}@example.org>"
        assert first["Subject"] == MESSAGE.title
        assert first["To"] == ANN
        assert first["Auto-Submitted"] == "auto-generated"
        assert MESSAGE.why_link in body(first, "plain")
        html = body(first, "html")
        assert f'href="{MESSAGE.link}"' in html
        assert "&lt;b&gt;now&lt;/b&gt;" in html

    def test_a_title_cannot_add_a_header(self, notifier: Notifier) -> None:
        notifier.send(replace(MESSAGE, title="Hello\r\nBcc: eve@example.org"))
        assert self.server.letters[0]["Bcc"] is None
        assert self.server.letters[0]["X-Delivered-To"] == ANN

    def test_greylisting_holds_up_this_letter_only(self, notifier: Notifier) -> None:
        self.server.handler.refuses[ANN] = "450 greylisted, come back"
        with pytest.raises(Later) as raised:
            notifier.send(MESSAGE)
        assert not raised.value.whole

    def test_a_wrong_password_is_waited_for_until_ops_mend_it(self, notifier: Notifier) -> None:
        with pytest.raises(Later) as raised:
            self.stranger().send(MESSAGE)
        assert raised.value.code == "mail_sign_in"
        assert raised.value.whole

    def test_one_bad_address_among_several_is_told(self, notifier: Notifier) -> None:
        self.server.handler.refuses["gone@example.org"] = "550 gone"
        with pytest.raises(Rejected) as raised:
            Email(replace(self.config, to=(ANN, "gone@example.org"))).send(MESSAGE)
        assert "550" in raised.value.evidence
        assert len(self.server.letters) == 1


def body(letter: Any, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_tls_from_the_start_and_no_tls_at_all(tmp_path: Path) -> None:
    for security in ("tls", "none"):
        with mail_server(tmp_path, security=security) as server:
            Email(EmailConfig(to=(ANN,), **server.mail)).send(MESSAGE)
            assert len(server.letters) == 1


def test_nothing_is_sent_in_the_clear_where_starttls_is_demanded(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        config = EmailConfig(to=(ANN,), **{**server.mail, "security": "starttls"})
        with pytest.raises(Unavailable):
            Email(config).send(MESSAGE)
        assert server.letters == []


def test_a_certificate_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    with mail_server(tmp_path, security="starttls") as server:
        with pytest.raises(Unavailable) as raised:
            Email(EmailConfig(to=(ANN,), **{**server.mail, "ca_file": ""})).send(MESSAGE)
        assert "certificate" in raised.value.evidence
        assert server.letters == []


def test_a_greeting_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, connect_s=60.0, call_s=61.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_drip, args=[listening], daemon=True).start()
        mail = {"host": "127.0.0.1", "port": listening.getsockname()[1], "security": "none", "sender": "r@example.org"}
        began = time.monotonic()
        with pytest.raises(Unavailable):
            Email(EmailConfig(to=(ANN,), **mail)).send(MESSAGE)
        assert time.monotonic() - began < AT_LAST_S


def _drip(listening: socket.socket) -> None:
    taken, _ = listening.accept()
    stop = threading.Event()
    try:
        while not stop.wait(0.5):
            taken.sendall(b"2")
    except OSError:
        taken.close()


def test_a_server_that_is_not_set_up_is_said_so() -> None:
    with pytest.raises(Rejected) as raised:
        Email(EmailConfig(to=(ANN,))).send(MESSAGE)
    assert raised.value.code == "no_mail"


@pytest.mark.parametrize(
    "to",
    [(), ("nobody",), ("a@b\r\nBcc: c@d.org",), ("a@b.org, c@d.org",), ("<a@b.org>",), ("a@b.org",) * 21, ("",)],
)
def test_addresses_that_are_none_are_refused(to: tuple[str, ...]) -> None:
    assert "address" in refused(EmailConfig, to=to).fields


@pytest.mark.parametrize("more", [{"security": "maybe"}, {"sender": ""}, {"sender": "no address"}])
def test_half_a_mail_server_is_refused(more: dict[str, str]) -> None:
    good: dict[str, Any] = {"to": (ANN,), "host": "mail", "sender": "r@example.org", "security": "tls"}
    assert refused(EmailConfig, **{**good, **more}).code == "mail_settings"
