"""What maintainers do to the channels of their project: the right is asked here, the rest is done in notifications."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.models import Channel, Delivery
from permissions import policy
from projects.models import Project

RIGHT = "change_project"


def of_project(actor: Any, project: Project) -> QuerySet[Channel]:
    """The project's channels, for who may change them. Raises NotFound, Denied."""
    policy.require(actor, RIGHT, project)
    return Channel.objects.filter(project=project.slug).defer("secrets")


def one(actor: Any, project: Project, pk: int) -> Channel:
    """One of them. Raises NotFound, Denied."""
    found = of_project(actor, project).filter(pk=pk).first()
    if found is None:
        raise NotFound(S("There is no such channel."))
    return found


def sent(actor: Any, project: Project) -> QuerySet[Delivery]:
    """What the project's channels were told. Raises NotFound, Denied."""
    policy.require(actor, RIGHT, project)
    return Delivery.objects.filter(channel__project=project.slug)


def add_channel(*, actor: Any, project: Project, **facts: Any) -> tuple[Channel, str]:
    """A new channel of the project, and its secret when one was made. Raises NotFound, Denied, Invalid."""
    policy.require(actor, RIGHT, project)
    return channels.add(actor=actor, project=project.slug, **facts)


def change_channel(*, actor: Any, project: Project, channel: Channel, **changes: Any) -> None:
    """Raises NotFound, Denied, Invalid."""
    policy.require(actor, RIGHT, project)
    channels.change(actor=actor, channel=channel, **changes)


def remove_channel(*, actor: Any, project: Project, channel: Channel) -> None:
    """Raises NotFound, Denied."""
    policy.require(actor, RIGHT, project)
    channels.remove(actor=actor, channel=channel)


def test_channel(*, actor: Any, project: Project, channel: Channel) -> Delivery:
    """Raises NotFound, Denied, Conflict."""
    policy.require(actor, RIGHT, project)
    return channels.send_test(actor=actor, channel=channel)
