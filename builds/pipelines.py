"""A project's pipeline text: read from the repository at a commit or kept in the portal; each text is one revision."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import transaction

from builds.jenkinsfile import validate
from builds.models import PipelineRevision
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
    if project.pipeline_origin == Project.PipelineOrigin.PORTAL:
        latest = current(project)
        if latest is None:
            raise NotFound(S("This project has no pipeline yet; write one on its Pipeline page."), code="no_pipeline")
        return latest
    return remember(project, text_at(project, commit), PipelineRevision.Origin.REPOSITORY, author="")


def current(project: Project) -> PipelineRevision | None:
    """The newest revision that was saved in the portal."""
    return project.pipeline_revisions.filter(origin=PipelineRevision.Origin.PORTAL).order_by("-number").first()


def remember(project: Project, text: str, origin: str, *, author: str, note: str = "") -> PipelineRevision:
    """The project's revision with this text, made if it is new."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        last: Any = project.pipeline_revisions.order_by("-number").first()
        same = project.pipeline_revisions.filter(sha256=sha256, origin=origin).order_by("-number").first()
        if same is not None and (origin != PipelineRevision.Origin.PORTAL or last.pk == same.pk):
            return same
        return PipelineRevision.objects.create(
            project=project,
            number=(last.number if last else 0) + 1,
            text=text,
            sha256=sha256,
            origin=origin,
            author=author,
            note=note[:200],
        )


def check(text: str) -> None:
    """Refuse a text Jenkins would refuse. Raises Invalid with the first problem's place; `fields["text"]` has them all."""
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


def shown(project: Project) -> tuple[str, PipelineRevision | None]:
    """The text a person sees as the project's pipeline now, and its saved revision; "" when there is none yet."""
    if project.pipeline_origin == Project.PipelineOrigin.PORTAL:
        revision = current(project)
        return (revision.text if revision else ""), revision
    try:
        return text_at(project, project.default_branch), None
    except (NotFound, Invalid):
        return "", None
