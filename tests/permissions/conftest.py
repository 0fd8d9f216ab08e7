"""Pages without collected static files; browsers; and passwords that are quick to check, for who tries many."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from permissions.models import User
from tests import world

PASSWORD = "correct horse battery"


@pytest.fixture
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann(db: Any, quick_hashes: None) -> User:
    """Somebody with a password."""
    return world.person("ann", password=PASSWORD, email="ann@example.com")


def sign_in(client: Client, name: str = "ann", password: str = PASSWORD, **more: Any) -> Any:
    """Through the form, as a person does."""
    return client.post("/sign-in/", {"username": name, "password": password, **more.pop("form", {})}, **more)


def signed_in(client: Client) -> bool:
    return bool(client.get("/me/").status_code == 200)
