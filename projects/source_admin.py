"""The ops screen of servers that are listened to: how it goes, since when, and how fast pushes become builds."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from permissions.admin_base import ReadOnlyAdmin
from projects import listening, source_actions
from projects.models import SourceListener


class HostKeyForm(forms.Form):
    """Which server is asked for its SSH key."""

    ssh_host = forms.CharField(label=_("SSH host"), max_length=253)
    ssh_port = forms.IntegerField(label=_("SSH port"), min_value=1, max_value=65535)

    def __init__(self, data: Any, *, connection: Connection, host: str = "") -> None:
        config = connection.config
        host = host or config.get("ssh_host") or urlsplit(str(config.get("url", ""))).hostname or ""
        super().__init__(data, initial={"ssh_host": host, "ssh_port": config.get("ssh_port") or 29418})


def verdict(connection: Connection, listener: SourceListener) -> SafeString:
    """How the listening goes, as a mark and a word."""
    good = listening.hears(connection)
    listening_says = listener.state == SourceListener.State.LISTENING  # and nobody has seen it alive since
    return format_html(
        '<strong class="{}">{} {}</strong>',
        "good" if good else "bad",
        "✓" if good else "✗",
        SourceListener.State.DOWN.label if listening_says and not good else listener.get_state_display(),
    )


def moment(at: datetime | None) -> str:
    return date_format(localtime(at), "Y-m-d H:i:s") if at else "–"


def latency(connection: Connection) -> str:
    """How soon a push that was heard of stands in the queue as a build."""
    found = listening.latency(connection)
    if found.p50_ms is None:
        return gettext("no push yet")
    pushes = ngettext("over %(n)s push", "over %(n)s pushes", found.n) % {"n": found.n}
    return f"p50 {found.p50_ms} ms · p95 {found.p95_ms} ms · {pushes}"


@admin.register(SourceListener)
class SourceListenerAdmin(ReadOnlyAdmin):
    list_display = (
        *("connection", "how", "trouble_said", "since", "last_event_at", "took", "compared_at", "reconnects", "skew"),
    )
    list_select_related = ("connection",)
    search_fields = ("connection__name",)
    ordering = ("connection__name",)
    fields = (
        *(
            "connection",
            "how",
            "trouble_said",
            "down_since",
            "connected_at",
            "seen",
            "ear",
            "last_event_at",
            "took",
        ),
        *("compared_at", "events", "unreadable", "reconnects", "skew", "told"),
    )
    readonly_fields = fields
    actions = ["compare_now"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SourceListener]:
        return super().get_queryset(request).defer("connection__secrets")

    @admin.display(description=_("state"), ordering="state")
    def how(self, row: SourceListener) -> SafeString:
        return verdict(row.connection, row)

    @admin.display(description=_("since"))
    def since(self, row: SourceListener) -> object:
        return row.down_since or row.connected_at

    @admin.display(description=_("from push to queue"))
    def took(self, row: SourceListener) -> str:
        return latency(row.connection)

    @admin.display(description=_("clock ahead by"))
    def skew(self, row: SourceListener) -> str:
        return "–" if row.skew_s is None else f"{row.skew_s:+.1f} s"

    @admin.display(description=_("last sign of life"))
    def seen(self, row: SourceListener) -> str:
        return moment(row.seen_at)

    @admin.display(description=_("listened to by"))
    def ear(self, row: SourceListener) -> str:
        return row.owner

    @admin.display(description=_("people told at"))
    def told(self, row: SourceListener) -> str:
        return moment(row.told_at)

    @admin.display(description=_("trouble"))
    def trouble_said(self, row: SourceListener) -> str:
        found = listening.trouble_of(row.connection)
        return say(found) if found else gettext("none")

    @admin.action(description=_("Compare all tips now"))
    def compare_now(self, request: HttpRequest, rows: QuerySet[SourceListener]) -> None:
        def act(row: SourceListener) -> None:
            source_actions.compare_now(actor=request.user, connection=row.connection)

        self.each(request, rows, act, str(_("Their turn is next")))
