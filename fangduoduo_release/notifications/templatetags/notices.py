"""The names of events and of kinds of channel, for pages: `{% load notices %}`."""

from __future__ import annotations

from typing import Any

from django import template

from fangduoduo_release.notifications import choices, events

register = template.Library()


@register.filter
def event_label(name: str) -> Any:
    """The event for people."""
    return events.label_of(name)


@register.filter
def channel_kind(kind: str) -> Any:
    """The kind of channel for people."""
    return choices.KINDS.get(kind, kind)
