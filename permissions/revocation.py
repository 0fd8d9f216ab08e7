"""Rights changed: whoever holds something open is asked again at once, not at the next turn of the clock.

Each person has a topic, `people/<pk>`; the guard of every open socket listens to its person's, in every process.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from fangduoduo_release.common import events
from fangduoduo_release.common.models import Event
from permissions import policy
from permissions.models import User

KIND: Final = "access"


def access_changed(*users: User) -> None:
    """What these people may do has changed (a role, a team, an expiry, a sign-out). Call inside the transaction.

    Few statements however many they are: a team may be large.
    """
    for user in users:
        policy.forget(user)
    pks = sorted({user.pk for user in users})
    if not pks:
        return
    with transaction.atomic(savepoint=False):
        rows = User.objects.filter(pk__in=pks)
        list(
            rows.select_for_update().order_by("pk").values_list("pk")
        )  # always in this order: nobody waits in a circle
        rows.update(event_seq=F("event_seq") + 1)
        told = [User(pk=pk, event_seq=seq) for pk, seq in rows.values_list("pk", "event_seq")]
        Event.objects.bulk_create(Event(topic=one.topic, seq=one.event_seq, at=Now(), kind=KIND) for one in told)
        for one in told:
            events.publish(one.topic, one.event_seq)
