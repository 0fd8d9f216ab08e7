"""Write down so many messages for one webhook: `python -m benchmarks.telling.fill http://127.0.0.1:1234 1000`."""

from __future__ import annotations

import sys

import django

django.setup()

from fangduoduo_release.common.actor import SYSTEM  # noqa: E402 - wants the apps to be known
from fangduoduo_release.common.sentence import S  # noqa: E402
from fangduoduo_release.notifications import channels  # noqa: E402
from fangduoduo_release.notifications.models import Delivery  # noqa: E402
from fangduoduo_release.notifications.outbox import tell  # noqa: E402


def main(url: str, count: int) -> None:
    Delivery.objects.all().delete()
    channels.add(actor=SYSTEM, kind="webhook", name="receiver", address=url, project="told")
    for number in range(count):
        tell("build.failed", S("Build #%(number)s failed.", number=number), project="told", once=f"bench:{number}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
