"""`{% unfollowed_clusters as alarms %}`: the clusters that nobody has been following for a while."""

from __future__ import annotations

from django import template

from clusters import observed

register = template.Library()


@register.simple_tag
def unfollowed_clusters() -> list[observed.Alarm]:
    return observed.alarms()
