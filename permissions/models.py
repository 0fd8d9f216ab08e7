"""People and service accounts, their keys, their sessions. What they may do is data in `roles.py`, asked in `policy.py`."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import AbstractUser, Permission
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A person or a service account. Topic `people/<pk>`: wakes their sockets when what they may do has changed."""

    is_service = models.BooleanField(
        _("service account"), default=False, help_text=_("A program: it has tokens and no way to sign in.")
    )
    external = models.CharField(_("comes from"), max_length=255, blank=True, default="", editable=False)
    epoch = models.PositiveIntegerField(default=0, editable=False)  # one more ends every session and JWT
    event_seq = models.PositiveIntegerField(default=0, editable=False)

    _known_ops: bool | None = None
    scopes: frozenset[str] = frozenset()  # of the token this object was found by; none: no limit

    class Meta(AbstractUser.Meta):
        permissions = [("ops", "May operate the whole system")]
        constraints = [
            models.UniqueConstraint(
                fields=["external"], condition=~models.Q(external=""), name="one_person_per_external_account"
            )
        ]

    @property
    def is_ops(self) -> bool:
        """Asked on every page, so in one question and once; `policy.forget` makes it be asked again."""
        if not self.is_active or self.is_superuser:
            return self.is_active
        if self._known_ops is None:
            mine = models.Q(user=self) | models.Q(group__user=self)
            named = Permission.objects.filter(codename="ops", content_type__app_label="permissions")
            self._known_ops = named.filter(mine).exists()
        return self._known_ops

    @property
    def label(self) -> str:
        return self.get_full_name() or self.username

    @property
    def topic(self) -> str:
        return f"people/{self.pk}"

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's own, with the epoch: signing out everywhere needs no new password."""
        facts = f"{self.password}:{self.epoch}"
        return salted_hmac("permissions.User.session", facts, secret=secret, algorithm="sha256").hexdigest()


class ServiceAccount(User):
    """The same rows for the ops screen: service accounts alone."""

    class Meta:
        proxy = True
        verbose_name = _("service account")
        verbose_name_plural = _("service accounts")


class ApiToken(models.Model):
    """A key for scripts and git. Shown once, stored as a sha256 of high-entropy text, found by its prefix."""

    MARK = "fdd_"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list, blank=True)  # empty: all that its user may do
    made_by = models.CharField(_("made by"), max_length=150, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """revoked, expired or ok."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "ok"

    @classmethod
    def make(
        cls, user: User, name: str, expires_at: datetime | None = None, *, scopes: Iterable[str] = (), made_by: str = ""
    ) -> tuple[ApiToken, str]:
        """A saved token and its only readable copy."""
        prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
        text = f"{cls.MARK}{prefix}_{secret}"
        row = cls.objects.create(
            user=user, name=name, prefix=prefix, digest=cls.hash(text), expires_at=expires_at,
            scopes=sorted(scopes), made_by=made_by,
        )  # fmt: skip
        return row, text

    @staticmethod
    def hash(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def find(cls, text: str) -> ApiToken | None:
        """The live token that `text` is, or None. Its `user` carries the token's scopes."""
        if not text.startswith(cls.MARK):
            return None
        prefix = text[len(cls.MARK) :].partition("_")[0]
        token = cls.objects.select_related("user").filter(prefix=prefix, revoked_at=None).first()
        if token is None or not secrets.compare_digest(token.digest, cls.hash(text)) or not token.user.is_active:
            return None
        if token.state != "ok":
            return None
        token.user.scopes = frozenset(token.scopes)
        return token


class SignedIn(models.Model):
    """One browser somebody is signed in with: where and when, to be looked at and ended. The session itself is
    Django's; this row only knows its key, which is shown to nobody."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in", verbose_name=_("person"))
    key = models.CharField(max_length=40, unique=True, editable=False)
    how = models.CharField(max_length=20, blank=True)  # password, oidc, ldap
    address = models.CharField(_("address"), max_length=60, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField(_("signed in"), auto_now_add=True)
    seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("session")
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return f"{self.user} {self.address}"


class JwtFamily(models.Model):
    """All that follows from one sign-in at the gateway: one refresh token is good at a time, the one with `number`.

    No token is stored, only which number is next: an older one that comes again was stolen, or its thief was first.
    """

    ident = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="jwt_families")
    number = models.PositiveIntegerField(default=0)
    address = models.CharField(_("address"), max_length=60, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("gateway sign-in")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user} {self.ident}"
