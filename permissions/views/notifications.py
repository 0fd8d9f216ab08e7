"""The page of what one is told: which events, over which ways, in which language, and what was sent lately."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import channels, choices, events
from fangduoduo_release.notifications.models import Channel, Delivery, Preference
from permissions.enforce import SIGNED_IN, Page


class Notifications(Page):
    """Several forms on one page; each posts with `form=`."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest, form: Any = None, made: str = "") -> HttpResponse:
        sent = choices.latest(Delivery.objects.filter(user=self.actor))
        if request.GET.get("part") == "deliveries":
            return render(request, "notifications/deliveries.html", sent)
        choice = Preference.objects.filter(user=self.actor).first() or Preference()
        mine = list(self.mine())
        context = {
            **sent,
            "channels": mine,
            "columns": self.columns(choice, mine),
            "tab": "notifications",
            "table": choices.table(events.PERSON, self.columns(choice, mine)),
            "language": choice.language,
            "languages": choices.languages(),
            "by_mail": self.by_mail,
            "mail_works": bool(settings.MAIL["host"]),
            "form": form or choices.ChannelForm(personal=True),
            "made": made,
        }
        return render(request, "permissions/notifications.html", context, status=422 if form else 200)

    def post(self, request: HttpRequest) -> HttpResponse:
        handlers = {"choices": self.choose, "add": self.add, "remove": self.remove, "test": self.test}
        handler = handlers.get(request.POST.get("form", ""))
        if handler is None:
            raise Invalid(S("This request cannot be understood."))
        return handler(request)

    def mine(self) -> Any:
        return Channel.objects.filter(user=self.actor).defer("secrets")

    @property
    def by_mail(self) -> bool:
        return bool(settings.MAIL["host"] and self.actor.email.strip())

    def columns(self, choice: Preference, mine: list[Channel]) -> list[choices.Column]:
        columns = [choices.column_of(channel) for channel in mine]
        if not self.by_mail:
            return columns
        heard = {kind.name for kind in events.for_whom(events.PERSON)} - set(choice.not_by_mail)
        return [choices.Column(choices.MAIL, "", self.actor.email, frozenset(heard)), *columns]

    def choose(self, request: HttpRequest) -> HttpResponse:
        given: QueryDict = request.POST
        mail = given.getlist(choices.MAIL) if choices.MAIL in given.getlist("shown") else None
        channels.choose(actor=self.actor, language=given.get("language"), by_mail=mail)
        choices.save_table(self.actor, self.mine(), given)
        tell(request, S("Saved."))
        return redirect("notifications")

    def add(self, request: HttpRequest) -> HttpResponse:
        form = choices.ChannelForm(request.POST, personal=True)
        added = form.is_valid() and form.save(lambda **facts: channels.add(actor=self.actor, user=self.actor, **facts))
        if not added:
            return self.get(request, form=form)
        _channel, made = added
        if made:
            return self.get(request, made=made)  # shown once, in the answer to this very request
        tell(request, S("Saved."))
        return redirect("notifications")

    def remove(self, request: HttpRequest) -> HttpResponse:
        channel = self.chosen(request)
        channels.remove(actor=self.actor, channel=channel)
        tell(request, S("“%(name)s” is told no more.", name=channel.name))
        return redirect("notifications")

    def test(self, request: HttpRequest) -> HttpResponse:
        channel = None if request.POST.get("channel") == choices.MAIL else self.chosen(request)
        channels.send_test(actor=self.actor, channel=channel)
        tell(request, S("A test is on its way; below you see whether it arrives."))
        return redirect("notifications")

    def chosen(self, request: HttpRequest) -> Channel:
        number = request.POST.get("channel", "")
        found: Channel | None = self.mine().filter(pk=number).first() if _is_id(number) else None
        if found is None:
            raise NotFound(S("There is no such channel."))
        return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
