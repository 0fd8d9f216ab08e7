"""Queue the work of one measurement: `python -m benchmarks.durable.fill raw 1000` or `… runs 200`."""

from __future__ import annotations

import sys

import django
from django.db.models.functions import Now

django.setup()

from django_q.tasks import async_task  # noqa: E402 - wants the apps to be known

from fangduoduo_release.common.queue import ring  # noqa: E402

from .models import Count  # noqa: E402


def main(kind: str, count: int) -> None:
    for _ in range(count):
        if kind == "raw":
            async_task("benchmarks.durable.engine.effect")
        else:
            ring("count", Count._default_manager.create(next_at=Now()).pk)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
