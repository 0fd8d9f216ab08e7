"""From a stored sentence to a message in its reader's language, with links that work from outside."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence

from .drivers.base import Message
from .events import label_of
from .models import Delivery, Preference


def language_of(delivery: Delivery) -> str:
    """The channel's own, else the person's, else the portal's."""
    chosen = delivery.channel.language if delivery.channel is not None else ""
    if not chosen and delivery.user_id:
        chosen = Preference.objects.filter(user=delivery.user_id).values_list("language", flat=True).first() or ""
    known = {code for code, _name in settings.LANGUAGES}
    return chosen if chosen in known else settings.LANGUAGE_CODE


def message_of(delivery: Delivery) -> Message:
    """What is sent for this row."""
    with translation.override(language_of(delivery)):
        sentence = Sentence.from_json(delivery.sentence)
        text, label = say(sentence), str(label_of(delivery.event))
        personal = delivery.user_id is not None
        return Message(
            id=str(delivery.key),
            event=delivery.event,
            at=delivery.created_at,
            title=f"[{delivery.project}] {label}" if delivery.project else label,
            text=text,
            link=absolute(delivery.link) if delivery.link else "",
            open_label=_("Open"),
            project=delivery.project,
            why=_("You chose to be told this; change it here:") if personal else "",
            why_link=absolute("/me/notifications/") if personal else "",
            data=facts(sentence),
        )


def facts(sentence: Sentence) -> dict[str, Any]:
    """What the sentence speaks of, for machines."""
    return {name: value for name, value in sentence.params.items() if isinstance(value, str | int | float | bool)}


def absolute(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}"
