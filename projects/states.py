"""The states of a request: which exist, which moves are legal, how they look."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

REQUEST_STATES = StateTable(
    [
        State(
            "pending",
            _("waits for a decision"),
            "violet",
            "hand-stop",
            moves=frozenset({"approved", "rejected", "withdrawn", "expired"}),
        ),
        State("approved", _("approved"), "green", "circle-check", final=True),
        State("rejected", _("rejected"), "red", "circle-x", final=True),
        State("withdrawn", _("withdrawn"), "grey", "ban", final=True),
        State("expired", _("expired"), "grey", "clock", final=True),
    ]
)
REQUEST_CHOICES = REQUEST_STATES.choices
