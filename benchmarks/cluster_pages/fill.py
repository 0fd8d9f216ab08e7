"""`python -m benchmarks.cluster_pages.fill PODS`: rows of one service on a cluster that is followed; says what it is."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from permissions.models import User  # noqa: E402 - wants the apps to be known
from tests import world  # noqa: E402
from tests.deployments.pages import ground  # noqa: E402


def main(pods: int) -> None:
    project = world.bare_project(User.objects.get(username="dev"), "crowd")
    machine = ground.cluster_rows()
    ground.followed(machine.cluster)
    service = ground.service_rows(project, machine, pods)
    sys.stdout.write(json.dumps({"service": service.pk}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
