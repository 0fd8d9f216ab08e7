"""Tell people by email, through the mail server of the settings: SMTP with STARTTLS, TLS from the start, or on a
trusted network without. Text and a plain HTML of the same words; Message-ID is the message's id at every attempt.

A server that demands what we do not give (or gives no STARTTLS where we demand it) is waited for: ops will mend the
settings, and nothing is sent in the clear meanwhile.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import ClassVar

from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.sentence import S

from .base import CALL_S, CONNECT_S, Later, Message, without

SECURITIES = ("starttls", "tls", "none")
MAX_RECIPIENTS = 20
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """The mail server (from the settings) and who gets the message."""

    to: tuple[str, ...]
    host: str = ""
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    ca_file: str = ""

    def __post_init__(self) -> None:
        wrong = next((one for one in self.to if not _ADDRESS.fullmatch(one)), None)
        if wrong is not None:
            sentence = S("“%(address)s” is not an email address.", address=wrong[:100])
            raise Invalid(sentence, fields={"address": [sentence]})
        if not 1 <= len(self.to) <= MAX_RECIPIENTS:
            sentence = S("Give 1 to %(limit)s email addresses.", limit=MAX_RECIPIENTS)
            raise Invalid(sentence, fields={"address": [sentence]})
        if self.host and (self.security not in SECURITIES or not _ADDRESS.fullmatch(self.sender)):
            raise Invalid(S("The mail server's settings are not complete."), code="mail_settings")


class Email:
    """Kind `email`."""

    kind: ClassVar[str] = "email"
    Config: ClassVar[type] = EmailConfig

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        config = self._config
        if not config.host:
            raise Rejected(S("No mail server is set up."), code="no_mail")
        letter = compose(config, message)
        try:
            with _Session(config) as session:
                refused = session.send_message(letter, config.sender, list(config.to))
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except smtplib.SMTPSenderRefused as error:
            raise self._answered(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPAuthenticationError as error:
            evidence = self._words(error.smtp_code, error.smtp_error)
            raise Later(S("The mail server refuses our sign-in."), evidence=evidence, code="mail_sign_in") from error
        except smtplib.SMTPDataError as error:
            raise self._answered(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            evidence = without((config.password,), f"{type(error).__name__}: {error}")
            raise Later(S("The mail server does not answer as it should."), evidence=evidence, code="mail") from error
        if refused:
            code, words = next(iter(refused.values()))
            raise self._answered(code, words)

    def _answered(self, code: int, words: bytes | str) -> Later | Rejected:
        """4xx: later, and only this letter; 5xx: never."""
        evidence = self._words(code, words)
        if 400 <= code < 500:
            return Later(S("The mail server wants it later."), evidence=evidence, code="mail_later", whole=False)
        return Rejected(S("The mail server refuses it."), evidence=evidence, code="mail_refused")

    def _words(self, code: int, words: bytes | str) -> str:
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        return without((self._config.password,), f"{code} {text}")


def compose(config: EmailConfig, message: Message) -> EmailMessage:
    """The letter, as text and as HTML of the same words."""
    letter = EmailMessage(policy=SMTP)
    domain = config.sender.rpartition("@")[2]
    letter["Message-ID"] = f"<{message.id}@{domain}>"
    letter["Date"] = format_datetime(message.at)
    letter["From"] = Address("Fangduoduo Release", addr_spec=config.sender)
    letter["To"] = [Address(addr_spec=one) for one in config.to]
    letter["Subject"] = " ".join(message.title.split())[:200]
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-FDD-Event"] = message.event
    lines = [message.text, *([message.link] if message.link else []), "-- ", message.why, message.why_link]
    letter.set_content("\n\n".join(line for line in lines if line) + "\n")
    letter.add_alternative(_html(message), subtype="html")
    return letter


def _html(message: Message) -> str:
    button = ""
    if message.link:
        button = f'<p><a href="{escape(message.link)}">{escape(message.open_label or message.link)}</a></p>'
    why = f'<p style="color:#666"><small>{escape(message.why)} '
    why += (
        f'<a href="{escape(message.why_link)}">{escape(message.why_link)}</a></small></p>' if message.why_link else ""
    )
    return (
        f"<!doctype html><html><body><p>{escape(message.text)}</p>{button}{why if message.why else ''}</body></html>\n"
    )


class _Session:
    """A signed-in connection that is cut after CALL_S, however slowly the server speaks."""

    def __init__(self, config: EmailConfig) -> None:
        self._config = config
        self._server: smtplib.SMTP | None = None
        self._guard = threading.Timer(CALL_S - CONNECT_S, self._cut)
        self._guard.daemon = True

    def __enter__(self) -> smtplib.SMTP:
        config = self._config
        self._guard.start()
        try:
            tls = {"context": self._context()} if config.security == "tls" else {}
            kind = smtplib.SMTP_SSL if config.security == "tls" else smtplib.SMTP
            self._server = kind.__new__(kind)  # known before it connects: a greeting may never end either
            kind.__init__(self._server, config.host, config.port, timeout=CONNECT_S, **tls)  # type: ignore
            if config.security == "starttls":
                self._server.starttls(context=self._context())
            if config.user:
                self._server.login(config.user, config.password)
        except BaseException:
            self.__exit__()
            raise
        return self._server

    def __exit__(self, *_: object) -> None:
        self._guard.cancel()
        if self._server is not None:
            try:
                self._server.quit()
            except (smtplib.SMTPException, OSError):
                self._server.close()  # what counts was said before

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._config.ca_file or None)

    def _cut(self) -> None:
        sock = self._server.sock if self._server is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself
