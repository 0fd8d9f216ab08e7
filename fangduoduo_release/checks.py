"""What production refuses to start with, and why. Django's `check` shows the same findings.

Each finding says what is wrong and what to put into the environment; no finding ever shows a secret. FDD_ENV=local
makes its own secrets and listens on loopback only, so nothing here concerns it, except that views must say who may
see them: that holds everywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver

from fangduoduo_release.common.addresses import networks
from permissions.enforce import undeclared

REFUSED = 78  # EX_CONFIG: a supervisor need not try again
SECRET_LENGTH = 50
DIFFERENT_CHARACTERS = 5
SIGNING_KEY_LENGTH = 32


def secret_key() -> str:
    """Django raises instead of answering an empty key."""
    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return ""


def secrets() -> Iterator[CheckMessage]:
    key = secret_key()
    if not key:
        yield Error("SECRET_KEY is not set.", hint="Put 50 or more random characters into it.", id="fdd.E001")
    elif len(key) < SECRET_LENGTH or len(set(key)) < DIFFERENT_CHARACTERS or key.startswith("django-insecure"):
        yield Error("SECRET_KEY can be guessed.", hint="Use 50 or more random characters.", id="fdd.E002")


def encryption_keys() -> Iterator[CheckMessage]:
    hint = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
    if not settings.FIELD_ENCRYPTION_KEYS:
        yield Error(
            "FIELD_ENCRYPTION_KEYS is not set: connections' secrets could not be kept.", hint=hint, id="fdd.E005"
        )
    for number, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            yield Error(f"FIELD_ENCRYPTION_KEYS: key {number} is not a Fernet key.", hint=hint, id="fdd.E006")


def signing_keys(name: str, without: str, first_id: int) -> Iterator[CheckMessage]:
    """The keys of one purpose, named by their setting: there, not to be guessed, and used for nothing else."""
    hint = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    keys: list[str] = getattr(settings, name)
    if not keys:
        yield Error(f"{name} is not set: {without}.", hint=hint, id=f"fdd.E{first_id:03}")
    for number, key in enumerate(keys, start=1):
        if len(key) < SIGNING_KEY_LENGTH or len(set(key)) < DIFFERENT_CHARACTERS:
            yield Error(f"{name}: key {number} can be guessed.", hint=hint, id=f"fdd.E{first_id + 1:03}")
        elif key == secret_key():
            yield Error(
                f"{name} holds SECRET_KEY: keys have one purpose each.", hint=hint, id=f"fdd.E{first_id + 2:03}"
            )


def keys() -> Iterator[CheckMessage]:
    yield from signing_keys("JWT_KEYS", "the gateway could sign nobody in", 12)
    yield from signing_keys("AUDIT_KEYS", "the audit trail could not be signed", 30)


def strangers() -> Iterator[CheckMessage]:
    """Who else is believed about who somebody is."""
    if settings.OIDC_ISSUER:
        if urlsplit(settings.OIDC_ISSUER).scheme != "https":
            yield Error("OIDC_ISSUER is not an https address: anybody between could be anybody.", id="fdd.E015")
        if not (settings.OIDC_RP_CLIENT_ID and settings.OIDC_RP_CLIENT_SECRET):
            yield Error("OIDC_ISSUER is set, but OIDC_CLIENT_ID or OIDC_CLIENT_SECRET is not.", id="fdd.E016")
    plain = [url for url in settings.LDAP_AUTH_URL if not url.startswith("ldaps://")]
    if plain and not settings.LDAP_AUTH_USE_TLS:
        hint = "Use ldaps:// or LDAP_START_TLS=1."
        yield Error("LDAP_URL is not encrypted: passwords would travel readable.", hint=hint, id="fdd.E017")
    try:
        networks(tuple(settings.TRUSTED_PROXIES))
    except ValueError:
        hint = "Networks, separated by commas: 10.0.0.0/8,127.0.0.1"
        yield Error("TRUSTED_PROXIES holds something that is no network.", hint=hint, id="fdd.E018")


def doors() -> Iterator[CheckMessage]:
    if not settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS is not set.", hint="Name the portal's host: release.example.com", id="fdd.E007")
    elif any(host in {"*", "."} for host in settings.ALLOWED_HOSTS):
        yield Error("ALLOWED_HOSTS lets every host in.", hint="Name the portal's hosts one by one.", id="fdd.E008")
    if settings.DEBUG:
        yield Error("DEBUG is on: errors would show settings and source to everyone.", id="fdd.E009")
    if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        hint = "Leave SECURE_TRANSPORT alone and put TLS in front of the portal."
        yield Error("SECURE_TRANSPORT is off: sessions would travel unencrypted.", hint=hint, id="fdd.E010")
    elif urlsplit(settings.PUBLIC_URL).scheme != "https":
        hint = "Set it to the address people use: https://release.example.com"
        yield Error("PUBLIC_URL is not an https address; links in answers would be wrong.", hint=hint, id="fdd.E011")


def storage() -> Iterator[CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        hint = "Set DATABASE_URL=postgres://…; SQLite is for one machine and few people."
        yield checks.Warning("Production runs on SQLite.", hint=hint, id="fdd.W001")


def findings() -> list[CheckMessage]:
    """Everything wrong with this production's settings; nothing for FDD_ENV=local."""
    if settings.LOCAL:
        return []
    return [*secrets(), *encryption_keys(), *keys(), *doors(), *strangers(), *storage()]


@register(Tags.security)
def production_is_safe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return findings()


@register(Tags.urls)
def every_view_declares_its_permission(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"/{address} does not say who may see it.",
            hint="Inherit from permissions.enforce and set `permission`.",
            id="fdd.E020",
        )
        for address in undeclared(get_resolver().url_patterns)
    ]


def refuse_unsafe(*, pages: bool = False) -> None:
    """End this process (exit code 78) with one line per finding when it must not run so.

    Called first by the ASGI application (`pages=True`: then its views are judged too), by the worker and by watch.
    """
    _tell(findings())
    if pages:
        _tell(every_view_declares_its_permission(None))


def _tell(found: list[CheckMessage]) -> None:
    for finding in found:
        word = "refused" if finding.is_serious() else "warning"
        sys.stderr.write(f"{word}: {finding.msg}{f' ({finding.hint})' if finding.hint else ''} [{finding.id}]\n")
    if any(finding.is_serious() for finding in found):
        sys.stderr.write("The portal does not start like this; docs/operations.md lists every setting.\n")
        raise SystemExit(REFUSED)
