"""`python -m benchmarks.remote.connect URL USER TOKEN PROJECT`: from now on the project's builds run on that Jenkins."""

from __future__ import annotations

import sys

import django

django.setup()

from fangduoduo_release.common.models import Connection  # noqa: E402 - wants the apps to be known
from projects.models import Project  # noqa: E402


def main(url: str, user: str, token: str, slug: str) -> None:
    config = {"url": url, "user": user, "folder": "fdd"}
    connection = Connection.objects.create(name="ci", kind="jenkins", config=config, secrets={"token": token})
    Project.objects.filter(slug=slug).update(builder_kind="jenkins", builder_connection=connection)


if __name__ == "__main__":
    main(*sys.argv[1:5])
