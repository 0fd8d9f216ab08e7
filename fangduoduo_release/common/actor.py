"""Who acts: a user, or the explicit SYSTEM. `None` is an error, never "nobody in particular"."""

from __future__ import annotations

from typing import Any, Final


class System:
    """The portal itself: schedules, reconcilers, engines. May do what its code does, and is named in the audit."""

    username: Final = "system"
    label: Final = "system"
    is_active: Final = True
    is_ops: Final = True
    pk: Final = None

    def __repr__(self) -> str:
        return "SYSTEM"


SYSTEM: Final = System()


def name_of(actor: Any) -> str:
    """The name written beside a change. Raises TypeError for None."""
    if actor is None or not getattr(actor, "username", ""):
        raise TypeError("an action needs a user or SYSTEM as its actor")
    return str(actor.username)


def user_or_none(actor: Any) -> Any:
    """The user row to store as a foreign key; None for SYSTEM."""
    return None if isinstance(actor, System) else actor
