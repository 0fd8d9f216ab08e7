"""An unsafe production does not start, says why in sentences, and never shows a secret while saying so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.checks import Error, registry, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from fangduoduo_release import checks
from tests.portal import ROOT

SECRET = "correct-horse-battery-staple-0123456789-ABCDEFGHIJKLMNOP"
SAFE: dict[str, Any] = {
    "LOCAL": False,
    "DEBUG": False,
    "SECRET_KEY": SECRET,
    "FIELD_ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    "JWT_KEYS": ["another-horse-another-staple-0123456789-xyz"],
    "AUDIT_KEYS": ["0123456789abcdefghijklmnopqrstuvwxyz"],
    "ALLOWED_HOSTS": ["release.example.com"],
    "PUBLIC_URL": "https://release.example.com",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql"}},
}
OIDC: dict[str, Any] = {
    "OIDC_ISSUER": "https://id.example.com",
    "OIDC_RP_CLIENT_ID": "portal",
    "OIDC_RP_CLIENT_SECRET": "hidden",
}


def found(settings: Any, **changes: Any) -> list[str]:
    for name, value in {**SAFE, **changes}.items():
        setattr(settings, name, value)
    return [str(finding.id) for finding in checks.findings()]


def test_a_safe_production_has_nothing_to_complain_about(settings: Any) -> None:
    assert found(settings) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"SECRET_KEY": ""}, "fdd.E001"),
        ({"SECRET_KEY": "short"}, "fdd.E002"),
        ({"SECRET_KEY": "a" * 80}, "fdd.E002"),
        ({"SECRET_KEY": "django-insecure-" + SECRET}, "fdd.E002"),
        ({"FIELD_ENCRYPTION_KEYS": []}, "fdd.E005"),
        ({"FIELD_ENCRYPTION_KEYS": ["not-a-key"]}, "fdd.E006"),
        ({"FIELD_ENCRYPTION_KEYS": [Fernet.generate_key().decode(), ""]}, "fdd.E006"),
        ({"AUDIT_KEYS": []}, "fdd.E030"),
        ({"AUDIT_KEYS": ["0123456789abcdefghijklmnopqrstuvwxyz", "short"]}, "fdd.E031"),
        ({"AUDIT_KEYS": [SECRET]}, "fdd.E032"),
        ({"AUDIT_KEYS": ["a" * 80]}, "fdd.E031"),
        ({"ALLOWED_HOSTS": []}, "fdd.E007"),
        ({"ALLOWED_HOSTS": ["release.example.com", "*"]}, "fdd.E008"),
        ({"DEBUG": True}, "fdd.E009"),
        ({"SESSION_COOKIE_SECURE": False}, "fdd.E010"),
        ({"CSRF_COOKIE_SECURE": False}, "fdd.E010"),
        ({"PUBLIC_URL": "http://release.example.com"}, "fdd.E011"),
        ({"JWT_KEYS": []}, "fdd.E012"),
        ({"JWT_KEYS": ["short"]}, "fdd.E013"),
        ({"JWT_KEYS": ["another-horse-another-staple-0123456789-xyz", "a" * 60]}, "fdd.E013"),
        ({"JWT_KEYS": [SECRET]}, "fdd.E014"),
        (OIDC | {"OIDC_ISSUER": "http://id.example.com"}, "fdd.E015"),
        (OIDC | {"OIDC_RP_CLIENT_SECRET": ""}, "fdd.E016"),
        ({"LDAP_AUTH_URL": ["ldaps://a.example.com", "ldap://b.example.com"]}, "fdd.E017"),
        ({"TRUSTED_PROXIES": ["10.0.0.0/8", "the proxy"]}, "fdd.E018"),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, "fdd.W001"),
    ],
)
def test_each_unsafe_setting_is_found_alone(settings: Any, changes: dict[str, Any], finding: str) -> None:
    assert found(settings, **changes) == [finding]


def test_oidc_and_ldap_over_tls_are_fine(settings: Any) -> None:
    assert found(settings, **OIDC, LDAP_AUTH_URL=["ldaps://ldap.example.com"], TRUSTED_PROXIES=["10.0.0.0/8"]) == []
    assert found(settings, LDAP_AUTH_URL=["ldap://ldap.example.com"], LDAP_AUTH_USE_TLS=True) == []


def test_local_portals_are_not_concerned(settings: Any) -> None:
    assert found(settings, LOCAL=True, SECRET_KEY="", ALLOWED_HOSTS=["*"], FIELD_ENCRYPTION_KEYS=[]) == []


def test_a_warning_does_not_stop_it(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found(settings, DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}})
    checks.refuse_unsafe()
    assert "warning: Production runs on SQLite." in capsys.readouterr().err


def test_refusing_tells_everything_at_once_and_no_secret(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found(settings, SECRET_KEY="hunter2", FIELD_ENCRYPTION_KEYS=["hunter3"], AUDIT_KEYS=["hunter4"], ALLOWED_HOSTS=[])
    with pytest.raises(SystemExit) as stopped:
        checks.refuse_unsafe()
    assert stopped.value.code == checks.REFUSED
    said = capsys.readouterr().err
    for finding in ("fdd.E002", "fdd.E006", "fdd.E007", "fdd.E031"):
        assert finding in said
    assert "hunter" not in said


def test_every_view_of_this_portal_declares_its_permission() -> None:
    assert [f for f in run_checks(tags=["urls"]) if isinstance(f, Error)] == []


def test_a_view_that_declares_nothing_is_found(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.running.urls_undeclared"
    (finding,) = checks.every_view_declares_its_permission(None)
    assert "/open/<int:pk>/" in str(finding.msg)


def test_an_empty_secret_key_is_seen_although_django_raises(settings: Any) -> None:
    settings.SECRET_KEY = ""
    with pytest.raises(ImproperlyConfigured):
        str(settings.SECRET_KEY)
    assert checks.secret_key() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["-m", "projects.git_http.daphne_server", "-p", "0", "fangduoduo_release.asgi:application"],
        ["-m", "uvicorn", "--port", "0", "fangduoduo_release.asgi:application"],
        ["manage.py", "worker"],
        ["manage.py", "watch"],
    ],
    ids=["daphne", "uvicorn", "worker", "watch"],
)
def test_no_process_starts_in_an_unsafe_production(command: list[str], tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, env={**inherited, "FDD_VAR": str(tmp_path), "SECRET_KEY": "hunter2"},
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == checks.REFUSED, done.stderr
    assert "refused: SECRET_KEY can be guessed." in done.stderr
    assert "refused: ALLOWED_HOSTS is not set." in done.stderr
    assert "hunter2" not in done.stderr


def test_the_portal_itself_registers_what_it_refuses() -> None:
    """Not this test's import: of two apps in one file Django would choose none, and nothing would be refused."""
    assert type(apps.get_app_config("portal")).__name__ == "PortalConfig"
    assert {"checks"} <= {
        check.__module__.rpartition(".")[2]
        for check in registry.registry.get_checks()
        if "fangduoduo" in check.__module__
    }


def test_many_are_named_as_the_language_does_it() -> None:
    model = apps.get_model("common", "Connection")
    for language, words in (("en", "connections"), ("zh-hans", "连接")):
        with translation.override(language):
            assert str(model._meta.verbose_name_plural) == words
