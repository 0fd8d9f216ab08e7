"""Settings of who people are and how they sign in: passwords, sessions, lockout, the gateway's JWTs, OIDC, LDAP.

A part of `settings.py`, which takes over every name in capitals. OIDC and LDAP are on when their address is set.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta

from fangduoduo_release.environment import LOCAL, env_bool, env_int, env_list, env_pairs, local_secret

AUTH_USER_MODEL = "permissions.User"
AUTHENTICATION_BACKENDS = [
    "permissions.backends.PasswordBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
GUARDIAN_AUTO_PREFETCH = False
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": env_int("PASSWORD_MIN_LENGTH", 10)}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    {"NAME": "permissions.passwords.NotThePreviousOne"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

# --- sessions: one ends when nobody used it for SESSION_COOKIE_AGE, and at SESSION_ABSOLUTE_S in any case ---------------
SESSION_COOKIE_AGE = env_int("SESSION_IDLE_S", 12 * 3600)
SESSION_ABSOLUTE_S = env_int("SESSION_ABSOLUTE_S", 7 * 86_400)
# The networks of our own proxies: only they are believed about who stands behind them (X-Forwarded-For).
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES")

# --- lockout: wrong passwords for one name from one address, and for any names from one address ------------------------
LOCKOUT_FAILURES = env_int("LOCKOUT_FAILURES", 6)
LOCKOUT_FAILURES_OF_ADDRESS = env_int("LOCKOUT_FAILURES_OF_ADDRESS", 60)
LOCKOUT_S = env_int("LOCKOUT_S", 900)
AXES_FAILURE_LIMIT = LOCKOUT_FAILURES
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_COOLOFF_TIME = timedelta(seconds=LOCKOUT_S)
AXES_HANDLER = "permissions.lockout.Handler"
AXES_CLIENT_IP_CALLABLE = "permissions.lockout.address_of"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # who keeps knocking does not lengthen it
AXES_DISABLE_ACCESS_LOG = True  # who signed in is in the audit
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "state"]
AXES_ENABLE_ADMIN = False  # `permissions.admin` has its own screen
AXES_VERBOSE = False
SILENCED_SYSTEM_CHECKS = ["axes.W002"]  # its middleware answers for pages only; ours answer at every door

# --- the gateway's JWTs ------------------------------------------------------------------------------------------------
JWT_KEYS = env_list("JWT_KEYS") or ([local_secret("jwt_key", lambda: secrets.token_urlsafe(48))] if LOCAL else [])
JWT_ACCESS_S = min(300, env_int("JWT_ACCESS_S", 300))
JWT_REFRESH_S = min(12 * 3600, env_int("JWT_REFRESH_S", 12 * 3600))
JWT_ISSUER = "fangduoduo_release"

# --- optional: OpenID Connect ------------------------------------------------------------------------------------------
OIDC_ISSUER = os.environ.get("OIDC_ISSUER", "").rstrip("/")
OIDC_LABEL = os.environ.get("OIDC_LABEL", "OpenID Connect")
OIDC_RP_CLIENT_ID = os.environ.get("OIDC_CLIENT_ID", "")
OIDC_RP_CLIENT_SECRET = os.environ.get("OIDC_CLIENT_SECRET", "")
OIDC_RP_SIGN_ALGO = os.environ.get("OIDC_SIGN_ALGO", "RS256")
OIDC_RP_SCOPES = os.environ.get("OIDC_SCOPES", "openid profile email")
OIDC_USERNAME_CLAIM = os.environ.get("OIDC_USERNAME_CLAIM", "preferred_username")
OIDC_GROUPS_CLAIM = os.environ.get("OIDC_GROUPS_CLAIM", "groups")
OIDC_GROUP_TEAMS = env_pairs("OIDC_GROUP_TEAMS")  # their group -> our team
OIDC_USE_PKCE = OIDC_USE_NONCE = True
OIDC_TIMEOUT = env_int("OIDC_TIMEOUT_S", 5)
OIDC_AUTHENTICATION_CALLBACK_URL = "oidc-callback"

# --- optional: LDAP ----------------------------------------------------------------------------------------------------
LDAP_AUTH_URL = env_list("LDAP_URL")
LDAP_AUTH_USE_TLS = env_bool("LDAP_START_TLS", False)
LDAP_AUTH_SEARCH_BASE = os.environ.get("LDAP_PEOPLE", "ou=people,dc=example,dc=com")
LDAP_GROUPS = os.environ.get("LDAP_GROUPS", "")  # where groups with `member` are; memberOf is read as well
LDAP_AUTH_OBJECT_CLASS = os.environ.get("LDAP_OBJECT_CLASS", "inetOrgPerson")
LDAP_AUTH_USER_FIELDS = {
    "username": os.environ.get("LDAP_USERNAME_ATTRIBUTE", "uid"),
    "first_name": "givenName",
    "last_name": "sn",
    "email": "mail",
}
LDAP_AUTH_FORMAT_USERNAME = os.environ.get("LDAP_NAME_FORMAT", "django_python3_ldap.utils.format_username_openldap")
LDAP_AUTH_ACTIVE_DIRECTORY_DOMAIN = os.environ.get("LDAP_DOMAIN") or None
LDAP_AUTH_CONNECTION_USERNAME = os.environ.get("LDAP_BIND_NAME") or None
LDAP_AUTH_CONNECTION_PASSWORD = os.environ.get("LDAP_BIND_PASSWORD") or None
LDAP_AUTH_CLEAN_USER_DATA = "permissions.ldap.checked"
LDAP_AUTH_SYNC_USER_RELATIONS = "permissions.ldap.adopt"
LDAP_AUTH_CONNECT_TIMEOUT = LDAP_AUTH_RECEIVE_TIMEOUT = 5
LDAP_AUTH_POOL_ACTIVE = 1  # one round over the servers; the library's own choice is to try for ever
LDAP_GROUP_TEAMS = env_pairs("LDAP_GROUP_TEAMS")

# May somebody from OIDC or LDAP take over an account of the same name that was made here? Never one of ops.
LINK_EXISTING_ACCOUNTS = env_bool("LINK_EXISTING_ACCOUNTS", False)
SIGN_IN_APPS = ["axes"]
if OIDC_ISSUER:
    SIGN_IN_APPS.append("mozilla_django_oidc")
    AUTHENTICATION_BACKENDS.append("permissions.oidc.OidcBackend")
if LDAP_AUTH_URL:
    SIGN_IN_APPS.append("django_python3_ldap")
    AUTHENTICATION_BACKENDS.append("permissions.ldap.DirectoryBackend")
