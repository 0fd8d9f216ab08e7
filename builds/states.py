"""The states of a build and of its stages: which exist, which moves are legal, how they look."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

BUILD_STATES = StateTable(
    [
        State("queued", _("queued"), "grey", "clock", moves=frozenset({"running", "failed", "cancelled"})),
        State(
            "running",
            _("running"),
            "blue",
            "loader-2",
            moves=frozenset({"succeeded", "unstable", "failed", "cancelled"}),
        ),
        State("succeeded", _("succeeded"), "green", "circle-check", final=True),
        State("unstable", _("unstable"), "amber", "alert-triangle", final=True),
        State("failed", _("failed"), "red", "circle-x", final=True),
        State("cancelled", _("cancelled"), "grey", "ban", final=True),
    ]
)

# A stage has a few more words; they are written by the builder, not moved by the run machine.
STAGE_STATES = StateTable(
    [
        State("pending", _("pending"), "grey", "circle-dashed"),
        State("running", _("running"), "blue", "loader-2"),
        State("waiting", _("waiting for a person"), "violet", "hand-stop"),
        State("succeeded", _("succeeded"), "green", "circle-check", final=True),
        State("unstable", _("unstable"), "amber", "alert-triangle", final=True),
        State("failed", _("failed"), "red", "circle-x", final=True),
        State("cancelled", _("cancelled"), "grey", "ban", final=True),
        State("skipped", _("skipped"), "grey", "player-skip-forward", final=True),
    ]
)

BUILD_CHOICES = BUILD_STATES.choices
STAGE_CHOICES = STAGE_STATES.choices
