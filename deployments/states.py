"""The states of a deployment and of a service: which exist, which moves are legal, how they look."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

DEPLOYMENT_STATES = StateTable(
    [
        State(
            "queued",
            _("queued"),
            "grey",
            "clock",
            moves=frozenset({"running", "awaiting_approval", "failed", "cancelled"}),
        ),
        State(
            "awaiting_approval",
            _("awaiting approval"),
            "violet",
            "hand-stop",
            moves=frozenset({"queued", "running", "failed", "cancelled"}),
        ),
        State(
            "running",
            _("running"),
            "blue",
            "loader-2",
            moves=frozenset({"paused", "succeeded", "failed", "cancelled"}),
        ),
        State("paused", _("paused"), "violet", "hand-stop", moves=frozenset({"running", "failed", "cancelled"})),
        State("succeeded", _("succeeded"), "green", "circle-check", final=True),
        State("failed", _("failed"), "red", "circle-x", final=True),
        State("cancelled", _("cancelled"), "grey", "ban", final=True),
    ]
)

# What is observed of a service; written by the engine and the reconciler.
SERVICE_STATES = StateTable(
    [
        State("absent", _("not deployed"), "grey", "circle-dashed"),
        State("changing", _("changing"), "blue", "loader-2"),
        State("healthy", _("healthy"), "green", "circle-check"),
        State("degraded", _("degraded"), "amber", "alert-triangle"),
        State("down", _("down"), "red", "circle-x"),
        State("unknown", _("unknown"), "grey", "help"),
    ]
)

DEPLOYMENT_CHOICES = DEPLOYMENT_STATES.choices
