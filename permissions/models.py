"""People and their keys. What they may do is data in `roles.py`, asked in `policy.py`."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.models import AbstractUser, Permission
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A person or a service account."""

    _known_ops: bool | None = None

    class Meta(AbstractUser.Meta):
        permissions = [("ops", "May operate the whole system")]

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


class ApiToken(models.Model):
    """A key for scripts and git. Shown once, stored as a sha256 of high-entropy text, found by its prefix."""

    MARK = "fdd_"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    scopes = models.JSONField(default=list, blank=True)  # empty: all that its user may do
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(cls, user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
        """A saved token and its only readable copy."""
        prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
        text = f"{cls.MARK}{prefix}_{secret}"
        row = cls.objects.create(user=user, name=name, prefix=prefix, digest=cls.hash(text), expires_at=expires_at)
        return row, text

    @staticmethod
    def hash(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def find(cls, text: str) -> ApiToken | None:
        """The live token that `text` is, or None."""
        if not text.startswith(cls.MARK):
            return None
        prefix = text[len(cls.MARK) :].partition("_")[0]
        token = cls.objects.select_related("user").filter(prefix=prefix, revoked_at=None).first()
        if token is None or not secrets.compare_digest(token.digest, cls.hash(text)) or not token.user.is_active:
            return None
        if token.expires_at is not None and token.expires_at <= timezone.now():
            return None
        return token
