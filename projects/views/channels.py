"""The page of who is told about a project: its channels, what they hear of, and what was sent lately."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import choices, events
from fangduoduo_release.notifications.models import Channel
from permissions.enforce import OBJECT, Page
from projects import channels
from projects.models import Project
from projects.pages import fetch_project, project_context


class Channels(Page):
    """Several forms on one page; each posts with `form=`."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(request, fetch_project(self.actor, slug))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        handlers = {"choices": self.choose, "add": self.add, "remove": self.remove, "test": self.test}
        handler = handlers.get(request.POST.get("form", ""))
        if handler is None:
            raise Invalid(S("This request cannot be understood."))
        return handler(request, project)

    def show(self, request: HttpRequest, project: Project, *, form: Any = None, made: str = "") -> HttpResponse:
        sent = choices.latest(channels.sent(self.actor, project))
        if request.GET.get("part") == "deliveries":
            return render(request, "notifications/deliveries.html", sent)
        known = list(channels.of_project(self.actor, project))
        columns = [choices.column_of(channel) for channel in known]
        context = {
            **project_context(self.actor, project, "settings"),
            **sent,
            "channels": known,
            "columns": columns,
            "table": choices.table(events.PROJECT, columns),
            "form": form or choices.ChannelForm(personal=False),
            "made": made,
        }
        return render(request, "projects/channels.html", context, status=422 if form else 200)

    def choose(self, request: HttpRequest, project: Project) -> HttpResponse:
        choices.save_table(self.actor, channels.of_project(self.actor, project), request.POST)
        tell(request, S("Saved."))
        return redirect("project-channels", project.slug)

    def add(self, request: HttpRequest, project: Project) -> HttpResponse:
        channels.of_project(self.actor, project)  # the right first, then what was typed
        form = choices.ChannelForm(request.POST, personal=False)
        added = form.is_valid() and form.save(
            lambda **facts: channels.add_channel(actor=self.actor, project=project, **facts)
        )
        if not added:
            return self.show(request, project, form=form)
        _channel, made = added
        if made:
            return self.show(request, project, made=made)  # shown once, in the answer to this very request
        tell(request, S("Saved."))
        return redirect("project-channels", project.slug)

    def remove(self, request: HttpRequest, project: Project) -> HttpResponse:
        channel = self.chosen(request, project)
        channels.remove_channel(actor=self.actor, project=project, channel=channel)
        tell(request, S("“%(name)s” is told no more.", name=channel.name))
        return redirect("project-channels", project.slug)

    def test(self, request: HttpRequest, project: Project) -> HttpResponse:
        channels.test_channel(actor=self.actor, project=project, channel=self.chosen(request, project))
        tell(request, S("A test is on its way; below you see whether it arrives."))
        return redirect("project-channels", project.slug)

    def chosen(self, request: HttpRequest, project: Project) -> Channel:
        number = request.POST.get("channel", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            raise NotFound(S("There is no such channel."))
        return channels.one(self.actor, project, int(number))
