"""What `git push` prints: the build it started. Runs the intake at once, so that the person need not wait for a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils.translation import gettext as _

from builds.models import Build
from fangduoduo_release.common.engines import drive, engines
from fangduoduo_release.common.models import InboxItem
from projects import pushes
from projects.drivers.source.base import PushEvent
from projects.git_http.pushes import RefUpdate
from projects.models import Project


def _message(slug: str, actor: Any, updates: Sequence[RefUpdate]) -> str:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        return ""
    keys = {update.key for update in updates}
    items = InboxItem.objects.filter(kind=pushes.KIND, topic=pushes.topic_of(project)).order_by("-id")[:50]
    lines = []
    for item in items:
        if PushEvent(item.payload["ref"], item.payload["old"], item.payload["new"]).key not in keys:
            continue
        if item.state == InboxItem.State.NEW:
            drive(engines()["push"], item.pk)
        build = Build.objects.filter(project=project, dedupe_key=f"inbox:{item.pk}").first()
        if build is not None:
            url = f"{settings.PUBLIC_URL}/builds/{build.pk}/"
            lines.append(
                _("Build #%(number)s of %(ref)s: %(url)s") % {"number": build.number, "ref": build.ref_name, "url": url}
            )
    return "\n".join(lines)


push_message = database_sync_to_async(_message, thread_sensitive=False)
