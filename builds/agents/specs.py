"""From a build's rows to the plain spec an executor takes; secrets are opened here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from django.conf import settings

from builds import registries
from builds.drivers.builder.base import BuildSpec, Credential, CredentialKind, FinalState, Limits
from builds.drivers.builder.embedded.git import without_password
from builds.models import Build, ChangeBuild
from projects.sources import source_of


def limits() -> Limits:
    """What one embedded build may use, from the settings."""
    return Limits(**settings.BUILD_LIMITS)


def spec_of(build: Build, slot: int) -> BuildSpec:
    """Everything the executor needs for this build, whose commit was brought before (`bringing`)."""
    project = build.project
    source, repository = source_of(project)
    previous = (
        Build.objects.filter(project=project, ref=build.ref, pk__lt=build.pk, state__in=Build.STATES.final)
        .order_by("-id")
        .values("state", "number")
        .first()
    )
    credentials = {
        row.ident: Credential(cast(CredentialKind, row.kind), row.values or {}) for row in project.credentials.all()
    }
    path: Any = getattr(source, "path", None)
    place = str(path(repository)) if path else source.clone_url(repository)
    push = registries.push_values(build)
    ours = {**marks_of(build, place), **push.plain, **push.secret}
    return BuildSpec(
        key=str(build.key),
        project=project.slug,
        number=build.number,
        pipeline=build.pipeline.text if build.pipeline else "",
        repository=place,
        ref=build.ref_name,
        commit=build.commit_sha,
        workspace_root=Path(settings.WORKSPACES_ROOT),
        artifacts_dir=artifacts_dir(build),
        parameters={**build.parameters, **ours},
        environment={**portal_marks(), **ours, **change_marks(build)},
        is_tag=build.is_tag,
        previous_commit=build.previous_sha,
        previous_result=cast(FinalState, previous["state"]) if previous else None,
        previous_number=previous["number"] if previous else 0,
        trigger={"manual": "user", "api": "user"}.get(build.trigger, build.trigger),
        triggered_by=build.started_by.username if build.started_by else "system",
        credentials=credentials,
        secrets=tuple(push.secret.values()),
        limits=limits(),
        build_url=build_url(build),
        portal_url=settings.PUBLIC_URL,
        executor_number=slot,
    )


def marks_of(build: Build, place: str) -> dict[str, str]:
    """What a build is told of itself, under the names it has on every builder; `place`: where its repository is."""
    return {
        "FDD_BUILD_KEY": str(build.key),
        "FDD_BUILD_URL": build_url(build),
        "FDD_REPOSITORY": without_password(place),
        "FDD_REF": build.ref,
        "FDD_COMMIT": build.commit_sha,
        "FDD_FETCH": f"+{build.ref}:{build.ref.replace('refs/', 'refs/remotes/origin/', 1)}" if build.is_change else "",
    }


def change_marks(build: Build) -> dict[str, str]:
    """What the build of a change is told of it, under the names that Jenkins' plugins gave these things."""
    change = ChangeBuild.objects.filter(build=build).first() if build.is_change else None
    if change is None:
        return {}
    return {
        "CHANGE_ID": str(change.number),
        "CHANGE_TARGET": change.branch,
        "CHANGE_URL": change.url,
        "GERRIT_CHANGE_NUMBER": str(change.number),
        "GERRIT_PATCHSET_NUMBER": str(change.patch_set),
        "GERRIT_CHANGE_ID": change.change_id,
        "GERRIT_CHANGE_URL": change.url,
        "GERRIT_BRANCH": change.branch,
        "GERRIT_REFSPEC": build.ref,
        "GERRIT_PATCHSET_REVISION": build.commit_sha,
    }


def build_url(build: Build) -> str:
    """The build's page here."""
    return f"{settings.PUBLIC_URL}/builds/{build.pk}/"


def portal_marks() -> dict[str, str]:
    """What every process of a build carries beside its key: which portal it belongs to."""
    return {"FDD_PORTAL": str(settings.VAR)}


def artifacts_dir(build: Build) -> Path:
    """Where the executor puts archived files until they are stored."""
    return Path(settings.WORKSPACES_ROOT) / "artifacts" / str(build.key)
