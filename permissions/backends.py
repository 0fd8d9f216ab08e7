"""Signing in with a password kept here. First in the row: it also stops who is locked out before anybody else is asked."""

from __future__ import annotations

from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.exceptions import AxesBackendPermissionDenied
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from permissions.models import User


class PasswordBackend(AxesStandaloneBackend, ModelBackend):
    """Django's own with axes in front. Service accounts have no door for people."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Raises PermissionDenied for who is locked out: no other backend is asked then."""
        try:
            AxesStandaloneBackend.authenticate(self, request, username=username, password=password, **kwargs)
        except AxesBackendPermissionDenied:
            request.locked_before = True  # type: ignore[union-attr]
            raise
        found = ModelBackend.authenticate(self, request, username=username, password=password, **kwargs)
        return found if isinstance(found, User) else None

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_service
