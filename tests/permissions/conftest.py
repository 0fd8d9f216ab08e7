"""Worlds that a module's tests share; browsers; and passwords that are quick to check, for who tries many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from permissions.models import User
from tests import world

from .hidden import Hidden
from .stage import Stage

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def open_transaction(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What is made in it is there for every test of the module, whose own transaction is nested in it and undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def stage(open_transaction: None) -> Stage:
    """The world, made once: that takes seconds."""
    return Stage()


@pytest.fixture(scope="module")
def hidden(stage: Stage) -> Hidden:
    """And somebody else's project in it."""
    return Hidden()


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
