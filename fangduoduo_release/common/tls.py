"""Whom to trust when another system is spoken to over TLS. Django-free: drivers and rules use it."""

from __future__ import annotations

import ssl

from .sentence import S, Sentence


def trust(ca: str = "") -> ssl.SSLContext:
    """Trust what this machine trusts, and the given certificates (PEM). Raises ValueError when they are none."""
    context = ssl.create_default_context()
    if ca.strip():
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, TypeError) as error:  # TypeError: not ASCII
            raise ValueError(str(error)) from error
    return context


def certificate_problem(ca: str) -> Sentence | None:
    """Why this cannot be trusted; None: it can, or nothing is given."""
    if not ca:
        return None
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        return S("This is no certificate in PEM form.")
    return None
