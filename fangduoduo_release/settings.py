"""One settings file, read from the environment; safe by default, refuses an unsafe production (`checks.py`).

`FDD_ENV=production` (the default) wants its secrets in the environment. `FDD_ENV=local` (what `make run` and `make test`
set) makes its own secrets once under `FDD_VAR` and listens on loopback only.
"""

from __future__ import annotations

import os
import secrets
import socket
from urllib.parse import parse_qs, urlsplit

import dj_database_url
from cryptography.fernet import Fernet
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.duties import DUTIES  # noqa: F401 - a setting
from fangduoduo_release.environment import BASE_DIR, LOCAL, VAR, env_bool, env_int, env_list, local_secret
from fangduoduo_release.sign_in import *  # noqa: F403 - who people are and how they sign in: a file of its own
from fangduoduo_release.sign_in import SIGN_IN_APPS

PROCESS = os.environ.get("FDD_PROCESS", "web")  # web | worker | watch | trigger: decides how connections are held
HOST_ID = os.environ.get("FDD_HOST_ID", socket.gethostname())
SECRET_KEY = os.environ.get("SECRET_KEY") or (
    local_secret("secret_key", lambda: secrets.token_urlsafe(64)) if LOCAL else ""
)
FIELD_ENCRYPTION_KEYS = env_list("FIELD_ENCRYPTION_KEYS") or (
    [local_secret("field_encryption_key", lambda: Fernet.generate_key().decode())] if LOCAL else []
)
AUDIT_KEYS = env_list("AUDIT_KEYS") or (  # the first signs, all verify
    [local_secret("audit_key", lambda: secrets.token_urlsafe(48))] if LOCAL else []
)
AUDIT_ANCHOR = VAR / "audit" / "head"
DEBUG = LOCAL and env_bool("DEBUG", False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver" if LOCAL else "")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{os.environ.get('PORT', '8000')}").rstrip("/")
SECURE_TRANSPORT = env_bool("SECURE_TRANSPORT", not LOCAL)

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "guardian",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_q",
    *SIGN_IN_APPS,
    "fangduoduo_release.common",
    "fangduoduo_release.audit",
    "fangduoduo_release.notifications",
    "permissions",
    "clusters",
    "projects",
    "builds",
    "deployments",
    "fangduoduo_release",
]
if PROCESS != "web":
    # 20 MB that only pages need: Twisted, and every admin module with its forms.
    INSTALLED_APPS.remove("daphne")
    INSTALLED_APPS[INSTALLED_APPS.index("django.contrib.admin")] = "django.contrib.admin.apps.SimpleAdminConfig"

if PROCESS == "trigger":
    INSTALLED_APPS = ["fangduoduo_release.apps.TriggerConfig"]  # elsewhere, without secrets, tables and pages

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "fangduoduo_release.common.http.RequestContextMiddleware",
    "fangduoduo_release.common.url_secrets.UrlSecretsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "permissions.sessions.SessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "fangduoduo_release.common.http.AppErrorMiddleware",
]

ROOT_URLCONF = "fangduoduo_release.urls"
ASGI_APPLICATION = "fangduoduo_release.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fangduoduo_release.common.http.page_context",
            ],
        },
    }
]

# --- storage -----------------------------------------------------------------------------------------------------
DATABASE_POOL = int(os.environ.get("DATABASE_POOL") or 16)  # 0: none
DATABASE_URL = os.environ.get("DATABASE_URL", f"sqlite:///{VAR / 'db.sqlite3'}")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=0 if PROCESS == "web" else 600)}
if PROCESS == "trigger":
    DATABASES = {}
elif DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test.sqlite3")}  # a file: threads and processes can share it
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a writer waits its turn instead of failing half-way with "locked"
        "timeout": env_int("SQLITE_TIMEOUT_S", 20),
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;",
    }
elif PROCESS == "web" and DATABASE_POOL:
    # A pool only here: forked workers would share its sockets and corrupt them.
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 10}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = VAR / "files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "static/"
STATIC_ROOT = VAR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_MANIFEST_STRICT = False
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_PERMISSIONS = 0o640
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# --- queue and wake-ups --------------------------------------------------------------------------------------------
REDIS_URL = os.environ.get("REDIS_URL", "")
_redis = urlsplit(REDIS_URL)
REDIS_DATABASE = parse_qs(_redis.query).get("db", [_redis.path.strip("/") or "0"])[0]
WORKERS = env_int("FDD_WORKERS", 2)
Q_CLUSTER: dict[str, object] = {
    # A doorbell: ids only, nothing is remembered here. See docs/architecture.md, "Runs".
    "name": "fdd",
    "workers": WORKERS,
    "queue_limit": WORKERS,
    "bulk": 1,
    "timeout": 30,
    "retry": 120,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "guard_cycle": 0.5,
    "poll": 0,  # the ORM broker waits by itself, on a bell
    "scheduler": False,
    "recycle": 200,
    "max_rss": 400_000,
    "catch_up": False,
    "label": "Queue",
    **(
        {"redis": REDIS_URL, "broker_class": "fangduoduo_release.common.worker.brokers.PatientRedis"}
        if REDIS_URL
        else {"orm": "default", "broker_class": "fangduoduo_release.common.worker.brokers.BellOrm"}
    ),
}
CHANNEL_LAYERS = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            # Redis publishes to all its databases: another portal's news of the same numbers would be taken for ours.
            "CONFIG": {"hosts": [REDIS_URL], "prefix": f"fdd{REDIS_DATABASE}"},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}
WORKER_COMPANIONS = {"agents": "builds.agents.host.main"}
# What sockets wake for, who may listen, and whose a bearer token is; named here because common imports no app.
SOCKET_TOPICS = {
    "builds": "builds.models.Build",
    "deployments": "deployments.models.Deployment",
    "services": "deployments.models.Service",
}
SOCKET_GUARD = "permissions.policy.fetch"
SOCKET_BEARER = "permissions.tokens.user_of_bearer"
SOCKET_PATIENCE_S = env_int("FDD_SOCKET_PATIENCE_S", 30)  # whoever takes nothing of a stream for so long is left
SOCKET_RECHECK_S = env_int("FDD_SOCKET_RECHECK_S", 10)  # so often it is asked whether who listens still may
HOOK_MAX_BYTES = env_int("FDD_HOOK_MAX_BYTES", 5 << 20)  # of one webhook delivery
HOOK_KEEP_DAYS = env_int("FDD_HOOK_KEEP_DAYS", 7)  # how long deliveries are kept, and known when they come again
TERMINAL_IDLE_S = env_int("FDD_TERMINAL_IDLE_S", 1800)  # a terminal in which nobody types is closed
INBOX_KEEP_DAYS = env_int("FDD_INBOX_KEEP_DAYS", 90)  # how long it is known what came in, and what became of it
LEASE_S = env_int("FDD_LEASE_S", 15)
BUILD_LIMITS = {
    "wall_seconds": env_int("FDD_BUILD_WALL_S", 3600),
    "memory_mib": env_int("FDD_BUILD_MEMORY_MIB", 0),
    "log_mib": env_int("FDD_BUILD_LOG_MIB", 200),
}
REMOTE_PATIENCE_S = env_int("FDD_REMOTE_PATIENCE_S", 7200)  # how long a build server may be away before builds give up
RETENTION = {"days": env_int("FDD_KEEP_DAYS", 30), "keep": env_int("FDD_KEEP_VERSIONS", 20)}
EMERGENCY_HOURS = env_int("FDD_EMERGENCY_HOURS", 4)  # how long a break-glass grant lasts at most
REVIEW_HOURS = env_int("FDD_REVIEW_HOURS", 24)  # by when one that was opened alone is to be reviewed
REQUEST_DAYS = env_int("FDD_REQUEST_DAYS", 14)  # a request nobody decides ends by itself
APPROVAL_HOURS = env_int("FDD_APPROVAL_HOURS", 24)  # how long a deployment waits for people before it is called off
BUILD_SLOTS = env_int("FDD_BUILD_SLOTS", 4)
ENGINES = [
    "projects.hooks.engine.HookEngine",
    "builds.intake.PushIntake",
    "builds.intake.ChangeIntake",
    "builds.reviews.ReviewEngine",
    "builds.engine.BuildEngine",
    "deployments.engine.DeploymentEngine",
    "fangduoduo_release.notifications.engine.NotificationEngine",
]
# Who spreads the news when a run ends, in the transaction that ends it; by the run's topic.
BUILDS_IN_USE = "deployments.using.is_deploying"  # says of a project's branch whether something of it is being deployed
CLUSTER_NEWS = "deployments.sightings.objects_changed"  # is told the keys of services whose objects were seen to change
CONFIG_KEYS = "deployments.config_keys.in_use"  # says which keys of which config source somebody is bound to
CONFIG_NEWS = "deployments.config_keys.changed"  # is told of each key that says something new
STREAMS_PER_PERSON = env_int(
    "FDD_STREAMS_PER_PERSON", 250
)  # terminals, and as many logs, open at a time in each web process
GATEWAY_REACH = "projects.reach.namespaces"  # says in which namespaces somebody may read and change objects
GATEWAY_READS_PER_MINUTE = env_int("FDD_GATEWAY_READS_PER_MINUTE", 1200)  # of one person or token; 0: no limit
GATEWAY_WRITES_PER_MINUTE = env_int("FDD_GATEWAY_WRITES_PER_MINUTE", 120)
GATEWAY_LOGS_PER_CALLER = env_int("FDD_GATEWAY_LOGS_PER_CALLER", 20)  # open at a time, in each web process
GATEWAY_MIRROR_BYTES = env_int("FDD_GATEWAY_MIRROR_MIB", 128) << 20  # of objects kept ready in each web process
RUN_ENDINGS = {"builds": "builds.news.build_ended", "deployments": "deployments.news.deployment_ended"}

# --- drivers -------------------------------------------------------------------------------------------------------
DRIVERS = {
    "source": {
        "git": "projects.drivers.source.git.GitSource",
        "gerrit": "projects.drivers.source.gerrit.GerritSource",
    },
    "builder": {"embedded": "builds.drivers.builder.embedded.Execution"},
    "remote_builder": {"jenkins": "builds.drivers.builder.jenkins.JenkinsBuilder"},
    "registry": {"registry": "builds.drivers.registry.distribution.Distribution"},
    "runtime": {
        "local": "clusters.drivers.runtime.local.runtime.LocalRuntime",
        "kubernetes": "clusters.drivers.runtime.kubernetes.runtime.KubernetesRuntime",
    },
    "config": {
        "database": "clusters.drivers.config.database.DatabaseConfig",
        "consul": "clusters.drivers.config.consul.ConsulConfig",
    },
    "traffic": {"traefik": "clusters.drivers.traffic.traefik.driver.TraefikTraffic"},
    "notification": {
        "email": "fangduoduo_release.notifications.drivers.email.Email",
        "webhook": "fangduoduo_release.notifications.drivers.webhook.Webhook",
        "feishu": "fangduoduo_release.notifications.drivers.feishu.Feishu",
        "dingtalk": "fangduoduo_release.notifications.drivers.dingtalk.DingTalk",
        "wecom": "fangduoduo_release.notifications.drivers.wecom.WeCom",
    },
}
CONNECTION_TESTS = {  # kind -> how ops find out whether it works
    "git": "projects.connections.look_at_git",
    "gerrit": "projects.connections.look_at_gerrit",
    "jenkins": "builds.connections.look_at_jenkins",
    "kubernetes": "clusters.connections.look_at_kubernetes",
    "consul": "clusters.consul_connections.look_at_consul",
    "registry": "builds.connections.look_at_registry",
}
CONNECTION_RULES = {  # kind -> what it asks of config and secrets
    "gerrit": "projects.connections.check_gerrit",
    "jenkins": "builds.connections.check_jenkins",
    "kubernetes": "clusters.connections.check_kubernetes",
    "consul": "clusters.consul_connections.check_consul",
    "registry": "builds.connections.check_registry",
}
CLUSTER_ALLOW_INSECURE = env_bool(
    "CLUSTER_ALLOW_INSECURE", LOCAL
)  # API servers without TLS, or with a certificate unchecked
REPOSITORIES_ROOT = VAR / "repositories"
MIRRORS_ROOT = VAR / "mirrors"
STARTERS_ROOT = BASE_DIR / "examples" / "starters"
FETCH_WAIT_S = env_int("FDD_FETCH_WAIT_S", 15)  # then a fetch goes on alone; a queue worker is killed after thirty
SOURCE_ALLOW_PRIVATE = env_bool("SOURCE_ALLOW_PRIVATE", LOCAL)  # may bound repositories live on private networks?
MAIL = {  # the server that email goes through; without a host nobody is told by email
    "host": os.environ.get("EMAIL_HOST", ""),
    "port": env_int("EMAIL_PORT", 587),
    "security": os.environ.get("EMAIL_SECURITY", "starttls"),  # starttls | tls | none
    "user": os.environ.get("EMAIL_USER", ""),
    "password": os.environ.get("EMAIL_PASSWORD", ""),
    "sender": os.environ.get("EMAIL_FROM", ""),
    "ca_file": os.environ.get("EMAIL_CA_FILE", ""),
}
NOTIFY_ALLOW_PRIVATE = env_bool("NOTIFY_ALLOW_PRIVATE", LOCAL)  # may channels lead into private networks?
NOTIFY_ALLOW_HTTP = env_bool("NOTIFY_ALLOW_HTTP", LOCAL)
WORKSPACES_ROOT = VAR / "workspaces"
SOCKETS_ROOT = VAR / "run"
RUNTIME_ROOT = VAR / "runtime"
SERVICE_LISTEN = os.environ.get("FDD_SERVICE_LISTEN", "127.0.0.1")
TRAEFIK_API_PORT = env_int("FDD_TRAEFIK_API_PORT", 20099)
INSTANCE_PORTS = (env_int("FDD_INSTANCE_PORT_FIRST", 21000), env_int("FDD_INSTANCE_PORT_LAST", 22999))
SERVICE_PORTS = (env_int("FDD_PORT_FIRST", 20000), env_int("FDD_PORT_LAST", 20063))

# --- language (people: sign_in.py) --------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = os.environ.get("LANGUAGE_CODE", "en")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_SAMESITE = "Lax"
USE_I18N = True
USE_TZ = True
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")

# --- transport safety ------------------------------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE_TRANSPORT
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if SECURE_TRANSPORT:  # no other host of the domain, and nothing unencrypted, can plant these
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TRANSPORT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_TRANSPORT
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("BEHIND_PROXY", False) else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)

# --- API -----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "permissions.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["fangduoduo_release.common.api.parsers.SafeJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "fangduoduo_release.common.api.pagination.CursorPages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "fangduoduo_release.common.api.errors.problem_answer",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "fangduoduo_release",
    "DESCRIPTION": "Push, build, version, deploy, roll back.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "fangduoduo_release.common.api.schema.describe_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "BuildStateEnum": "builds.states.BUILD_CHOICES",
        "StageStateEnum": "builds.states.STAGE_CHOICES",
        "DeploymentStateEnum": "deployments.states.DEPLOYMENT_CHOICES",
        "CredentialKindEnum": "builds.models.Credential.Kind",
        "FreezeKindEnum": "clusters.models.FreezeWindow.Kind",
        "RoleEnum": "permissions.roles.Role",
        "ApproverRoleEnum": "clusters.models.ApproverRole",
        "PipelineOriginEnum": "projects.models.Project.PipelineOrigin",
        "RequestKindEnum": "projects.models.AccessRequest.Kind",
        "RequestStateEnum": "projects.states.REQUEST_CHOICES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "fangduoduo_release.common.logs.JsonFormatter"},
        "plain": {
            "()": "fangduoduo_release.common.logs.PlainFormatter",
            "format": "%(levelname).1s %(name)s: %(message)s",
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain" if LOCAL else "json"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "audit": {"level": "WARNING" if LOCAL else "INFO"},  # a line per row, to be kept elsewhere
        "django.server": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        # Ours, which lets no token through.
        "uvicorn": {"handlers": ["stderr"], "propagate": False},
        "uvicorn.access": {"handlers": ["stderr"], "propagate": False},
        "axes": {"level": "ERROR"},  # the audit says it better
        "django-q": {"level": "WARNING"},
        "asyncssh": {"level": "WARNING"},
    },
}
