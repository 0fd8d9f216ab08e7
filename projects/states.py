"""The states of a request: which exist and which moves are legal."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from fangduoduo_release.common.states import State, StateTable

REQUEST_STATES = StateTable(
    [
        State(
            "pending",
            _("waits for a decision"),
            moves=frozenset({"approved", "rejected", "withdrawn", "expired"}),
        ),
        State("approved", _("approved"), final=True),
        State("rejected", _("rejected"), final=True),
        State("withdrawn", _("withdrawn"), final=True),
        State("expired", _("expired"), final=True),
    ]
)
REQUEST_CHOICES = REQUEST_STATES.choices
