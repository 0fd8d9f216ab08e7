"""What people do to builds and pipelines: one function a verb; every door calls these."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from builds import changes, judges, pipelines, registries
from builds.endings import close_what_is_open
from builds.models import Build, Credential, InputRequest, PipelineRevision, TemplateRevision
from fangduoduo_release.audit import trail
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.actor import System, name_of, user_or_none
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.settling import settle
from permissions import policy
from projects.drivers.source.base import HEADS, TAGS, Commit, Reviewing
from projects.drivers.source.git_names import is_short_sha
from projects.models import Project
from projects.sources import source_of

CREDENTIAL_VALUES: dict[str, set[str]] = {  # what each kind cannot do without
    Credential.Kind.TEXT: {"secret"},
    Credential.Kind.USERNAME_PASSWORD: {"username", "password"},
    Credential.Kind.FILE: {"name", "content"},
    Credential.Kind.SSH_KEY: {"username", "private_key"},
}
MAX_PARAMETERS = 100
MAX_VALUE = 32 * 1024


def start_build(
    *, actor: Any, project: Project, ref: str = "", parameters: Mapping[str, Any] | None = None, trigger: str = "manual"
) -> Build:
    """Queue a build of the commit `ref` leads to now (default: the default branch). Raises Denied, NotFound, Invalid, Conflict."""
    policy.require(actor, "build_project", project)
    _refuse_archived(project)
    wanted = ref or project.default_branch
    source, repository = source_of(project)
    if project.repository:
        source.refresh(repository)
    full, commit = _named(source, repository, wanted)
    bare = is_short_sha(wanted) and full == HEADS + wanted
    if bare and isinstance(source, Reviewing) and not source.held(repository, commit.sha):
        sentence = S("No branch and no tag holds the commit %(commit)s: it is under review.", commit=commit.short)
        raise Invalid(sentence, code="under_review", fields={"ref": [sentence]})  # its build would leave a version
    return queue_build(
        actor=actor,
        project=project,
        ref=full,
        commit=commit,
        parameters=checked_parameters(parameters),
        trigger=trigger,
    )


def _named(source: Any, repository: Any, wanted: str) -> tuple[str, Commit]:
    """The full name of a branch or tag, and its commit; a bare sha is shown as it was asked for. Raises NotFound, Invalid."""
    if not wanted.startswith("refs/"):
        for prefix in (HEADS, TAGS):
            with contextlib.suppress(NotFound):
                return prefix + wanted, source.resolve(repository, prefix + wanted)
    commit = source.resolve(repository, wanted)
    return wanted if wanted.startswith("refs/") else HEADS + wanted, commit


def checked_parameters(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Names and values that a process environment can carry. Raises Invalid."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or len(given) > MAX_PARAMETERS:
        raise Invalid(S("Parameters are at most %(limit)s names with values.", limit=MAX_PARAMETERS))
    for name, value in given.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise Invalid(S("“%(name)s” is not a parameter name.", name=str(name)[:80]))
        if not isinstance(value, str | bool | int | float) or len(str(value)) > MAX_VALUE or "\0" in str(value):
            raise Invalid(S("The value of “%(name)s” must be plain text.", name=name))
    return dict(given)


def queue_build(
    *,
    actor: Any,
    project: Project,
    ref: str,
    commit: Commit,
    parameters: Mapping[str, Any],
    trigger: str,
    dedupe_key: str | None = None,
    retry_of: Build | None = None,
    pipeline: PipelineRevision | None = None,
) -> Build:
    """One row, its event and audit line, then the doorbell. The same dedupe key gives the first build."""
    previous = (
        Build.objects.filter(project=project, ref=ref, state__in=("succeeded", "unstable", "failed"))
        .order_by("-id")
        .values_list("commit_sha", flat=True)
        .first()
    )
    try:
        with transaction.atomic():
            Project.objects.filter(pk=project.pk).update(last_build_number=F("last_build_number") + 1)
            project.refresh_from_db(fields=["last_build_number"])
            build = Build.objects.create(
                project=project,
                number=project.last_build_number,
                dedupe_key=dedupe_key,
                trigger=trigger,
                started_by=user_or_none(actor),
                retry_of=retry_of,
                pipeline=pipeline,
                ref=ref,
                commit_sha=commit.sha,
                commit_subject=commit.subject[:300],
                commit_author=commit.author.name[:150],
                commit_email=commit.author.email[:200],
                previous_sha=previous or "",
                parameters=dict(parameters),
                builder_kind=project.builder_kind,
                builder_connection=project.builder_connection,
                image=registries.image_for(project, project.last_build_number, commit.sha),
                next_at=Now(),
            )
            events.record(build, "queued", S("Queued by %(who)s.", who=name_of(actor)), trigger=trigger)
            trail.record(actor, "build.start", build, after={"ref": ref, "commit": commit.sha, "trigger": trigger})
            ring("build", build.pk)
    except IntegrityError:
        if dedupe_key is None:
            raise
        return Build.objects.get(project=project, dedupe_key=dedupe_key)
    return build


def retry_build(*, actor: Any, build: Build) -> Build:
    """Build the same commit with the same parameters and pipeline once more. Raises Denied, Conflict."""
    policy.require(actor, "build_project", build.project)
    _refuse_archived(build.project)
    if not build.is_final:
        raise Conflict(S("This build has not ended yet; cancel it first."), code="still_running")
    source, repository = source_of(build.project)
    commit = source.resolve(repository, build.commit_sha)
    with transaction.atomic():
        again = queue_build(
            actor=actor,
            project=build.project,
            ref=build.ref,
            commit=commit,
            parameters=build.parameters,
            trigger=Build.Trigger.RETRY,
            retry_of=build,
            pipeline=build.pipeline,
        )
        if build.is_change:
            changes.copy(again, build)
    return again


def cancel_build(*, actor: Any, build: Build) -> None:
    """Ask the build to stop; the engine or the agent honours it. Raises Denied, Conflict (already ended)."""
    policy.require(actor, "build_project", build.project)
    with transaction.atomic():
        runs.request_cancel(build, name_of(actor))
        trail.record(actor, "build.cancel", build)
        ring("build", build.pk)


def answer_input(*, actor: Any, request: InputRequest, proceed: bool, values: Mapping[str, Any] | None = None) -> None:
    """Answer a pipeline's question. Raises Denied (not a submitter), Conflict (already answered)."""
    build = request.build
    policy.require(actor, "build_project", build.project)
    if request.submitters and not isinstance(actor, System) and not policy.is_ops(actor):
        names = {actor.username, *actor.groups.values_list("name", flat=True)}
        if not names & set(request.submitters):
            raise Denied(
                S("Only %(who)s may answer this.", who=", ".join(request.submitters)),
                rule="input_submitter",
                granted_by=request.submitters,
            )
    with transaction.atomic():
        answered = InputRequest.objects.filter(pk=request.pk, answer="").update(
            answer="proceed" if proceed else "abort",
            values=checked_parameters(values),
            answered_by=name_of(actor),
            answered_at=Now(),
        )
        if not answered:
            raise Conflict(S("Somebody has answered this already."), code="already_answered")
        word = (
            S("%(who)s let it proceed.", who=name_of(actor))
            if proceed
            else S("%(who)s aborted it.", who=name_of(actor))
        )
        events.record(build, "input_answered", word)
        trail.record(actor, "build.input", build, after={"proceed": proceed, "input": request.ident})
        if build.builder_kind != "embedded":  # an agent looks by itself; for a server elsewhere the engine passes it on
            runs.poke(build)
            ring("build", build.pk)


def save_pipeline(
    *,
    actor: Any,
    project: Project,
    text: str,
    note: str = "",
    template_revision: TemplateRevision | None = None,
    verb: str = "pipeline.save",
) -> PipelineRevision:
    """Keep `text` as the project's pipeline in the portal, as a copy of that template's text if it is one.
    Raises Denied, Invalid (with the first problem and its place)."""
    policy.require(actor, "change_project", project)
    judges.check(text, project)
    with transaction.atomic():
        revision = pipelines.remember(
            project,
            text,
            PipelineRevision.Origin.PORTAL,
            author=name_of(actor),
            note=note,
            template_revision=template_revision,
        )
        if project.pipeline_origin != Project.PipelineOrigin.PORTAL:
            project.pipeline_origin = Project.PipelineOrigin.PORTAL
            project.save(update_fields=["pipeline_origin"])
        after: dict[str, Any] = {"revision": revision.number, "sha256": revision.sha256}
        if template_revision is not None:
            after |= {"template": template_revision.template.slug, "template_revision": template_revision.number}
        trail.record(actor, verb, project, after=after)
    return revision


def save_credential(
    *, actor: Any, project: Project, ident: str, kind: str, values: Mapping[str, str], description: str = ""
) -> Credential:
    """Keep a secret that pipelines may name. Raises Denied, Invalid."""
    policy.require(actor, "change_project", project)
    if kind not in Credential.Kind.values:
        raise Invalid(S("There is no kind of credential called “%(kind)s”.", kind=kind))
    if not ident or len(ident) > 80 or not all(c.isalnum() or c in "-_." for c in ident):
        raise Invalid(S("A credential's id has letters, digits, dots, hyphens and underscores."), fields={"id": []})
    missing = sorted(CREDENTIAL_VALUES[kind] - set(values))
    if missing:
        raise Invalid(S("This kind of credential needs “%(name)s”.", name=missing[0]), fields={"values": []})
    with transaction.atomic():
        old = Credential.objects.filter(project=project, ident=ident).first()
        row, _ = Credential.objects.update_or_create(
            project=project,
            ident=ident,
            defaults={"kind": kind, "values": dict(values), "description": description},
        )
        trail.record(actor, "credential.save", row, before=_facts(old) if old else None, after=_facts(row))
    return row


def delete_credential(*, actor: Any, project: Project, ident: str) -> None:
    """Forget a secret; pipelines that name it fail from now on. Raises Denied, NotFound."""
    policy.require(actor, "change_project", project)
    with transaction.atomic():
        row = Credential.objects.filter(project=project, ident=ident).first()
        if row is None:
            raise NotFound(S("There is no credential “%(id)s” in this project.", id=ident))
        gone, before = trail.named(row), _facts(row)
        row.delete()
        trail.record(actor, "credential.delete", gone, before=before)


def _facts(credential: Credential) -> dict[str, Any]:
    return {"kind": credential.kind, "description": credential.description, "secrets": credential.values}


def settle_for_ops(*, actor: Any, build: Build, retry: bool) -> None:
    """A build that waits for ops: try again, or end it as failed. Ops only. Raises Denied, Conflict."""
    policy.require_ops(actor)
    with transaction.atomic():
        settle(actor=actor, run=build, retry=retry)
        if not retry:
            close_what_is_open(build)
        trail.record(actor, "build.retry_stuck" if retry else "build.give_up", build)


def _refuse_archived(project: Project) -> None:
    if project.archived:
        raise Conflict(S("The project is archived; restore it before building."), code="archived")
