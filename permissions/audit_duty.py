"""Once a day: is the audit trail still what was written? If not, ops are told, and the log."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from fangduoduo_release.audit import verifying
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions.models import User

logger = logging.getLogger(__name__)
WHOLE_EVERY = timedelta(days=7)


def ops_people() -> list[User]:
    """Everybody who may operate the whole system."""
    named = Q(codename="ops", content_type__app_label="permissions")
    held = Q(**{f"user_permissions__{key}": value for key, value in named.children})  # type: ignore[misc]
    held |= Q(**{f"groups__permissions__{key}": value for key, value in named.children})  # type: ignore[misc]
    return list(User.objects.filter(Q(is_superuser=True) | held, is_active=True).distinct())


def verify_trail() -> None:
    """What came since the last time; once a week all of it."""
    last = verifying.last_check()
    whole = last is None or last.whole_at is None or last.whole_at < timezone.now() - WHOLE_EVERY
    report = verifying.verify(verifying.Start() if whole else verifying.resume(last))
    verifying.remember(report, whole=whole)
    if report.sound:
        return
    for finding in report.findings:
        logger.error("the audit trail is not what was written: %s", finding)
    first = report.findings[0]
    outbox.tell(
        "security",
        S("The audit trail is not what was written: %(finding)s", finding=str(first)),
        people=ops_people(),
        link="/audit/",
        once=f"audit:{first}",
    )
