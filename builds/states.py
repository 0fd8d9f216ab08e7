"""The states of a build and of its stages: which exist and which moves are legal."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

BUILD_STATES = StateTable(
    [
        State("queued", _("queued"), moves=frozenset({"running", "failed", "cancelled"})),
        State(
            "running",
            _("running"),
            moves=frozenset({"succeeded", "unstable", "failed", "cancelled"}),
        ),
        State("succeeded", _("succeeded"), final=True),
        State("unstable", _("unstable"), final=True),
        State("failed", _("failed"), final=True),
        State("cancelled", _("cancelled"), final=True),
    ]
)

# A stage has a few more words; they are written by the builder, not moved by the run machine.
STAGE_STATES = StateTable(
    [
        State("pending", _("pending")),
        State("running", _("running")),
        State("waiting", _("waiting for a person")),
        State("succeeded", _("succeeded"), final=True),
        State("unstable", _("unstable"), final=True),
        State("failed", _("failed"), final=True),
        State("cancelled", _("cancelled"), final=True),
        State("skipped", _("skipped"), final=True),
    ]
)

BUILD_CHOICES = BUILD_STATES.choices
STAGE_CHOICES = STAGE_STATES.choices
