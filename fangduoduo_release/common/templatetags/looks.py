"""How a state looks: its tone, icon and word, the same on every page. Data only; knows no model and no HTML.

The words are shared by builds, deployments, services, instances, requests, stages and tests, so that one word never
has two colours.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Look:
    """`tone`: grey blue green amber red violet. `icon`: a name of the sprite. `spins`: it turns while work goes on."""

    tone: str
    icon: str
    label: str | Promise
    spins: bool = False


LOOKS: dict[str, Look] = {
    # runs (builds, deployments, test runs) and stages
    "pending": Look("grey", "circle-dotted", _("Not started")),
    "queued": Look("grey", "clock", _("Queued")),
    "running": Look("blue", "loader-2", _("Running"), spins=True),
    "succeeded": Look("green", "check", _("Succeeded")),
    "unstable": Look("amber", "alert-triangle", _("Unstable")),
    "failed": Look("red", "x", _("Failed")),
    "cancelled": Look("grey", "minus", _("Cancelled")),
    "skipped": Look("grey", "chevron-right", _("Skipped")),
    "paused": Look("violet", "hand-stop", _("Paused")),
    "awaiting_approval": Look("violet", "hand-stop", _("Waiting for approval")),
    "awaiting_input": Look("violet", "hand-stop", _("Waiting for input")),
    "needs_ops": Look("violet", "tool", _("Needs ops")),
    # services and instances
    "healthy": Look("green", "check", _("Healthy")),
    "ready": Look("green", "check", _("Ready")),
    "progressing": Look("blue", "loader-2", _("Updating"), spins=True),
    "starting": Look("blue", "loader-2", _("Starting"), spins=True),
    "changing": Look("blue", "loader-2", _("Changing"), spins=True),
    "restarting": Look("amber", "refresh", _("Restarting")),
    "draining": Look("blue", "arrow-bar-to-down", _("Draining")),
    "stopping": Look("grey", "arrow-bar-to-down", _("Stopping")),
    "dead": Look("grey", "minus", _("Ended")),
    "down": Look("red", "x", _("Down")),
    "degraded": Look("amber", "alert-triangle", _("Degraded")),
    "not_ready": Look("amber", "alert-triangle", _("Not ready")),
    "unhealthy": Look("red", "heart-broken", _("Unhealthy")),
    "crashed": Look("red", "heart-broken", _("Crashed")),
    "stopped": Look("grey", "moon-stars", _("Stopped")),
    "removed": Look("grey", "minus", _("Removed")),
    "absent": Look("grey", "minus", _("Not deployed")),
    "unknown": Look("grey", "help-circle", _("Unknown")),
    # requests, tests, messages, connections
    "requested": Look("violet", "hand-stop", _("Waiting for a decision")),
    "approved": Look("green", "check", _("Approved")),
    "rejected": Look("red", "x", _("Rejected")),
    "withdrawn": Look("grey", "minus", _("Withdrawn")),
    "expired": Look("grey", "clock", _("Expired")),
    "revoked": Look("grey", "minus", _("Revoked")),
    "passed": Look("green", "check", _("Passed")),
    "sent": Look("green", "check", _("Sent")),
    "ok": Look("green", "check", _("Works")),
    "unreachable": Look("red", "plug", _("Unreachable")),
    # how a cluster is followed
    "direct": Look("green", "check", _("Looked at directly")),
    "live": Look("green", "check", _("Followed")),
    "syncing": Look("blue", "loader-2", _("Being read"), spins=True),
    "waiting": Look("grey", "clock", _("Not followed yet")),
    "old": Look("amber", "alert-triangle", _("Out of date")),
}

ENVIRONMENTS = {"test": _("Test"), "staging": _("Staging"), "production": _("Production")}
# What a pipeline's parameter takes.
PARAMETER_KINDS = {
    "string": _("text"),
    "text": _("several lines"),
    "choice": _("choice"),
    "boolean": _("yes or no"),
    "password": _("password"),
    "image": _("image"),
}


def parameter_kind(kind: str) -> str:
    """The kind of a parameter as a word; what a plugin brought keeps its own name."""
    return str(PARAMETER_KINDS.get(kind, kind))


def look_of(state: str | None) -> Look:
    """The look of a state by its name. One that nobody described is shown as it is, in grey: a page never breaks over a
    word."""
    name = state or "unknown"
    return LOOKS.get(name) or Look("grey", "help-circle", name.replace("_", " ").capitalize())
