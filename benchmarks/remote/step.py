"""`python -m benchmarks.remote.step URL USER TOKEN COUNT`: the engine's step that starts a build, so many times.

On the migrated database that the settings name; job known and looked at a moment ago. Prints when each step began.
"""

from __future__ import annotations

import json
import sys
import time

import django

django.setup()

from builds.models import Build, PipelineRevision  # noqa: E402 - wants the apps to be known
from builds.remote.advance import advance  # noqa: E402
from fangduoduo_release.common import runs  # noqa: E402
from fangduoduo_release.common.models import Connection  # noqa: E402
from projects.models import Project  # noqa: E402

TEXT = "pipeline { agent any\n stages { stage('Build') { steps { echo 'x' } } } }"


def main(url: str, user: str, token: str, count: str) -> None:
    config = {"url": url, "user": user, "folder": "fdd"}
    connection = Connection.objects.create(name="ci", kind="jenkins", config=config, secrets={"token": token})
    project = Project.objects.create(slug="step", name="step", builder_kind="jenkins", builder_connection=connection)
    revision = PipelineRevision.objects.create(project=project, number=1, text=TEXT, sha256="a" * 64, origin="portal")
    began = []
    for number in range(1, int(count) + 2):
        made = Build.objects.create(
            project=project, number=number, trigger="manual", ref="refs/heads/main", commit_sha="a" * 40,
            builder_kind="jenkins", builder_connection=connection, pipeline=revision,
        )  # fmt: skip
        runs.poke(made)
        build = runs.claim(Build, made.pk)
        assert build is not None
        began.append(time.monotonic())
        advance(build)
    sys.stdout.write(json.dumps(began[1:]))  # the first one wrote the job


if __name__ == "__main__":
    main(*sys.argv[1:5])
