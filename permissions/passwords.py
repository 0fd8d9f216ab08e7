"""Rules of passwords that Django does not bring."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


class NotThePreviousOne:
    """A new password is a new one."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError."""
        if user is not None and user.pk and user.has_usable_password() and user.check_password(password):
            raise ValidationError(_("This is your password already; choose another one."), code="password_is_the_same")

    def get_help_text(self) -> str:
        return _("Your password can’t be the one you have now.")
