"""A server that does not let the portal in: somebody has to mend the credentials or a right, so one waits with patience
and knocks seldom. Every knock with a wrong password counts against an account that others may use as well.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.common import runs
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, Rejected
from fangduoduo_release.common.models import InboxItem
from projects.models import Project
from projects.noticing import topic_of

CODES = frozenset({"bad_credentials", "authentication_failed", "no_permission"})
PATIENCE = timedelta(days=1)
PAUSE_S = 60.0


def is_refusal(error: AppError) -> bool:
    """Whether it is about who asks, and not about what is asked."""
    return isinstance(error, Rejected) and error.code in CODES


def is_of_account(error: AppError) -> bool:
    """Whether the sign-in itself was refused, so that nothing else there is worth another try. A right that lacks (403)
    may lack for one repository only."""
    if not isinstance(error, Rejected) or error.code == "no_permission":
        return False
    return is_refusal(error) and "error: 403" not in error.evidence


def wait(item: InboxItem, project: Project, error: Rejected) -> Again:
    """Let go of an item until the server lets us in: it knocks once a minute, for a day; then it is for ops. Where the
    sign-in itself is refused, one knocks for all of the same server, each time another."""
    if item.received_at + PATIENCE < timezone.now():
        runs.park_for_ops(item, error.sentence, code=error.code, evidence=error.evidence)
        return Again.handed_over()
    trouble = runs.with_trouble(item.error, runs.error_of(error.code, error.sentence, error.evidence))
    if is_of_account(error) and project.source_connection_id is not None:
        of_server = Project.objects.filter(source_connection=project.source_connection_id)
        topics = [topic_of(pk) for pk in of_server.values_list("pk", flat=True)]
        others = runs.due(InboxItem).filter(state=InboxItem.State.NEW, topic__in=topics)
        others.update(next_at=runs.in_seconds(PAUSE_S), error=trouble)
    runs.release(item, delay_s=PAUSE_S + 1, progressed=False, attempts=0, error=trouble)  # last, so after the others
    return Again.handed_over()


def let_in(project: Project) -> None:
    """The server lets us in (again): what waits for that is looked at now, also where it was left to ops."""
    waits = InboxItem.objects.filter(topic=topic_of(project), state=InboxItem.State.NEW, error__code__in=list(CODES))
    if waits.exists():
        waits.update(next_at=Now(), needs_ops=False, attempts=0, pokes=F("pokes") + 1)
