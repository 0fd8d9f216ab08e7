"""The template tags say the same thing everywhere, escape what they show, and never break a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone, translation

from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.templatetags import portal
from fangduoduo_release.common.templatetags.diffs import diff_lines
from fangduoduo_release.common.templatetags.looks import LOOKS, look_of
from fangduoduo_release.common.templatetags.stages import tree
from fangduoduo_release.common.templatetags.times import ago_words, duration_words, size_words

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def render(text: str, **context: object) -> str:
    return Template("{% load portal %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (850, "0.8 s"),
        (2000, "2 s"),
        (59_600, "1 m 0 s"),
        (72_000, "1 m 12 s"),
        (7_500_000, "2 h 5 m"),
        (200_000_000, "2 d 7 h"),
        (-5, "0.0 s"),
    ],
)
def test_durations_in_words(ms: float | None, words: str) -> None:
    assert duration_words(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "just now"),
        (42, "42 s ago"),
        (190, "3 min ago"),
        (9000, "2 h ago"),
        (200_000, "2 d ago"),
        (-90, "in 1 min"),
        (30 * 86400, "Oct. 24, 2026"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert ago_words(NOW - timedelta(seconds=seconds), NOW) == words


def test_times_in_chinese() -> None:
    with translation.override("zh-hans"):
        assert ago_words(NOW - timedelta(minutes=3), NOW) == "3 分钟前"
        assert duration_words(72_000) == "1 分 12 秒"


@pytest.mark.parametrize(("size", "words"), [(None, "–"), (0, "0 B"), (1536, "1.5 KiB"), (104_857_600, "100 MiB")])
def test_sizes_for_people(size: int | None, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_a_state_is_colour_icon_and_word(name: str) -> None:
    html = render("{% state name %}", name=name)
    assert f"state-{LOOKS[name].tone}" in html
    assert f"#{LOOKS[name].icon}" in html
    assert str(LOOKS[name].label) in html


def test_a_short_state_keeps_its_word_for_screen_readers() -> None:
    html = render("{% state 'failed' short=True %}")
    assert 'title="Failed"' in html
    assert '<span class="visually-hidden">Failed</span>' in html


def test_a_state_nobody_described_is_shown_as_it_is() -> None:
    assert str(look_of("half_way").label) == "Half way"
    assert (look_of("half_way").tone, look_of(None).tone) == ("grey", "grey")
    assert "Half" in render("{% state 'half_way' label='Half' %}")


def test_values_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    for tag in ("{% state x %}", "{% copy x %}", "{% sha x %}", "{% digest x %}", "{% version x %}", "{% avatar x %}"):
        assert "<script" not in render(tag, x=evil)


def test_a_digest_is_short_and_copies_whole() -> None:
    html = render("{% digest d %}", d="sha256:" + "ab" * 32)
    assert "sha256:abababababab…" in html
    assert f'data-copy="sha256:{"ab" * 32}"' in html
    assert "–" in render("{% digest d %}", d=None)


def test_versions_and_times_that_are_not_there() -> None:
    assert "–" in render("{% version v %}{% ago t %}", v=None, t=None)
    assert 'href="/v/1"' in render("{% version 128 '/v/1' %}")


def test_a_relative_time_has_the_exact_one_on_hover() -> None:
    moment = timezone.now() - timedelta(minutes=3)
    html = render("{% ago t %}", t=moment)
    assert f"{moment:%Y-%m-%d %H:%M:%S}" in html
    assert "data-ago>3 min ago" in html


def test_a_duration_says_what_is_usual_and_counts_when_it_runs() -> None:
    assert "usually 1 m 20 s" in render("{% duration 72000 80000 %}")
    assert 'data-since="' in render("{% duration since=t %}", t=timezone.now())


def test_progress_is_known_or_expected() -> None:
    assert 'value="67"' in render("{% progress done=2 total=3 %}")
    since = timezone.now() - timedelta(hours=40)
    html = render("{% progress since=t expected_ms=288000000 %}", t=since)
    assert 'value="50"' in html
    assert 'data-expected="288000000"' in html
    assert "value=" not in render("{% progress since=t %}", t=since)  # nothing is known: it only moves


def test_initials() -> None:
    assert ">LW<" in render("{% avatar 'Li Wei' %}")
    assert ">晓明<" in render("{% avatar '房晓明' %}")
    assert ">D<" in render("{% avatar 'dev' %}")
    assert ">?<" in render("{% avatar x %}", x="")


def test_a_sentence_is_said_in_the_readers_language() -> None:
    sentence = S("Cancelled by %(who)s.", who="Li Wei")
    with translation.override("zh-hans"):
        assert portal.say(sentence) == "已被 Li Wei 取消。"
        assert portal.say(sentence.as_json()) == "已被 Li Wei 取消。"
        assert portal.say("Failed") == "失败"
    assert portal.say(None) == ""
    assert portal.say({"msgid": "%(who)s left", "params": {}}) == "%(who)s left"
    assert portal.say({"msgid": "%(who)s left", "params": {"whom": 1}}) == "%(who)s left"


def test_the_theme_comes_from_the_cookie_only_when_it_is_one() -> None:
    for cookie, choice, now in [
        ("", "auto", "light"),
        ("dark", "dark", "dark"),
        ("auto-dark", "auto", "dark"),
        ("auto-x", "auto", "light"),
        ('"><script>', "auto", "light"),
    ]:
        request = RequestFactory().get("/")
        request.COOKIES["fdd_theme"] = cookie
        assert portal.theme(Context({"request": request})) == {"choice": choice, "now": now}


def test_navigation_leaves_out_what_does_not_exist_and_marks_where_one_is() -> None:
    request = RequestFactory().get("/projects/shop/")
    user = SimpleNamespace(is_staff=False)
    entries = portal.navigation(Context({"request": request, "user": user}))
    assert [entry["key"] for entry in entries] == ["home", "projects"]
    assert [entry["current"] for entry in entries] == [False, True]
    chosen = portal.navigation(Context({"request": request, "user": user, "section": "home"}))
    assert [entry["current"] for entry in chosen] == [True, False]


def test_stages_of_any_shape_become_a_tree() -> None:
    inner = SimpleNamespace(id=7, name="Push", state="failed", stages=None, parallel=None)
    nodes = tree([{"name": "Build"}, {"id": 3, "name": "Checks", "parallel": [{"name": "Unit"}, inner]}], chosen="7")
    assert [node.id for node in nodes] == ["Build", "3"]
    assert nodes[0].state == "pending"
    assert nodes[1].is_group
    assert nodes[1].leaves == 2
    assert nodes[1].parallel[1].chosen
    assert tree(None) == []


def test_the_stage_graph_links_each_stage_to_its_log() -> None:
    stages = [{"id": "a b", "name": "<Build>", "state": "succeeded", "duration_ms": 48200}]
    html = render("{% stage_graph s chosen='a b' url='?stage=' %}", s=stages)
    assert 'href="?stage=a%20b"' in html
    assert 'aria-current="true"' in html
    assert "&lt;Build&gt;" in html
    assert "48 s" in html


def test_a_diff_is_read_by_its_own_counts() -> None:
    text = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ def f\n one\n--- gone\n+++ come\n three\n--- a/y\n+++ b/y\n@@ -0,0 +1 @@\n+new\n"
    lines = list(diff_lines(text))
    assert [line.kind for line in lines] == ["file", "hunk", "same", "del", "add", "same", "file", "hunk", "add"]
    assert lines[3].text == "-- gone"
    assert (lines[3].old, lines[4].new) == (2, 2)
    assert (lines[5].old, lines[5].new) == (3, 3)
    assert (lines[-1].old, lines[-1].new) == (None, 1)


def test_a_removed_file_is_named_and_text_that_is_no_diff_is_nothing() -> None:
    lines = list(diff_lines("--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"))
    assert [(line.kind, line.text) for line in lines] == [("file", "old"), ("hunk", "…"), ("del", "x")]
    assert list(diff_lines("hello\nworld")) == []
    assert "No difference" in render("{% diff '' %}")


def test_a_long_diff_says_how_much_is_left_out() -> None:
    text = "@@ -0,0 +1,2500 @@\n" + "+x\n" * 2500
    assert "501 more lines" in render("{% diff t %}", t=text)
