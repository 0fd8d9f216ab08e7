"""`python -m benchmarks.remote.fill URL USER TOKEN < builds.json`: rows of builds that run on a Jenkins.

Reads a list of [job, key, queue id, number], where the job's last part is the project; writes what the engine would
have written by the time each of them runs, or waits in the queue (then it has no number).
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.db import transaction  # noqa: E402 - wants the apps to be known
from django.utils import timezone  # noqa: E402

from builds.models import Build, RemoteBuild, Stage  # noqa: E402
from fangduoduo_release.common.models import Connection  # noqa: E402
from projects.models import Project  # noqa: E402

STAGES = ("Checkout", "Build", "Test", "Publish")


@transaction.atomic
def main(url: str, user: str, token: str) -> None:
    wanted = json.load(sys.stdin)
    folder = wanted[0][0].partition("/")[0]
    connection = Connection.objects.create(
        name="ci", kind="jenkins", config={"url": url, "user": user, "folder": folder}, secrets={"token": token}
    )
    projects: dict[str, Project] = {}
    for job, *_ in wanted:
        slug = job.rpartition("/")[2]
        if slug not in projects:
            projects[slug] = Project.objects.create(
                slug=slug, name=slug, builder_kind="jenkins", builder_connection=connection
            )
    now, builds, remotes, stages = timezone.now(), [], [], []
    for position, (job, key, queue_id, number) in enumerate(wanted, 1):
        project = projects[job.rpartition("/")[2]]
        build = Build(
            project=project, number=position, key=key, trigger="manual", ref="refs/heads/main", commit_sha="a" * 40,
            state="running" if number else "queued", started_at=now if number else None, builder_kind="jenkins", builder_connection=connection,
            parameters={"WORD": "hunter22", "PLAIN": "open"},
        )  # fmt: skip
        builds.append(build)
        seen = {"state": "running", "url": f"{url}job/{job.replace('/', '/job/')}/{number}/", "sentence": None}
        observed = {**seen, "started_at": now.isoformat(), "finished_at": None, "asks": False, "has_tests": False}
        waits = {"waiting_for": "Waiting for next available executor"}
        remotes.append((build, job, queue_id, number, observed if number else waits))
    Build.objects.bulk_create(builds)
    RemoteBuild.objects.bulk_create(
        RemoteBuild(
            build=build, connection=connection, job=job, queue_id=queue_id, number=number, observed=observed,
            observed_at=now,
        )
        for build, job, queue_id, number, observed in remotes
    )  # fmt: skip
    for build in builds:
        stages += [Stage(build=build, ident=name.lower(), name=name, order=at) for at, name in enumerate(STAGES)]
    Stage.objects.bulk_create(stages)


if __name__ == "__main__":
    main(*sys.argv[1:4])
