"""Who is told when a build has ended: whoever started it and whoever wrote the commit, and the project's channels."""

from __future__ import annotations

from django.urls import reverse

from builds import reviews
from builds.models import Build
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions import policy
from permissions.models import User

MOST_AUTHORS = 3  # people who share an address


def build_ended(build: Build) -> None:
    """Tell of a build that failed, and reviewers of any. Called in the transaction that ends it."""
    reviews.build_ended(build)
    if build.state != "failed":
        return
    outbox.tell(
        "build.failed",
        S(
            "Build #%(number)s of %(project)s failed: %(subject)s (%(branch)s).",
            number=build.number,
            project=build.project.slug,
            subject=build.commit_subject or build.short_sha,
            branch=build.ref_name,
        ),
        people=_people(build),
        project=build.project.slug,
        link=reverse("build", args=[build.pk]),
        once=f"build:{build.pk}:failed",
    )


def _people(build: Build) -> list[User]:
    """An address in a commit is only a claim, so authors are told only of what they may see anyway."""
    people = [build.started_by] if build.started_by is not None else []
    if build.commit_email:
        people += User.objects.filter(email__iexact=build.commit_email, is_active=True)[:MOST_AUTHORS]
    return [person for person in people if policy.may(person, "view_project", build.project)]
