"""Templates, what a project takes from them, and the build service's answers as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from builds.build_service import MAX_FILES
from builds.models import Template, TemplateRevision
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S
from projects.models import Project

MAX_TEXT = 1 << 20


class TemplateOut(serializers.ModelSerializer[Template]):
    """A template in a list. `projects` counts those the caller may see."""

    name = serializers.SerializerMethodField()
    description = serializers.SerializerMethodField()
    revision = serializers.IntegerField(source="newest", allow_null=True)
    projects = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = ["slug", "name", "description", "language", "builtin", "retired", "revision", "projects", "created_at"]

    def get_name(self, row: Template) -> str:
        return say(S(row.name))

    def get_description(self, row: Template) -> str:
        return say(S(row.description))

    def get_projects(self, row: Template) -> int:
        return int(self.context["used"].get(row.pk, 0))


class TemplateTextOut(TemplateOut):
    """A template by itself: with its newest text and what that asks for."""

    text = serializers.CharField()
    parameters = serializers.ListField(child=serializers.DictField())

    class Meta(TemplateOut.Meta):
        fields = [*TemplateOut.Meta.fields, "text", "parameters"]


class TemplateIn(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=50)
    text = serializers.CharField(max_length=MAX_TEXT, trim_whitespace=False)
    name = serializers.CharField(required=False, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    language = serializers.CharField(required=False, allow_blank=True, max_length=30)
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)


class TemplatePatch(serializers.Serializer[Any]):
    text = serializers.CharField(required=False, max_length=MAX_TEXT, trim_whitespace=False)
    name = serializers.CharField(required=False, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    language = serializers.CharField(required=False, allow_blank=True, max_length=30)
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    retired = serializers.BooleanField(required=False)


class TemplateRevisionOut(serializers.ModelSerializer[TemplateRevision]):
    revision = serializers.IntegerField(source="number")

    class Meta:
        model = TemplateRevision
        fields = ["revision", "sha256", "author", "note", "created_at", "text"]


class UpgradeQuery(serializers.Serializer[Any]):
    """The two revisions of a comparison, from the address."""

    from_ = serializers.IntegerField(allow_null=True, min_value=1, max_value=10**9)
    to = serializers.IntegerField(allow_null=True, min_value=1, max_value=10**9)


class TemplateDiffOut(serializers.Serializer[Any]):
    """`diff` is a unified diff; empty when both are the same."""

    to = serializers.IntegerField()
    diff = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(), **super().get_fields()}  # a Python keyword


class TemplateProjectOut(serializers.ModelSerializer[Project]):
    """`behind`: how many revisions the template got since. `chosen`: by the build service, at every build anew."""

    project = serializers.CharField(source="slug")
    revision = serializers.IntegerField(source="followed")
    behind = serializers.SerializerMethodField()
    chosen = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = ["project", "name", "revision", "behind", "chosen"]

    def get_behind(self, row: Any) -> int:
        return int(self.context["newest"] - row.followed)

    def get_chosen(self, row: Any) -> bool:
        return bool(row.follows_by == "service")


class UpgradeIn(serializers.Serializer[Any]):
    template_revision = serializers.IntegerField(required=False, min_value=1, max_value=10**9)
    text = serializers.CharField(required=False, max_length=MAX_TEXT, trim_whitespace=False)
    onto = serializers.IntegerField(required=False, min_value=1, max_value=10**9)
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)
    apply = serializers.BooleanField(required=False, default=False)


class ConflictOut(serializers.Serializer[Any]):
    """Lines `first` to `last` of the text, markers and all, and the three sides between them."""

    first = serializers.IntegerField()
    last = serializers.IntegerField()
    ours = serializers.CharField()
    base = serializers.CharField()
    theirs = serializers.CharField()


class UpgradeOut(serializers.Serializer[Any]):
    """`revision` is the pipeline's new revision, null for a look in advance."""

    template = serializers.CharField()
    from_revision = serializers.IntegerField()
    template_revision = serializers.IntegerField()
    onto = serializers.IntegerField()
    text = serializers.CharField()
    conflicts = ConflictOut(many=True)
    revision = serializers.IntegerField(allow_null=True)


class ResolveIn(serializers.Serializer[Any]):
    """A project, or the names of a repository's files."""

    project = serializers.CharField(required=False, max_length=50)
    ref = serializers.CharField(required=False, allow_blank=True, max_length=250)
    files = serializers.ListField(
        child=serializers.CharField(max_length=1000), required=False, allow_empty=True, max_length=MAX_FILES
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("project" in attrs) == ("files" in attrs):
            raise serializers.ValidationError(say(S("Name a project or list files, one of the two.")))
        return attrs


class ConsideredOut(serializers.Serializer[Any]):
    template = serializers.CharField()
    file = serializers.CharField()
    chosen = serializers.BooleanField()


class ResolvedOut(serializers.Serializer[Any]):
    template = serializers.CharField()
    revision = serializers.IntegerField()
    text = serializers.CharField()
    why = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    folder = serializers.CharField()
    considered = ConsideredOut(many=True)
    parameters = serializers.ListField(child=serializers.DictField())
