"""The portal's template tags: small parts of a page that must look the same everywhere.

`{% load portal %}`. Only shows values it is given: no query, no permission, no model. Bigger parts are in
`templates/components/`; words and colours of states in `looks.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.core.files.storage import Storage, storages
from django.forms import BoundField
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.sentence import Sentence

from .diffs import LINES_SHOWN, diff_lines
from .fields import drawn
from .looks import ENVIRONMENTS, look_of, parameter_kind
from .stages import tree
from .times import ago_words, duration_words, exact_words, size_words
from .words import page_words

register = template.Library()
register.filter("parameter_kind", parameter_kind)

THEMES = ("auto", "light", "dark")
NAVIGATION = (
    # key, url name, icon, label, only for staff
    ("home", "home", "home", _("Home"), False),
    ("projects", "projects", "box", _("Projects"), False),
    ("builds", "builds", "hammer", _("Builds"), False),
    ("deployments", "deployments", "rocket", _("Deployments"), False),
    ("machines", "machines", "server-2", _("Machines"), False),
    ("requests", "requests", "hand-stop", _("Requests"), False),
    ("ops", "admin:index", "shield-lock", _("Ops"), True),
)


# --- the frame ---------------------------------------------------------------------------------------------------
@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> dict[str, str]:
    """The theme from the cookie: `choice` auto|light|dark, `now` light|dark (what to draw before any script)."""
    request = context.get("request")
    stored = request.COOKIES.get("fdd_theme", "") if request else ""
    choice, _dash, resolved = stored.partition("-")
    if choice not in THEMES:
        choice, resolved = "auto", ""
    now = choice if choice != "auto" else resolved
    return {"choice": choice, "now": now if now in ("light", "dark") else "light"}


@register.simple_tag(takes_context=True)
def navigation(context: template.Context) -> list[dict[str, Any]]:
    """The top bar's entries: `key label icon url current`. An address that does not exist (yet) is left out."""
    request = context.get("request")
    user, here = context.get("user"), request.path if request else ""
    entries: list[dict[str, Any]] = []
    for key, name, icon_name, label, staff in NAVIGATION:
        url = _url_or_none(name)
        if url and (not staff or getattr(user, "is_staff", False)):
            entries.append({"key": key, "label": label, "icon": icon_name, "url": url, "current": False})
    matching = [
        entry for entry in entries if here == entry["url"] or (entry["url"] != "/" and here.startswith(entry["url"]))
    ]
    section = context.get("section")
    for entry in entries:
        entry["current"] = entry["key"] == section if section else entry in matching
    return entries


def _url_or_none(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


@register.simple_tag
def words() -> SafeString:
    """The browser's sentences as a JSON block (data, not script: allowed by the content security policy)."""
    return json_script(page_words(), "page-words")


# --- single values -----------------------------------------------------------------------------------------------
@register.simple_tag
def icon(name: str, size: str = "", spin: bool = False) -> SafeString:
    """An icon of the sprite, decoration only: say the same in words beside it. `size`: "", "sm", "lg"."""
    return format_html(
        '<svg class="icon{}{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f" icon-{size}" if size else "",
        " icon-spin" if spin else "",
        _sprite(storages["staticfiles"]),
        name,
    )


@lru_cache(maxsize=2)
def _sprite(storage: Storage) -> str:
    """The sprite's address, worked out once: a big table has hundreds of icons."""
    return str(storage.url("vendor/icons.svg"))


@register.simple_tag
def state(value: str | None, label: Any = "", short: bool = False) -> SafeString:
    """A state as colour + icon + word. `short`: the word is for screen readers and the tooltip only (tight cells)."""
    look = look_of(value)
    word = label or look.label
    return format_html(
        '<span class="state state-{}{}" data-state="{}"{}>{}<span class="{}">{}</span></span>',
        look.tone,
        " state-short" if short else "",
        value,
        format_html(' title="{}"', word) if short else "",
        icon(look.icon, spin=look.spins),
        "visually-hidden" if short else "state-word",
        word,
    )


@register.simple_tag
def environment(name: str) -> SafeString:
    """The environment of a machine; production is red everywhere."""
    return format_html('<span class="env env-{}">{}</span>', name, ENVIRONMENTS.get(name, name))


@register.simple_tag
def version(number: Any, url: str = "") -> SafeString:
    """`#128`, a link when there is an address; "–" for None."""
    if number is None or number == "":
        return mark_safe('<span class="text-secondary">–</span>')
    if url:
        return format_html('<a class="version" href="{}">#{}</a>', url, number)
    return format_html('<span class="version">#{}</span>', number)


@register.simple_tag
def copy(value: str, label: Any = "") -> SafeString:
    """A button that copies `value`; `label` says what (for screen readers and the tooltip)."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" title="{}" aria-label="{}">{}</button>',
        value,
        label or gettext("Copy"),
        label or gettext("Copy"),
        icon("copy", "sm"),
    )


@register.simple_tag
def sha(value: str) -> SafeString:
    """A short commit id that copies the whole one on a click."""
    return format_html(
        '<button type="button" class="sha" data-copy="{}" title="{}">{}</button>',
        value,
        gettext("Copy the whole commit id"),
        value[:8],
    )


@register.simple_tag
def digest(value: str | None) -> SafeString:
    """`sha256:ab12cd34…` with a copy button; "–" when there is none."""
    if not value:
        return mark_safe('<span class="text-secondary">–</span>')
    kind, _colon, number = value.rpartition(":")
    shown = f"{kind}:{number[:12]}…" if kind else f"{number[:12]}…"
    return format_html('<span class="digest"><code title="{}">{}</code>{}</span>', value, shown, copy(value))


@register.simple_tag
def ago(when: datetime | None) -> SafeString:
    """A relative time that goes on counting in the browser; the exact moment on hover. "–" for None."""
    if when is None:
        return mark_safe('<span class="text-secondary">–</span>')
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', when.isoformat(), exact_words(when), ago_words(when)
    )


@register.simple_tag
def duration(ms: float | None = None, usual: float | None = None, since: datetime | None = None) -> SafeString:
    """`1 m 12 s · usually 1 m 20 s`. `since`: it runs now and counts up in the browser (`ms` is ignored)."""
    live: SafeString | str = ""
    if since is not None:
        ms = (datetime.now(since.tzinfo) - since).total_seconds() * 1000
        live = format_html(' data-since="{}"', since.isoformat())
    shown = format_html('<span class="duration"{}>{}</span>', live, duration_words(ms))
    if usual is None:
        return shown
    usually = gettext("usually %(duration)s") % {"duration": duration_words(usual)}
    return format_html('{} <span class="usual">· {}</span>', shown, usually)


@register.simple_tag
def avatar(person: Any, size: str = "") -> SafeString:
    """A person's initials on a colour of their own; takes a user or a name."""
    name = str(getattr(person, "get_full_name", lambda: "")() or getattr(person, "username", person) or "?").strip()
    parts = name.replace(".", " ").replace("-", " ").split()
    wide = bool(name) and ord(name[0]) > 0x2E80
    initials = name[-2:] if wide else "".join(part[0] for part in parts[:2]).upper()
    hue = sum(ord(letter) * (index + 7) for index, letter in enumerate(name)) % 8
    return format_html(
        '<span class="avatar-name av-{}{}" title="{}" aria-hidden="true">{}</span>',
        hue,
        f" av-{size}" if size else "",
        name,
        initials or "?",
    )


# --- sentences ---------------------------------------------------------------------------------------------------
@register.filter
def say(sentence: Sentence | Mapping[str, Any] | str | None) -> str:
    """A Sentence (or its stored JSON) in the reader's language; a plain string goes through the catalogue too."""
    if not sentence:
        return ""
    if isinstance(sentence, Mapping):
        sentence = Sentence.from_json(sentence)
    if not isinstance(sentence, Sentence):
        return gettext(str(sentence))
    text = gettext(sentence.msgid)
    if not sentence.params:
        return text
    try:
        return text % sentence.params
    except (KeyError, TypeError, ValueError):  # a stored sentence older than its parameters must not break the page
        return sentence.msgid


@register.filter
def sentence_of(event: Any) -> str:
    """What an event row says, in the reader's language."""
    return say(Sentence(event.text, event.data))


@register.filter
def size(value: int | None) -> str:
    """Bytes for people."""
    return size_words(value)


@register.filter
def in_words(ms: float | None) -> str:
    """A duration in milliseconds as plain words."""
    return duration_words(ms)


# --- bigger parts ------------------------------------------------------------------------------------------------
@register.inclusion_tag("components/progress.html")
def progress(
    percent: float | None = None,
    since: datetime | None = None,
    expected_ms: float | None = None,
    done: int | None = None,
    total: int | None = None,
    label: Any = "",
) -> dict[str, Any]:
    """A bar. With `since` and `expected_ms` it fills in the browser by what is usual and says when it is late."""
    if percent is None and done is not None and total:
        percent = 100 * done / total
    if percent is None and since is not None and expected_ms:
        percent = min(95.0, (datetime.now(since.tzinfo) - since).total_seconds() * 100_000 / expected_ms)
    return {
        "percent": None if percent is None else round(percent),
        "since": since,
        "expected_ms": expected_ms,
        "done": done,
        "total": total,
        "label": label or _("Progress"),
    }


@register.inclusion_tag("components/stages.html")
def stage_graph(stages: Iterable[Any], chosen: str = "", url: str = "", vertical: bool = False) -> dict[str, Any]:
    """The stages of a build (see `stages.py` for the shape). `url` + the stage's id chooses its log."""
    return {"nodes": tree(stages, chosen), "url": url, "vertical": vertical, "chosen": chosen}


@register.inclusion_tag("components/diff.html")
def diff(text: str, title: Any = "", same: Any = "") -> dict[str, Any]:
    """A unified diff; `same` is the sentence for "no difference"."""
    lines = list(diff_lines(text or ""))
    return {"lines": lines[:LINES_SHOWN], "hidden": max(0, len(lines) - LINES_SHOWN), "title": title, "same": same}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, wide: bool = False) -> dict[str, Any]:
    """A form field with label, help and errors, wired for screen readers."""
    return {**drawn(bound), "wide": wide}
