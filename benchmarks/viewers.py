"""`python -m benchmarks.viewers`: how often one viewer and fifty viewers of a growing log make the process ask the database.

The tail's own counters, in this process, on the migrated database that the settings name. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import django
from asgiref.sync import sync_to_async

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
django.setup()

from guardian.shortcuts import assign_perm  # noqa: E402 - wants the apps to be known

from builds.models import Build  # noqa: E402
from permissions.models import ApiToken, User  # noqa: E402
from projects.models import Project  # noqa: E402
from tests.builds.logs.test_sharing import cost  # noqa: E402

MANY = 50
call = sync_to_async(thread_sensitive=False)


def prepare() -> tuple[list[Build], dict[str, str]]:
    project = Project.objects.create(slug="shop", name="Shop")
    user = User.objects.create(username="viewer", password="!")
    assign_perm("view_project", user, project)
    builds = [
        Build.objects.create(
            project=project, number=n, trigger="manual", ref="refs/heads/main", commit_sha="a" * 40, state="running"
        )
        for n in (1, 2)
    ]
    return builds, {"Authorization": f"Bearer {ApiToken.make(user, 'bench')[1]}"}


async def main() -> None:
    builds, headers = await call(prepare)()
    found = []
    for build, viewers in zip(builds, (1, MANY), strict=True):
        looks, loads, seconds = await cost(build, headers, viewers)
        found.append({"viewers": viewers, "looks": looks, "loads": loads, "seconds": seconds})
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
