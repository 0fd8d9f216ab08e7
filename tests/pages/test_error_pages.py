"""An error page says what happened and what to do, in both languages, and needs as little as possible."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.utils import translation


@pytest.mark.parametrize("name", ["400", "403", "404", "500", "403_csrf", "errors/400", "errors/403", "errors/404"])
def test_error_pages_render_without_any_context(name: str) -> None:
    html = render_to_string(f"{name}.html")
    assert html.count("<h1>") == 1
    assert "stylesheet" in html


@pytest.mark.parametrize("name", ["errors/500", "errors/503"])
def test_pages_for_a_broken_portal_need_nobody(name: str) -> None:
    html = render_to_string(f"{name}.html")
    assert "csrf" not in html
    assert "hx-" not in html
    assert "<form" not in html


def test_the_503_page_comes_back_by_itself(client: Client) -> None:
    answer = client.get("/away/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b'http-equiv="refresh"' in answer.content


def test_errors_in_chinese() -> None:
    with translation.override("zh-hans"):
        assert "平台暂时连不上数据库" in render_to_string("errors/503.html")
        assert "这里什么都没有" in render_to_string("errors/404.html")


def test_a_drivers_error_shows_its_reason_folded(client: Client) -> None:
    html = client.get("/driver-error/").content.decode()
    assert "The repository&#x27;s server cannot be reached now." in html
    assert "<summary>" in html
    assert html.index("cannot be reached") < html.index('<pre class="evidence">timed out')


def test_the_sign_in_page_promises_and_asks() -> None:
    from django.contrib.auth.forms import AuthenticationForm

    request = RequestFactory().get("/sign-in/")
    request.COOKIES["fdd_theme"] = "dark"
    context = {"form": AuthenticationForm(request), "next": "/builds/7/"}
    html = render_to_string("registration/login.html", context, request)
    for words in ('name="username"', 'name="password"', 'value="/builds/7/"', "csrfmiddlewaretoken", "running service"):
        assert words in html
    with translation.override("zh-hans"):
        assert "从代码推送到服务上线" in render_to_string("registration/login.html", context, request)
