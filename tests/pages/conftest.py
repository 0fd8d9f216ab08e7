"""The gallery for the tests of the shared parts: rendered by Django's test client, and shown in Debian's chromium."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from scripts import assets, messages
from tests.require import need

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def catalogue() -> None:
    """Chinese is compiled before anything asks for it."""
    messages.compile_catalogue()


@pytest.fixture(autouse=True, scope="module")
def pages() -> Iterator[None]:
    """The addresses of `urls.py` and plain static files; no debug pages. For a whole module: a change of these settings
    forgets every compiled template."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    templates = copy.deepcopy(django_settings.TEMPLATES)
    templates[0]["DIRS"] = [*templates[0]["DIRS"], HERE / "templates"]
    with override_settings(
        ROOT_URLCONF="tests.pages.urls",
        STORAGES={**django_settings.STORAGES, "staticfiles": plain},
        TEMPLATES=templates,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ):
        yield


@pytest.fixture(scope="session")
def vendor() -> Path:
    """The browser files; fetched when they are missing."""
    if not (assets.VENDOR / ".stamp").is_file():
        need("npm|nodejs")
        assets.main()
    return assets.VENDOR


@pytest.fixture
def server(vendor: Path) -> Iterator[Any]:
    from .server import PageServer

    made = PageServer().start()
    yield made
    made.stop()


@pytest.fixture
def open_page(server: Any, browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a fresh context. Whatever the browser complains about fails the test."""
    contexts, complaints = [], []

    def make(
        path: str,
        *,
        width: int = 1280,
        language: str = "en",
        theme: str = "",
        scheme: str = "light",
        on_socket: Callable[[Any], object] | None = None,
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(240_000)  # a hang, not a slow machine
        cookies = {"django_language": language, **({"fdd_theme": theme} if theme else {})}
        context.add_cookies([{"name": name, "value": value, "url": server.address} for name, value in cookies.items()])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        if on_socket is not None:
            page.on("websocket", on_socket)
        page.goto(server.address + path)
        return page

    make.complaints = complaints  # type: ignore[attr-defined]
    yield make
    for context in contexts:
        context.close()
    # A page that answers 4xx or 5xx on purpose is a complaint of the browser too; so is a refused socket.
    assert not [c for c in complaints if not c.startswith(("WebSocket", "Failed to load resource"))]
