"""A project's pipeline text: read from the repository at a commit, kept in the portal, or, where there is neither,
chosen by the build service; each text is one revision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from builds import build_service
from builds.build_service import Resolved
from builds.jenkinsfile import validate
from builds.merging import refuse_markers
from builds.models import PipelineRevision, TemplateRevision
from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.sentence import S
from projects.models import Project
from projects.sources import source_of

PATH = "Jenkinsfile"
MAX_BYTES = 1 << 20


def text_at(project: Project, ref: str) -> str:
    """The Jenkinsfile in the repository at `ref`. Raises NotFound (none there), Invalid (not text, too large)."""
    source, repository = source_of(project)
    try:
        content = source.read_file(repository, ref, PATH, max_bytes=MAX_BYTES)
    except NotFound as error:
        if error.code in {"unknown_ref", "empty_repository"}:
            raise
        raise NotFound(
            S(
                "There is no Jenkinsfile at %(ref)s; add one to the repository or write the pipeline in the portal.",
                ref=ref,
            ),
            code="no_pipeline",
        ) from error
    try:
        text = content.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(S("The Jenkinsfile is not UTF-8 text."), code="bad_pipeline") from error
    if "\0" in text:
        raise Invalid(S("The Jenkinsfile holds NUL characters; it is not text."), code="bad_pipeline")
    return text


def revision_for(project: Project, commit: str) -> PipelineRevision:
    """The revision a build of `commit` runs. Raises NotFound, Invalid."""
    found = _look(project, commit)
    if found.revision is not None:
        return found.revision
    if found.chosen is None:
        return remember(project, found.text, PipelineRevision.Origin.REPOSITORY, author="")
    return remember(
        project,
        found.text,
        PipelineRevision.Origin.SERVICE,
        author="",
        note=found.chosen.reason,
        template_revision=found.chosen.revision,
    )


@dataclass(frozen=True, slots=True)
class Look:
    """The pipeline as it is at one commit: kept here (`revision`), chosen by the service (`chosen`), else the
    repository's own."""

    text: str = ""
    revision: PipelineRevision | None = None
    chosen: Resolved | None = None

    @property
    def template_revision(self) -> TemplateRevision | None:
        """Which text of which template this one came from, if any."""
        if self.revision is not None:
            return self.revision.template_revision
        return self.chosen.revision if self.chosen else None


def _look(project: Project, ref: str) -> Look:
    """Raises NotFound, Invalid, Unavailable."""
    if project.pipeline_origin == Project.PipelineOrigin.PORTAL:
        saved = current(project)
        return Look(saved.text, saved) if saved else _chosen(project, ref)
    try:
        return Look(text_at(project, ref))
    except NotFound as error:
        if error.code != "no_pipeline" or current(project) is not None:
            raise
    return _chosen(project, ref)


def _chosen(project: Project, ref: str) -> Look:
    try:
        resolved = build_service.resolve(project, ref)
    except NotFound as error:
        if error.code != "no_template":
            raise
        raise NotFound(error.sentence, code="no_pipeline") from error
    return Look(resolved.text, chosen=resolved)


def current(project: Project) -> PipelineRevision | None:
    """The newest revision that was saved in the portal."""
    rows = project.pipeline_revisions.filter(origin=PipelineRevision.Origin.PORTAL).order_by("-number")
    return rows.select_related("template_revision__template").first()


def remember(
    project: Project,
    text: str,
    origin: str,
    *,
    author: str,
    note: str = "",
    template_revision: TemplateRevision | None = None,
) -> PipelineRevision:
    """The project's revision with this text from this template, made if it is new."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        last: Any = project.pipeline_revisions.order_by("-number").first()
        alike = project.pipeline_revisions.filter(sha256=sha256, origin=origin, template_revision=template_revision)
        same = alike.order_by("-number").first()
        if same is not None and (origin != PipelineRevision.Origin.PORTAL or last.pk == same.pk):
            return same
        return PipelineRevision.objects.create(
            project=project,
            number=(last.number if last else 0) + 1,
            text=text,
            sha256=sha256,
            origin=origin,
            template_revision=template_revision,
            author=author,
            note=note[:200],
        )


def check(text: str) -> None:
    """Refuse a text Jenkins would refuse. Raises Invalid with the first problem's place; `fields["text"]` has them all."""
    refuse_markers(text)
    found = validate(text)
    if found.errors:
        first = found.errors[0]
        lines = [
            S("Line %(line)s, column %(column)s: %(what)s", line=p.line, column=p.column, what=str(p.message))
            for p in found.errors
        ]
        raise Invalid(
            S(
                "Line %(line)s, column %(column)s: %(what)s",
                line=first.line,
                column=first.column,
                what=str(first.message),
            ),
            code="bad_pipeline",
            fields={"text": lines},
        )


def look_closely(project: Project) -> Look:
    """The pipeline as it is now. Raises NotFound, Invalid (why there is none), Unavailable."""
    return _look(project, project.default_branch)


def look(project: Project) -> Look:
    """The same for whoever need not know why there is none: an empty one."""
    try:
        return look_closely(project)
    except (NotFound, Invalid):
        return Look()


def shown(project: Project) -> tuple[str, PipelineRevision | None]:
    """The text alone, and its saved revision."""
    found = look(project)
    return found.text, found.revision
