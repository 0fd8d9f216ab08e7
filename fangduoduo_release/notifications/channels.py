"""What is done to channels and choices. Whose right it is was checked by the caller (a person their own, a maintainer
their project's, ops the rest): this room knows no permissions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from fangduoduo_release.audit import trail
from fangduoduo_release.common import reach, runs
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S

from . import events, outbox, sending
from .models import Channel, Delivery, Preference

MAX_CHANNELS = 20


def add(
    *,
    actor: Any,
    kind: str,
    name: str,
    address: str,
    secret: str = "",
    user: Any = None,
    project: str = "",
    language: str = "",
    heard: Iterable[str] | None = None,
) -> tuple[Channel, str]:
    """A new channel, and its signing secret when one was made for it (shown once). Raises Invalid."""
    name = name.strip()
    if not name or len(name) > 80:
        raise _invalid("name", S("A channel needs a name of at most 80 characters."))
    if Channel.objects.filter(user=user, project=project).count() >= MAX_CHANNELS:
        raise Invalid(S("There are %(limit)s channels already; remove one first.", limit=MAX_CHANNELS))
    made = secrets.token_urlsafe(32) if kind == "webhook" and not secret else ""
    channel = Channel(user=user, project=project, kind=kind, name=name, created_by=name_of(actor))
    _lead(channel, address, secret or made)
    channel.language = _language(language)
    channel.events = _events(channel, events.defaults(channel.audience) if heard is None else heard)
    with transaction.atomic():
        channel.save()
        trail.record(actor, "channel.create", channel, after=_facts(channel))
    return channel, made


def change(
    *,
    actor: Any,
    channel: Channel,
    heard: Iterable[str] | None = None,
    enabled: bool | None = None,
    language: str | None = None,
    name: str | None = None,
) -> None:
    """Change what is given; nothing changed writes nothing. Raises Invalid."""
    before = _facts(channel)
    if heard is not None:
        channel.events = _events(channel, heard)
    if enabled is not None:
        channel.enabled = enabled
    if language is not None:
        channel.language = _language(language)
    if name is not None:
        if not name.strip() or len(name) > 80:
            raise _invalid("name", S("A channel needs a name of at most 80 characters."))
        channel.name = name.strip()
    if _facts(channel) == before:
        return
    with transaction.atomic():
        channel.save(update_fields=["events", "enabled", "language", "name"])
        trail.record(actor, "channel.update", channel, before=before, after=_facts(channel))


def remove(*, actor: Any, channel: Channel) -> None:
    """Forget the channel, its secrets, and what was sent and is still to be sent to it."""
    with transaction.atomic():
        trail.record(actor, "channel.delete", channel, before=_facts(channel))
        channel.delete()


def send_test(*, actor: Any, channel: Channel | None = None) -> Delivery:
    """A test to this channel, or to the actor's own address. Raises Conflict while one is under way, Invalid."""
    if channel is None and not (settings.MAIL["host"] and actor.email.strip()):
        raise Invalid(S("There is no mail server, or you have no email address."))
    user = None if channel is not None else actor
    waiting = Delivery.objects.filter(event=events.TEST.name, state=Delivery.State.QUEUED, channel=channel)
    if waiting.filter(**({} if channel is not None else {"user": actor})).exists():
        raise Conflict(S("A test is under way already."), code="under_way")
    with transaction.atomic():
        row = outbox.send_test(channel=channel, user=user)
        if channel is not None:
            trail.record(actor, "channel.test", channel)
    return row


def choose(*, actor: Any, language: str | None = None, by_mail: Iterable[str] | None = None) -> Preference:
    """What the actor wants for themselves: the language, and which events by mail. Raises Invalid."""
    with transaction.atomic():
        choice, _ = Preference.objects.get_or_create(user=actor)
        if language is not None:
            choice.language = _language(language)
        if by_mail is not None:
            wanted = set(by_mail)
            choice.not_by_mail = [kind.name for kind in events.for_whom(events.PERSON) if kind.name not in wanted]
        choice.save()
    return choice


def try_again(*, actor: Any, delivery: Delivery) -> None:
    """Send a failed message once more, with a new day of patience; it keeps its id. Raises Conflict."""
    with transaction.atomic():
        failed = Delivery.objects.filter(pk=delivery.pk, state__in=(Delivery.State.FAILED, Delivery.State.QUEUED))
        again = failed.filter(runs.unleased()).update(
            state=Delivery.State.QUEUED,
            needs_ops=False,
            attempts=0,
            finished_at=None,
            next_at=Now(),
            deadline_at=runs.in_seconds(outbox.PATIENCE.total_seconds()),
        )
        if not again:
            raise Conflict(S("It is not waiting to be tried again."), code="illegal_move")
        trail.record(actor, "delivery.try_again", delivery)
        ring(outbox.ENGINE, delivery.pk)


# -- the parts of a channel -------------------------------------------------------------------------------------------


def _lead(channel: Channel, address: str, secret: str) -> None:
    """Where the channel leads, judged by its driver. An address on the web counts as a secret. Raises Invalid."""
    address = address.strip()
    if channel.kind == "email":
        channel.config = {"to": [one for one in address.replace(";", ",").replace(",", " ").split() if one]}
        channel.shown = ", ".join(channel.config["to"])[:200]
    else:
        channel.secrets = {"url": address, "secret": secret.strip()}
        channel.shown = _shown(address)
    sending.notifier(channel.kind, sending.values_of(channel))


def judge(kind: str, address: str, secret: str) -> None:
    """Whether such a channel could work. Raises Invalid."""
    _lead(Channel(kind=kind), address, secret)


def _shown(address: str) -> str:
    """The address by its host only: keys of robots stand in the path or the query."""
    try:
        parts = reach.split(address)
    except Invalid:
        return ""
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}/…"[:200]


def _events(channel: Channel, heard: Iterable[str]) -> list[str]:
    """In the order of the list, so that the same choice is always the same value. Raises Invalid."""
    wanted = set(heard)
    known = [kind.name for kind in events.for_whom(channel.audience)]
    strange = sorted(wanted - set(known))
    if strange:
        raise _invalid("events", S("There is no event “%(name)s” to be told of here.", name=strange[0][:60]))
    return [name for name in known if name in wanted]


def _language(code: str) -> str:
    if code and code not in dict(settings.LANGUAGES):
        raise _invalid("language", S("There is no language “%(code)s” here.", code=code[:20]))
    return code


def _facts(channel: Channel) -> dict[str, Any]:
    """What the audit keeps of a channel: nothing secret."""
    return {
        "kind": channel.kind,
        "name": channel.name,
        "leads_to": channel.shown,
        "events": list(channel.events),
        "language": channel.language,
        "enabled": channel.enabled,
    }


def _invalid(field: str, sentence: Any) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})
