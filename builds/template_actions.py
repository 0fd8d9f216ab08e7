"""What people do with templates: ops keep the library, a project takes a template and follows it; every door calls these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from builds import actions, pipelines, templates
from builds.merging import Labels, Merged, merge3
from builds.models import PipelineRevision, Template, TemplateRevision
from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects.models import Project


def save_template(
    *,
    actor: Any,
    slug: str,
    text: str,
    name: str = "",
    description: str = "",
    language: str = "",
    note: str = "",
    new: bool = False,
) -> TemplateRevision:
    """A new template, or the next revision of one. Ops only. The same text again makes no revision; words of a template
    that came with the portal stay the portal's. Raises Denied, Invalid, Conflict (`new`, and it is there)."""
    policy.require_ops(actor)
    pipelines.check(text)
    facts = {"name": name.strip() or slug, "description": description.strip(), "language": language.strip()}
    try:
        with transaction.atomic():
            template = Template.objects.select_for_update().filter(slug=slug).first()
            if template is not None and new:
                raise _taken(slug)
            if template is None:
                template = Template(slug=slug, **facts)
                _check(template)
                template.save()
            elif not template.builtin and (name or description or language):
                for field, value in facts.items():
                    setattr(template, field, value)
                _check(template)
                template.save(update_fields=list(facts))
            latest = template.latest
            if latest is not None and latest.sha256 == templates.sha256_of(text):
                revision = latest
            else:
                revision = templates.add_revision(template, text, author=name_of(actor), note=note)
            trail.record(
                actor, "template.save", template, after={"revision": revision.number, "sha256": revision.sha256}
            )
    except IntegrityError as error:
        raise _taken(slug) from error
    return revision


def _taken(slug: str) -> Conflict:
    return Conflict(S("There is a template called “%(name)s” already.", name=slug), code="template_exists")


def _check(template: Template) -> None:
    try:
        template.full_clean(validate_unique=False)
    except ValidationError as error:
        fields = {name: [S(str(text)) for text in texts] for name, texts in error.message_dict.items()}
        raise Invalid(next(iter(fields.values()))[0], fields=fields) from error


def retire_template(*, actor: Any, template: Template, retired: bool = True) -> None:
    """Offer it to nobody new, or again. Projects that have it keep it. Ops only. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        row = Template.objects.select_for_update().get(pk=template.pk)
        before, row.retired = row.retired, retired
        row.save(update_fields=["retired"])
        verb = "template.retire" if retired else "template.restore"
        trail.record(actor, verb, row, before={"retired": before}, after={"retired": retired})
    template.retired = retired


def use_template(
    *, actor: Any, project: Project, template: Template, revision: TemplateRevision | None = None
) -> PipelineRevision:
    """Make the template's text the project's own pipeline. Raises Denied, Conflict (retired), NotFound, Invalid."""
    policy.require(actor, "change_project", project)
    if template.retired:
        raise Conflict(
            S("The template %(name)s was retired; choose another one.", name=template.slug), code="template_retired"
        )
    revision = revision or templates.revision_of(template)
    note = f"{template.slug} {revision.number}"
    return actions.save_pipeline(
        actor=actor,
        project=project,
        text=revision.text,
        note=note,
        template_revision=revision,
        verb="pipeline.template",
    )


def copied_from(project: Project) -> TemplateRevision | None:
    """Which template's revision the project's pipeline is a copy of now: an edited copy stays one."""
    found = pipelines.look(project)
    return found.template_revision


def keep_chosen(*, actor: Any, project: Project) -> PipelineRevision:
    """What the build service chose becomes the project's own, so that it changes only when somebody changes it.
    Raises Denied, Conflict (nothing was chosen), Invalid."""
    policy.require(actor, "change_project", project)
    found = pipelines.look(project)
    if found.chosen is None:
        raise Conflict(S("The build service chose nothing for this project: it has a pipeline, or no files to go by."))
    revision = found.chosen.revision
    return actions.save_pipeline(
        actor=actor,
        project=project,
        text=found.text,
        note=f"{revision.template.slug} {revision.number}",
        template_revision=revision,
        verb="pipeline.template",
    )


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The project's copy (`own`) with what its template changed since, up to `revision`."""

    own: PipelineRevision
    base: TemplateRevision
    revision: TemplateRevision
    merged: Merged


def merged_upgrade(project: Project, revision: TemplateRevision | None = None) -> Upgrade:
    """The upgrade to that revision (default: the newest), for a person to look at.
    Raises NotFound (no copy of a template), Conflict (nothing newer), Unavailable."""
    own = pipelines.current(project)
    if own is None or own.template_revision is None or project.pipeline_origin != Project.PipelineOrigin.PORTAL:
        raise NotFound(S("This project's pipeline is no copy of a template."), code="no_template")
    base = own.template_revision
    revision = revision or templates.revision_of(base.template)
    if revision.template_id != base.template_id or revision.number <= base.number:
        raise Conflict(
            S("The pipeline has revision %(number)s of %(name)s already.", number=base.number, name=base.template.slug),
            code="up_to_date",
        )
    labels = Labels(
        f"{project.slug}, pipeline revision {own.number}",
        f"{base.template.slug} revision {base.number}",
        f"{base.template.slug} revision {revision.number}",
    )
    return Upgrade(own, base, revision, merge3(base.text, own.text, revision.text, labels))


def upgrade_pipeline(
    *,
    actor: Any,
    project: Project,
    text: str,
    template_revision: TemplateRevision,
    onto: int | None = None,
    note: str = "",
) -> PipelineRevision:
    """Keep the merged text as the project's copy of that newer revision. `onto`: the pipeline revision it was merged
    from. Raises Denied, Conflict (it is another one by now), Invalid (a conflict is left, with its line)."""
    policy.require(actor, "change_project", project)
    own = pipelines.current(project)
    if own is not None and onto not in {None, own.number}:
        raise Conflict(
            S("Somebody saved pipeline revision %(number)s meanwhile; merge again.", number=own.number),
            code="stale_revision",
        )
    base = own.template_revision if own else None
    if base is None or base.template_id != template_revision.template_id:
        raise Conflict(S("The project's pipeline is no copy of this template any more."), code="other_template")
    if template_revision.number < base.number:
        raise Conflict(
            S("The pipeline has revision %(number)s of %(name)s already.", number=base.number, name=base.template.slug),
            code="up_to_date",
        )
    return actions.save_pipeline(
        actor=actor,
        project=project,
        text=text,
        note=note or f"{base.template.slug} {base.number} → {template_revision.number}",
        template_revision=template_revision,
        verb="pipeline.upgrade",
    )
