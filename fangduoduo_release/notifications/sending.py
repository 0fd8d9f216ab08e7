"""From a row to a driver: its class by the settings, its config from what the channel keeps and what the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from .drivers.base import Notifier
from .models import Channel, Delivery

FAMILY = "notification"


def kinds() -> list[str]:
    """The kinds of channel that the settings name."""
    return list(settings.DRIVERS[FAMILY])


def notifier(kind: str, values: Mapping[str, Any]) -> Notifier:
    """The driver with its validated config. Raises Invalid."""
    found = driver_class(settings.DRIVERS, FAMILY, kind)
    more = settings.MAIL if kind == "email" else _reach()
    try:
        config = found.Config(**{**more, **values})
    except TypeError as error:
        raise Invalid(S("The settings of this channel are not complete.")) from error
    made: Notifier = found(config)
    return made


def notifier_of(delivery: Delivery) -> Notifier:
    """The driver that this row is sent by. Raises Invalid, Rejected (a secret that cannot be opened)."""
    channel = delivery.channel
    if channel is None:
        return notifier("email", {"to": (delivery.user.email.strip(),) if delivery.user else ()})
    return notifier(channel.kind, values_of(channel))


def values_of(channel: Channel) -> dict[str, Any]:
    """What a channel keeps, as its driver's config takes it."""
    values = {**channel.config, **(channel.secrets or {})}
    if "to" in values:
        values["to"] = tuple(values["to"])
    return values


def _reach() -> dict[str, bool]:
    return {"allow_private": settings.NOTIFY_ALLOW_PRIVATE, "allow_http": settings.NOTIFY_ALLOW_HTTP}
