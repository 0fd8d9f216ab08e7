"""What people can be told about: data. Producers name an event; people, projects and ops choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

PERSON, PROJECT, OPS = "person", "project", "ops"


@dataclass(frozen=True, slots=True)
class EventKind:
    """`hears`: whose channels may hear of it at all; `by_default`: whose new channels do without being asked."""

    name: str
    label: Any
    hears: frozenset[str]
    by_default: frozenset[str]


def _kind(name: str, label: Any, hears: set[str], by_default: set[str] | None = None) -> EventKind:
    return EventKind(name, label, frozenset(hears), frozenset(hears if by_default is None else by_default))


EVENTS: dict[str, EventKind] = {
    kind.name: kind
    for kind in (
        _kind("request.waiting", _("A request waits for my decision"), {PERSON, PROJECT, OPS}, {PERSON, OPS}),
        _kind("request.decided", _("A request was decided"), {PERSON, PROJECT}, {PERSON}),
        _kind("grant.expiring", _("A grant ends soon"), {PERSON, PROJECT}),
        _kind("grant.expired", _("A grant has ended"), {PERSON, PROJECT}),
        _kind("emergency.opened", _("Somebody took emergency access"), {PERSON, PROJECT, OPS}),
        _kind("emergency.review", _("An emergency access waits for its review"), {PERSON, OPS}),
        _kind("build.failed", _("A build failed"), {PERSON, PROJECT, OPS}, {PERSON, PROJECT}),
        _kind("deployment.waiting", _("A deployment waits for approval"), {PERSON, PROJECT, OPS}, {PERSON, PROJECT}),
        _kind("deployment.finished", _("A deployment ended"), {PERSON, PROJECT, OPS}, {PERSON, PROJECT}),
        _kind("source.down", _("Nobody listens to a server with repositories"), {OPS}),
        _kind("source.back", _("The portal listens to a server again"), {OPS}),
        _kind("cluster.down", _("A cluster is not followed"), {OPS}),
        _kind("cluster.back", _("A cluster is followed again"), {OPS}),
        _kind("security", _("Something about an account's security"), {PERSON, OPS}),
    )
}
TEST = EventKind("test", _("A test"), frozenset(), frozenset())  # sent by a button, to one channel


def for_whom(audience: str) -> list[EventKind]:
    """What this audience (PERSON, PROJECT, OPS) may hear of, in the order they are shown."""
    return [kind for kind in EVENTS.values() if audience in kind.hears]


def defaults(audience: str) -> list[str]:
    """What a new channel of this audience hears of."""
    return [kind.name for kind in EVENTS.values() if audience in kind.by_default]


def label_of(name: str) -> Any:
    """The event's name for people; an event nobody describes any more is shown by its name."""
    found = TEST if name == TEST.name else EVENTS.get(name)
    return found.label if found else name
