"""The median time of ending a build, with and without news, as JSON: `python -m benchmarks.telling.cost`.

The three kinds take turns, so that a moment in which the machine is busy falls on all of them.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - wants the apps to be known

from builds.models import Build  # noqa: E402
from fangduoduo_release.common import runs  # noqa: E402
from fangduoduo_release.common.actor import SYSTEM  # noqa: E402
from fangduoduo_release.common.sentence import S  # noqa: E402
from fangduoduo_release.notifications import channels, outbox  # noqa: E402
from permissions.models import User  # noqa: E402
from projects.models import Project  # noqa: E402

ROUNDS = 60
PEOPLE = 10
_number = 0


def eleven(build: Build) -> None:
    """Ten by mail and one channel; the shape of what `builds.news` does."""
    people = list(User.objects.filter(username__startswith="p"))
    sentence = S("Build #%(number)s of %(project)s failed.", number=build.number, project=build.project.slug)
    outbox.tell("build.failed", sentence, people=people, project=build.project.slug, once=f"build:{build.pk}")


def end_one(project: Project) -> float:
    global _number
    _number += 1
    build = Build.objects.create(
        project=project, number=_number, trigger="manual", ref="refs/heads/main", commit_sha="0" * 40, state="running"
    )
    runs.poke(build)
    claimed = runs.claim(Build, build.pk)
    assert claimed is not None
    began = time.perf_counter()
    runs.fail(claimed, S("A step failed."))
    return (time.perf_counter() - began) * 1000


def main() -> None:
    quiet, loud = (Project.objects.create(slug=slug, name=slug) for slug in ("quiet", "loud"))
    for number in range(PEOPLE):
        User.objects.create_user(f"p{number}", email=f"p{number}@example.org")
    channels.add(actor=SYSTEM, kind="webhook", name="x", address="https://hooks.example.org/", project="loud")
    kinds: dict[str, tuple[Project, dict[str, Any]]] = {
        "without": (quiet, {}),
        "nobody": (quiet, {"builds": "builds.news.build_ended"}),
        "eleven": (loud, {"builds": "benchmarks.telling.cost.eleven"}),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (project, endings) in kinds.items():
            settings.RUN_ENDINGS = endings
            times[name].append(end_one(project))
    sys.stdout.write(json.dumps({name: statistics.median(found[5:]) for name, found in times.items()}))


if __name__ == "__main__":
    sys.modules["benchmarks.telling.cost"] = sys.modules["__main__"]
    main()
