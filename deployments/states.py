"""The states of a deployment and of a service: which exist and which moves are legal."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

DEPLOYMENT_STATES = StateTable(
    [
        State(
            "queued",
            _("queued"),
            moves=frozenset({"running", "awaiting_approval", "failed", "cancelled"}),
        ),
        State(
            "awaiting_approval",
            _("awaiting approval"),
            moves=frozenset({"queued", "running", "failed", "cancelled"}),
        ),
        State(
            "running",
            _("running"),
            moves=frozenset({"paused", "succeeded", "failed", "cancelled"}),
        ),
        State("paused", _("paused"), moves=frozenset({"running", "failed", "cancelled"})),
        State("succeeded", _("succeeded"), final=True),
        State("failed", _("failed"), final=True),
        State("cancelled", _("cancelled"), final=True),
    ]
)

# What is observed of a service; written by the engine and the reconciler.
SERVICE_STATES = StateTable(
    [
        State("absent", _("not deployed")),
        State("changing", _("changing")),
        State("healthy", _("healthy")),
        State("degraded", _("degraded")),
        State("down", _("down")),
        State("unknown", _("unknown")),
    ]
)

DEPLOYMENT_CHOICES = DEPLOYMENT_STATES.choices
