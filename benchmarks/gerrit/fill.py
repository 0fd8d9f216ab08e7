"""`python -m benchmarks.gerrit.fill < wanted`: connections to the Gerrit and projects on it, whose tips are known.

Wanted: {"config", "secrets", "connections": how many, "projects": [names there], "slug": what ours begin with}. The
projects take turns with the connections; those that are there move to theirs. Their pipeline cannot run, so that their
builds end at once and take no time away from what is measured.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

django.setup()

from builds import pipelines  # noqa: E402 - wants the apps to be known
from builds.models import PipelineRevision  # noqa: E402
from fangduoduo_release.common.models import Connection  # noqa: E402
from projects import pushes  # noqa: E402
from projects.models import Project  # noqa: E402

TEXT = "this pipeline cannot run\n"


def main(wanted: dict[str, Any]) -> None:
    facts = {"kind": "gerrit", "config": wanted["config"], "secrets": wanted["secrets"]}
    names = [f"gerrit-{number}" for number in range(wanted["connections"])]
    connections = [Connection.objects.get_or_create(name=name, defaults=facts)[0] for name in names]
    for number, repository in enumerate(wanted["projects"]):
        project, new = Project.objects.get_or_create(
            slug=f"app-{number}", defaults={"name": repository, "repository": repository, "source_kind": "gerrit",
                                            "source_connection": connections[0], "default_branch": "master",
                                            "pipeline_origin": Project.PipelineOrigin.PORTAL},
        )  # fmt: skip
        project.source_connection = connections[number % len(connections)]
        project.save(update_fields=["source_connection"])
        if new:
            pipelines.remember(project, TEXT, PipelineRevision.Origin.PORTAL, author="bench")
            pushes.compare(project)


if __name__ == "__main__":
    main(json.load(sys.stdin))
