"""What builds a project and where its images go: chosen by whoever may change the project, among the connections that ops
made. Of those they see names, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from fangduoduo_release.audit import trail
from fangduoduo_release.common import image_names
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from projects.models import Project

HERE = "embedded"
MAX_IMAGE = 200
FAMILIES = {"builder": "remote_builder", "registry": "registry"}


def offered() -> dict[str, list[Connection]]:
    """The connections that can be chosen as `builder` and as `registry`: their names and kinds alone."""
    kinds = {what: settings.DRIVERS[family] for what, family in FAMILIES.items()}
    every = [kind for some in kinds.values() for kind in some]
    rows = list(Connection.objects.filter(kind__in=every).only("name", "kind").order_by("name"))
    return {what: [row for row in rows if row.kind in some] for what, some in kinds.items()}


def label_of(connection: Connection | None) -> str:
    """A builder as people call it; "" for the one here."""
    return f"{connection.kind.capitalize()} · {connection.name}" if connection is not None else ""


def choose(*, actor: Any, project: Project, **changes: Any) -> Project:
    """Change `builder` and `registry` (connections, or None: here, nowhere) and `image`, its name within the registry
    (empty: the slug). Builds that are queued keep what they were queued with. Raises Denied, Invalid."""
    policy.require(actor, "change_project", project)
    check(changes)
    before = _facts(project)
    if "builder" in changes:
        builder: Connection | None = changes["builder"]
        project.builder_connection, project.builder_kind = builder, builder.kind if builder is not None else HERE
    if "registry" in changes:
        project.registry_connection = changes["registry"]
    if "image" in changes:
        project.image = changes["image"].strip()
    after = _facts(project)
    if after != before:
        with transaction.atomic():
            project.save(update_fields=["builder_kind", "builder_connection", "registry_connection", "image"])
            trail.record(actor, "project.update", project, before=before, after=after)
    return project


def check(changes: Mapping[str, Any]) -> None:
    """Whether these can be chosen, whatever the project. Raises Invalid, naming the field."""
    for what in FAMILIES:
        connection: Connection | None = changes.get(what)
        if connection is not None and connection.kind not in settings.DRIVERS[FAMILIES[what]]:
            sentence = (
                S("The connection “%(name)s” is no builder.", name=connection.name)
                if what == "builder"
                else S("The connection “%(name)s” is no image registry.", name=connection.name)
            )
            raise _wrong(what, sentence)
    image = str(changes.get("image") or "").strip()
    if image and (len(image) > MAX_IMAGE or not image_names.is_repository(image)):
        raise _wrong(
            "image",
            S(
                "An image's name has lower-case letters, digits, “.”, “_” and “-”, in parts between “/”; no host, no tag."
            ),
        )


def named(what: str, name: str | None) -> Connection | None:
    """The connection that was named for it. Raises Invalid."""
    if not name:
        return None
    found = Connection.objects.filter(name=name).first()
    if found is None:
        raise _wrong(what, S("There is no connection called “%(name)s”.", name=name))
    return found


def builder_named(kind: str, name: str | None) -> Connection | None:
    """The builder of a kind, behind a connection; both as the API has them. Raises Invalid."""
    builder = named("builder", name)
    if kind and kind not in {*settings.DRIVERS["builder"], *settings.DRIVERS["remote_builder"]}:
        raise _wrong("builder", S("There is no builder of kind “%(kind)s” here.", kind=kind))
    if kind in settings.DRIVERS["remote_builder"] and builder is None:
        raise _wrong("builder", S("Name the connection to the builder."))
    if builder is not None and kind and builder.kind != kind:
        raise _wrong("builder", S("The connection “%(name)s” is not of kind “%(kind)s”.", name=builder.name, kind=kind))
    return builder


def _facts(project: Project) -> dict[str, Any]:
    builder, registry = project.builder_connection, project.registry_connection
    return {
        "builder": f"{project.builder_kind} {builder.name}" if builder is not None else project.builder_kind,
        "registry": registry.name if registry is not None else "",
        "image": project.image,
    }


def _wrong(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})
