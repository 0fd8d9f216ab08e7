"""Instances as cards, written here and not in a template: a service may have hundreds, and a template takes a third of a
millisecond for each. Every piece that repeats (states, times, nodes) is made once. Everything is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from django import template
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from .portal import ago, icon, say, state, version

register = template.Library()


@register.simple_tag
def instance_cards(
    instances: Iterable[Mapping[str, Any]], logs: str = "", terminal: Mapping[str, Any] | None = None
) -> SafeString:
    """List items of [{name, state, version, ready, restarts, started_at, node, reason, old, containers}]; `logs`: the
    address of the service's logs, `terminal`: {url, locked}, for links from each."""
    made = _Once()
    links = [_link(logs, gettext("Logs"), "list-details")] if logs else []
    if terminal and terminal.get("url") and not terminal.get("locked"):
        links.append(_link(str(terminal["url"]), gettext("Terminal"), "terminal-2"))
    return mark_safe("".join(_card(one, made, links) for one in instances))  # noqa: S308 - all of it is escaped above


class _Once:
    """Pieces that were made already, by what they were made of."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, str] = {}

    def __call__(self, make: Callable[[Any], str], value: Hashable) -> str:
        key = (make, value)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make(value)
        return found


def _card(one: Mapping[str, Any], made: _Once, links: Sequence[tuple[str, str]]) -> str:
    name = escape(str(one["name"]))
    facts = [made(state, one["state"]), made(version, one.get("version"))]
    if one.get("started_at"):
        facts.append(made(_since, one["started_at"]))
    if one.get("restarts"):
        facts.append(made(_restarts, one["restarts"]))
    if one.get("node"):
        facts.append(made(_plain, str(one["node"])))
    if one.get("containers"):
        facts.append(made(_containers, tuple(one["containers"])))
    reason = f'<p class="instance-reason">{escape(say(one["reason"]))}</p>' if one.get("reason") else ""
    ways = "".join(f"{before}{quote(str(one['name']))}{after}" for before, after in links)
    return (
        f'<li class="instance{" instance-old" if one.get("old") else ""}" id="i-{name}">'
        f'<div class="instance-top"><span class="instance-name">{name}</span><span class="instance-ways">{ways}</span></div>'
        f'<div class="instance-facts">{"".join(facts)}</div>{reason}</li>'
    )


def _link(address: str, word: str, picture: str) -> tuple[str, str]:
    """What stands before and after an instance's name."""
    word = escape(word)
    return (
        f'<a href="{escape(address)}?instance=',
        f'" title="{word}" aria-label="{word}">{icon(picture, "sm")}</a>',
    )


def _plain(text: str) -> str:
    return f"<span>{escape(text)}</span>"


def _since(when: Any) -> str:
    return f"<span>{ago(when)}</span>"


def _restarts(count: int) -> str:
    words = ngettext("%(n)s restart", "%(n)s restarts", count) % {"n": count}
    return f'<span class="tone-amber">{escape(words)}</span>'


def _containers(names: tuple[str, ...]) -> str:
    return f'<span title="{escape(gettext("Containers"))}">{escape(", ".join(names))}</span>'
