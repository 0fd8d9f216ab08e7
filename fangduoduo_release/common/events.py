"""Events: what happened to a topic, in order, committed with the change itself; and the wake-up after the commit.

A wake-up carries only topic and sequence. Whoever misses it sees the row at the next look.
"""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

from .models import Event
from .sentence import Sentence
from .storable import storable

logger = logging.getLogger(__name__)
NOTHING = Sentence("")


def group_of(topic: str) -> str:
    """The channel group of a topic; layer names allow no slash."""
    return "topic." + topic.replace("/", ".")


def publish(topic: str, seq: int) -> None:
    """Say "look again" after the commit. Only a shared layer reaches other processes; without one they poll rows."""
    if not settings.REDIS_URL:
        return

    def send() -> None:
        try:
            layer = get_channel_layer()
            async_to_sync(layer.group_send)(group_of(topic), {"type": "wake", "topic": topic, "seq": seq})
        except Exception:  # a wake-up is a courtesy: any broker trouble costs seconds, never content
            logger.warning("no wake-up for %s", topic, exc_info=True)

    transaction.on_commit(send)


def record(owner: Any, kind: str, sentence: Sentence = NOTHING, **data: Any) -> Event:
    """Append an event to `owner.topic`; `owner` is a row with `topic` and `event_seq`. Call inside a transaction."""
    model: type[models.Model] = type(owner)
    with transaction.atomic(savepoint=False):
        model._default_manager.filter(pk=owner.pk).update(event_seq=F("event_seq") + 1)
        owner.event_seq = model._default_manager.values_list("event_seq", flat=True).get(pk=owner.pk)
        event = Event.objects.create(
            topic=owner.topic,
            seq=owner.event_seq,
            at=Now(),
            kind=kind,
            text=storable(sentence.msgid[:300]),
            data=storable({**sentence.params, **data}),
        )
        del event.at  # it is the database's now: read when asked for
        publish(owner.topic, owner.event_seq)
    return event
