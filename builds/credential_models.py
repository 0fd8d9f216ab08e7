"""Secrets that a project's pipelines may name. Part of `builds.models`."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.fields import EncryptedJSONField


class Credential(models.Model):
    """A secret a pipeline may name by `credentials('id')`; belongs to one project."""

    class Kind(models.TextChoices):
        TEXT = "text", _("secret text")
        USERNAME_PASSWORD = "username_password", _("user name and password")
        FILE = "file", _("secret file")
        SSH_KEY = "ssh_key", _("SSH key")

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="credentials")
    ident = models.SlugField(_("id"), max_length=80)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    values = EncryptedJSONField(default=dict, editable=False)
    description = models.CharField(_("description"), max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("credential")
        constraints = [models.UniqueConstraint(fields=["project", "ident"], name="credential_once")]

    def __str__(self) -> str:
        return f"{self.project} {self.ident}"
