"""The template library's rows: a template, and every text it ever had. Part of `builds.models`."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

TEMPLATE_SLUG = RegexValidator(
    r"\A[a-z]([a-z0-9-]{0,48}[a-z0-9])?\Z",
    _("Use 1 to 50 lower-case letters, digits and hyphens; begin with a letter, end with a letter or digit."),
)


class Template(models.Model):
    """A pipeline that projects begin with. Those that came with the portal get new revisions when it is upgraded."""

    slug = models.CharField(_("slug"), max_length=50, unique=True, validators=[TEMPLATE_SLUG])
    name = models.CharField(_("name"), max_length=100)
    description = models.CharField(_("description"), max_length=500, blank=True)
    language = models.CharField(_("language"), max_length=30, blank=True)  # java, node, … "" for any
    builtin = models.BooleanField(default=False, editable=False)  # came with the portal
    retired = models.BooleanField(_("retired"), default=False)  # offered to nobody new
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("template")
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def latest(self) -> TemplateRevision | None:
        return self.revisions.order_by("-number").first()


class TemplateRevision(models.Model):
    """One text of a template. Never changed; a project's copy remembers which one it came from."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    note = models.CharField(max_length=200, blank=True)
    author = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("template revision")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_number_once")]

    def __str__(self) -> str:
        return f"{self.template} {self.number}"
