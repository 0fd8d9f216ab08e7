"""`{% silent_servers as alarms %}`: the servers that nobody has been listening to for a while."""

from __future__ import annotations

from django import template

from projects import listening

register = template.Library()


@register.simple_tag
def silent_servers() -> list[listening.Alarm]:
    return listening.alarms()
