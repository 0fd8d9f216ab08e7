"""The gallery shows every shared part in both languages, under the strict content security policy."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from fangduoduo_release import gallery


@pytest.fixture
def html(client: Client) -> str:
    return client.get("/gallery/").content.decode()


def test_no_inline_script_and_no_inline_style(html: str) -> None:
    for script in re.findall(r"<script\b[^>]*>", html):
        assert "src=" in script or 'type="application/json"' in script
    assert not re.search(r"\sstyle=", html)
    assert "<style" not in html
    assert not re.search(r"\son\w+=", html)


def test_htmx_neither_writes_styles_nor_evaluates(html: str) -> None:
    assert '"includeIndicatorStyles":false' in html
    assert '"allowEval":false' in html


def test_every_response_carries_the_policy(client: Client) -> None:
    policy = client.get("/gallery/").headers["Content-Security-Policy"]
    for rule in ("default-src 'self'", "style-src 'self'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy


def test_nothing_comes_from_another_host(html: str) -> None:
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_labels_point_at_fields_and_errors_are_announced(html: str) -> None:
    for target in re.findall(r'<label[^>]* for="([^"]+)"', html):
        assert f'id="{target}"' in html
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_name-help id_name-error"' in html


def test_ids_are_unique(html: str) -> None:
    ids = [found for found in re.findall(r'\sid="([^"]+)"', html) if found not in {"id_name-help"}]
    assert len(ids) == len(set(ids)), sorted({one for one in ids if ids.count(one) > 1})


def test_buttons_without_words_have_a_name(html: str) -> None:
    for tag, inside in re.findall(r"<(?:button|a)\b([^>]*)>(.*?)</(?:button|a)>", html, re.S):
        words = re.sub(r"<svg.*?</svg>|<[^>]+>", "", inside, flags=re.S).strip()
        assert words or "aria-label=" in tag, tag


def test_chinese_pages_say_so_and_speak_it(client: Client) -> None:
    client.cookies["django_language"] = "zh-hans"
    html = client.get("/gallery/").content.decode()
    assert '<html lang="zh-Hans"' in html
    for words in ("等待审批", "通常 1 分 20 秒", "全部复制", "谁可以授权", "搜索日志"):
        assert words in html


def test_production_has_a_red_edge_and_its_name(client: Client) -> None:
    html = client.get("/gallery/panel/?production=1").content.decode()
    assert "panel-production" in html
    assert "This is production: <strong>prod-bj</strong>" in html
    assert "btn-danger" in html
    assert "panel-production" not in client.get("/gallery/panel/").content.decode()


def test_a_refusal_names_rule_granter_and_where_to_ask(client: Client) -> None:
    answer = client.post("/gallery/refused/")
    html = answer.content.decode()
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (403, "#panel-body")
    for words in ("Only a maintainer of shop-api", "Li Wei", 'href="#ask"'):
        assert words in html


def test_the_theme_is_drawn_by_the_server(client: Client) -> None:
    client.cookies["fdd_theme"] = "dark"
    assert 'data-bs-theme="dark" data-theme-choice="dark"' in client.get("/gallery/").content.decode()


def test_every_view_says_who_may_see_it() -> None:
    assert all(pattern.callback.permission == "public" for pattern in gallery.urlpatterns)


def test_the_made_up_log_keeps_its_protocol(client: Client) -> None:
    end = client.get("/gallery/log/lines/?from=-3&count=500").json()
    assert [line[0] for line in end["lines"]] == [999_998, 999_999, 1_000_000]
    assert (end["first"], end["total_lines"], end["complete"]) == (999_998, 1_000_000, True)
    assert client.get("/gallery/log/find/?q=error&after=750000&direction=next").json() == {"line": 750_321}
    assert client.get("/gallery/log/find/?q=nowhere&after=1&direction=next").json() == {"line": None}
