"""Rights changed: whoever holds something open is asked again at once, not at the next turn of the clock."""

from __future__ import annotations

from permissions import policy
from permissions.models import User


def access_changed(*users: User) -> None:
    """What these people may do has changed (a role, a team, an expiry, a sign-out). Call inside the transaction."""
    for user in users:
        policy.forget(user)
