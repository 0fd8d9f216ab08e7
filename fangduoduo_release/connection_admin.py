"""The ops screen for connections: the kind is chosen first, its values have fields, and what the last test found stands
beside them. Saving tries the connection at once, after the transaction: the other side may take ten seconds to answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clusters import actions, connecting, feed_admin
from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Beat, Connection
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.connection_forms import form_for, names
from fangduoduo_release.connection_parts import PARTS, title_of
from permissions.admin_base import PortalAdmin
from projects import listening, source_actions, source_admin
from projects.hooks.dialects import of_connection
from projects.hooks.shown import webhooks_of
from projects.models import SourceListener

NAMED = 6  # of what is missing, in the message above a page; the page names all


@admin.register(Connection)
class ConnectionAdmin(PortalAdmin):
    """Secrets go in and are never shown, not even here."""

    change_form_template = "admin/common/connection/change_form.html"
    list_display = ("name", "kind_title", "works", "created_at")
    list_filter = ("kind",)
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    has_change_permission = has_delete_permission = PortalAdmin.has_view_permission

    # -- the form -----------------------------------------------------------------------------------------------------
    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = form_for(obj.kind if obj is not None else _chosen(request))
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["kind", *names(_chosen(request))]
        told = [] if obj.kind in PARTS else ["set_secrets"]  # a field says so itself
        more = {"jenkins": ["followed"], "gerrit": ["listening"], "kubernetes": ["clusters_followed"]}.get(obj.kind, [])
        hooks = ["webhooks"] if of_connection(obj.kind) else []
        return ["kind_title", *names(obj.kind, obj.secrets), *told, "last_result", *more, *hooks]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = ("kind_title", "set_secrets", "last_result", "followed", "listening", "clusters_followed", "webhooks")
        return () if obj is None else own

    @admin.display(description=_("kind"), ordering="kind")
    def kind_title(self, connection: Connection) -> str:
        return str(title_of(connection.kind))

    @admin.display(description=_("secrets that are set"))
    def set_secrets(self, connection: Connection) -> str:
        return ", ".join(sorted(connection.secrets or {})) or gettext("none")

    @admin.display(description=_("works"))
    def works(self, connection: Connection) -> str | SafeString:
        told = connecting.shown(connection.last_test)
        return _verdict(told["ok"]) if told else "–"

    @admin.display(description=_("last test"))
    def last_result(self, connection: Connection) -> str | SafeString:
        told = connecting.shown(connection.last_test)
        if told is None:
            fine = connecting.can_be_tested(connection)
            return gettext("Not tested yet.") if fine else gettext("There is nothing to test.")
        at = parse_datetime(str(told.get("at", "")))
        missing = format_html_join("", "<li><code>{}</code></li>", ((one,) for one in told["missing"]))
        lost = format_html_join("", "<li>{}</li>", ((one,) for one in told["lost"]))
        return format_html(
            '<div class="test-result">{} <span>{}</span> <span class="quiet">{}</span>{}{}</div>',
            _verdict(told["ok"]),
            told["sentence"],
            date_format(localtime(at), "Y-m-d H:i:s") if at else "",
            format_html("<p>{}</p><ul>{}</ul>", gettext("What will not work:"), lost) if lost else "",
            format_html("<p>{}</p><ul>{}</ul>", gettext("Missing:"), missing) if missing else "",
        )

    @admin.display(description=_("following its builds"))
    def followed(self, connection: Connection) -> str | SafeString:
        """What the watch said last; it says something only while there are builds that have not ended."""
        beat = Beat.objects.filter(name=f"follower:{connection.name}").first()
        if beat is None:
            return gettext("No build was followed yet.")
        error = beat.info.get("error")
        said = say(Sentence.from_json(error)) if error else gettext("No trouble.")
        at = date_format(localtime(beat.seen_at), "Y-m-d H:i:s")
        return format_html(
            '<div class="test-result">{} <span>{}</span> <span class="quiet">{}</span></div>',
            _verdict(not error),
            said,
            at,
        )

    @admin.display(description=_("how it is listened to"))
    def listening(self, connection: Connection) -> str | SafeString:
        """What whoever listens said last, and how fast what was heard became builds."""
        if not connection.config.get("ssh_host"):
            return gettext("Without an SSH host the portal does not listen to it.")
        row = SourceListener.objects.filter(connection=connection).first()
        trouble = listening.trouble_of(connection)
        if row is None:
            return say(trouble) if trouble else gettext("About to begin.")
        facts = [
            (gettext("since"), row.connected_at if row.state == row.State.LISTENING else row.down_since),
            (gettext("last event"), row.last_event_at),
            (gettext("tips compared"), row.compared_at),
        ]
        told = [f"{name} {source_admin.moment(at)}" for name, at in facts if at]
        return format_html(
            '<div class="test-result">{} <span>{}</span><p class="quiet">{}</p><p>{} {} <a href="{}">{}</a></p></div>',
            source_admin.verdict(connection, row),
            say(trouble) if trouble else "",
            " · ".join(told),
            gettext("From push to queue:"),
            source_admin.latency(connection),
            reverse("admin:projects_sourcelistener_change", args=[row.pk]),
            gettext("more"),
        )

    @admin.display(description=_("clusters and how they are followed"))
    def clusters_followed(self, connection: Connection) -> str | SafeString:
        return feed_admin.of_connection(connection)

    @admin.display(description=_("webhooks"))
    def webhooks(self, connection: Connection) -> SafeString:
        """Where its server may report pushes, what to enter there, and what came of it lately."""
        return render_to_string("admin/common/connection/webhooks.html", webhooks_of(connection))

    # -- writing ------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if _chosen(request) or not self.has_add_permission(request):
            named = {**(extra_context or {}), "subtitle": title_of(_chosen(request))}
            return super().add_view(request, form_url, named)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("What is to be connected?"),
            "opts": self.model._meta,
            "kinds": [(kind, title_of(kind)) for kind in _offered()],
        }
        return TemplateResponse(request, "admin/common/connection/choose.html", context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = super().changeform_view(request, *args, **kwargs)
        saved = getattr(request, "saved_connection", None)
        if saved is None:
            return answer
        actions.look_at_saved(saved)
        further = self._to_pin(request, saved)
        if further is None or not (saved.last_test or {}).get("ok"):
            self._tell(request, saved)
        return further or answer

    def _to_pin(self, request: HttpRequest, saved: Connection) -> HttpResponse | None:
        """An SSH host was given without its key: off to the page that shows and pins it."""
        host = str(getattr(request, "host_to_pin", ""))
        if not host:
            return None
        self.message_user(
            request, gettext("Now its host's key: until it is pinned, the portal does not listen."), messages.WARNING
        )
        page = reverse("admin:common_connection_host_key", args=[saved.pk])
        return HttpResponseRedirect(f"{page}?{urlencode({'host': host})}")

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        saved = actions.save_connection(
            actor=request.user,
            name=obj.name,
            kind=form.fixed_kind,
            config=form.wanted_config(),
            secrets=form.wanted_secrets(),
            connection=obj,
        )
        request.saved_connection = saved  # type: ignore[attr-defined]
        request.host_to_pin = form.to_pin.get("ssh_host", "")  # type: ignore[attr-defined]

    def _tell(self, request: HttpRequest, connection: Connection) -> None:
        told = connecting.shown(connection.last_test)
        if told is not None:
            missing = told["missing"][:NAMED] + (["…"] if len(told["missing"]) > NAMED else [])
            words = " ".join([told["sentence"], *([f"({', '.join(missing)})"] if missing else [])])
            self.message_user(request, words, level=messages.SUCCESS if told["ok"] else messages.WARNING)

    # -- the button ---------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        test = self.admin_site.admin_view(self.test_view)
        host_key = self.admin_site.admin_view(self.host_key_view)
        return [
            path("<path:object_id>/test/", test, name="common_connection_test"),
            path("<path:object_id>/host-key/", host_key, name="common_connection_host_key"),
            *super().get_urls(),
        ]

    def host_key_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the server for its SSH key, show it to be compared, and pin it when somebody says so."""
        found = self.get_object(request, object_id)
        if found is None or found.kind != "gerrit" or not self.has_change_permission(request, found):
            raise NotFound(S("There is no such connection."))
        form = source_admin.HostKeyForm(request.POST or None, connection=found, host=request.GET.get("host", ""))
        key = None
        if request.method == "POST" and form.is_valid():
            where = {"host": form.cleaned_data["ssh_host"], "port": form.cleaned_data["ssh_port"]}
            try:
                if request.POST.get("line"):
                    source_actions.pin_host_key(
                        actor=request.user, connection=found, line=request.POST["line"], **where
                    )
                    actions.look_at_saved(found)
                    self.message_user(request, gettext("The host's key is pinned."))
                    self._tell(request, found)
                    return HttpResponseRedirect(reverse("admin:common_connection_change", args=[found.pk]))
                key = source_actions.look_at_host_key(actor=request.user, connection=found, **where)
            except AppError as error:
                self.message_user(request, say(error.sentence), level=messages.ERROR)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Pin the host's key"),
            "opts": self.model._meta,
            "original": found,
            "form": form,
            "key": key,
        }
        return TemplateResponse(request, "admin/common/connection/host_key.html", context)

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button on the page of a connection: try what is stored."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        found = self.get_object(request, object_id)
        if found is None or not self.has_change_permission(request, found):
            raise NotFound(S("There is no such connection."))
        try:
            actions.try_connection(actor=request.user, connection=found)
        except AppError as error:
            self.message_user(request, say(error.sentence), level=messages.ERROR)
        else:
            self._tell(request, found)
        return HttpResponseRedirect(reverse("admin:common_connection_change", args=[found.pk]))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        obj = kwargs.get("obj")
        context["has_host_key"] = obj is not None and obj.kind == "gerrit"
        context["can_be_tested"] = obj is not None and connecting.can_be_tested(obj)
        return super().render_change_form(request, context, *args, **kwargs)

    # -- deleting -----------------------------------------------------------------------------------------------------
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with a connection (its listener, its deliveries) has no leave of its own to be asked for."""
        shown, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return shown, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Connection) -> None:
        actions.delete_connection(actor=request.user, connection=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        def act(connection: Connection) -> None:
            actions.delete_connection(actor=request.user, connection=connection)

        self.each(request, queryset, act, str(_("Deleted")))


def _offered() -> Iterable[str]:
    """Kinds with fields first, then those that a person may connect by JSON."""
    return PARTS


def _chosen(request: HttpRequest) -> str:
    """The kind that was chosen for a new connection; "" when it is none."""
    kind = request.POST.get("kind") or request.GET.get("kind") or ""
    return kind if kind in connecting.kinds() else ""


def _verdict(ok: bool) -> SafeString:
    word = gettext("works") if ok else gettext("does not work")
    return format_html('<strong class="{}">{} {}</strong>', "good" if ok else "bad", "✓" if ok else "✗", word)
