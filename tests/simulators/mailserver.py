"""A real SMTP server (aiosmtpd) on a real socket, with STARTTLS or TLS, sign-in, and recipients it refuses."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.portal import free_port

USER, PASSWORD = "portal", "mail-pass-9c41f7"


@dataclass
class Handler:
    """Takes letters, but not for who is in `refuses` (an answer for each), nor anything while `answer` is set."""

    letters: list[EmailMessage] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    answer: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer:
            return self.answer
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        letter["X-Delivered-To"] = ", ".join(envelope.rcpt_tos)
        self.letters.append(letter)
        return "250 taken"


@dataclass
class MailServer:
    """A running server and the values for settings.MAIL that lead to it."""

    handler: Handler
    mail: dict[str, Any]

    @property
    def letters(self) -> list[EmailMessage]:
        return self.handler.letters


@contextmanager
def mail_server(
    folder: Path, *, security: str = "none", sign_in: bool = False, port: int = 0, handler: Handler | None = None
) -> Iterator[MailServer]:
    """Serve until the block ends; the certificate is made for it in `folder`."""
    handler, port = handler or Handler(), port or free_port()
    ca_file, options = "", {}
    if security != "none":
        ca_file, context = certificate(folder)
        options = {"tls_context": context, "require_starttls": True} if security == "starttls" else {}
    if sign_in:
        options |= {"authenticator": _check, "auth_required": True, "auth_require_tls": security == "starttls"}
    more = {"ssl_context": certificate(folder)[1]} if security == "tls" else {}
    controller = Controller(handler, hostname="127.0.0.1", port=port, ready_timeout=60, **options, **more)
    controller.start()
    mail = {
        "host": "localhost" if security != "none" else "127.0.0.1",
        "port": port,
        "security": security,
        "user": USER if sign_in else "",
        "password": PASSWORD if sign_in else "",
        "sender": "release@example.org",
        "ca_file": ca_file,
    }
    try:
        yield MailServer(handler, mail)
    finally:
        controller.stop()


def _check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good)


def certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate for localhost that signs itself: its file, and the server's context."""
    path = folder / "mail.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return str(path), context
