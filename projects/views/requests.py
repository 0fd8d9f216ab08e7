"""Pages of requests: the list, the form that asks, and one request with what it would change and how it is decided."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from clusters.models import Machine
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound
from fangduoduo_release.common.http import say, tell
from fangduoduo_release.common.paging import page_of
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects import consequences, deciders, decisions, grants, requests
from projects.forms import AskForm, end_of
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant
from projects.pages import fetch_project

PAGE = 50
FINAL = ("approved", "rejected", "withdrawn", "expired")


class Requests(Page):
    """`?tab=`: what waits for me, what I asked for, what was decided; `?kind=&state=&q=` narrow it."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        tab = request.GET.get("tab", "")
        waiting = deciders.waiting_for(self.actor).select_related("project", "machine", "decided_by")
        if tab not in {"waiting", "mine", "decided"}:
            tab = "waiting" if waiting.exists() else "mine"
        rows: QuerySet[AccessRequest] = waiting
        if tab == "mine":
            rows = deciders.visible(self.actor).filter(requester=self.actor)
        elif tab == "decided":
            rows = deciders.visible(self.actor).filter(state__in=FINAL)
        page = page_of(request, self.narrowed(request, rows), size=PAGE)
        policy.permissions_on_all(self.actor, [one.project for one in page.rows if one.project])
        context = {
            "tab": tab,
            "tabs": [
                {"key": key, "label": label, "url": f"{reverse('requests')}?tab={key}"}
                for key, label in (("waiting", _("Waiting for me")), ("mine", _("Mine")), ("decided", _("Decided")))
            ],
            "page": page,
            "rows": [(one, deciders.may_decide(self.actor, one)) for one in page.rows],
            "reviews": deciders.reviews_due(self.actor).select_related("machine") if tab == "waiting" else (),
            "held": self.ending() if tab == "mine" else (),
            "states": AccessRequest.state.field.choices,  # type: ignore[attr-defined]
            "chosen": {name: request.GET.get(name, "") for name in ("kind", "state", "q")},
        }
        return render(request, "projects/requests.html", context)

    @staticmethod
    def narrowed(request: HttpRequest, rows: QuerySet[AccessRequest]) -> QuerySet[AccessRequest]:
        kind, state, words = (request.GET.get(name, "") for name in ("kind", "state", "q"))
        if kind in AccessRequest.Kind.values:
            rows = rows.filter(kind=kind)
        if state in {*FINAL, "pending"}:
            rows = rows.filter(state=state)
        if words.strip():
            rows = rows.filter(Q(slug__icontains=words.strip()[:60]) | Q(requester_name__icontains=words.strip()[:60]))
        return rows

    def ending(self) -> list[RoleGrant | MachineGrant]:
        """What I hold for a time, soonest end first: each can be asked for anew."""
        roles = RoleGrant.objects.filter(grants.live(), user=self.actor).exclude(until=None)
        machines = grants.live_machine_grants().filter(request__requester=self.actor).exclude(until=None)
        found: list[Any] = [
            *roles.select_related("project").order_by("until")[:PAGE],
            *machines.select_related("project", "machine").order_by("until")[:PAGE],
        ]
        return sorted(found, key=lambda grant: grant.until)


class NewRequest(Page):
    """The form, filled in by its address. For a project one may not see it looks and answers the same as for none."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(request, request.GET)

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self.form(request.POST, request.POST)
        if not form.is_valid():
            return self.show(request, request.POST, form, 422)
        data = form.cleaned_data
        machine = Machine.objects.filter(name=data["machine"]).first() if data.get("machine") else None
        try:
            made = requests.ask(
                actor=self.actor,
                slug=data["project"].strip(),
                kind=data["kind"],
                role=data.get("role", ""),
                machine=machine,
                reason=data["reason"],
                until=form.until(),
                emergency=data["emergency"],
            )
        except (Invalid, Conflict) as error:
            named = next(iter(getattr(error, "fields", {})), None)
            form.add_error(named if named in form.fields else None, say(error.sentence))
            return self.show(request, request.POST, form, error.status)
        if made.project is not None and policy.may(self.actor, "view_project", made.project):
            tell(request, S("Asked. You hear of it when it is decided."))
        else:
            tell(request, S("Asked. If there is such a project, its owners decide."))
        return redirect("request", made.pk)

    @staticmethod
    def form(given: Any, data: Any = None) -> AskForm:
        machines = [
            (one.name, f"{one.name} · {one.get_environment_display()}")
            for one in Machine.objects.order_by("order", "name")
        ]
        start = {name: given.get(name, "") for name in ("project", "role", "machine", "days", "reason", "emergency")}
        start["kind"] = given.get("kind") if given.get("kind") in AccessRequest.Kind.values else "role"
        return AskForm(data, machines=machines, given=given, initial=start)

    def show(self, request: HttpRequest, given: Any, form: AskForm | None = None, status: int = 200) -> HttpResponse:
        form = form or self.form(given)
        kind = given.get("kind") or "role"
        slug = given.get("project", "").strip()[:60]
        project = policy.visible(self.actor, Project.objects.filter(slug=slug)).first() if slug else None
        machine = Machine.objects.filter(name=given.get("machine", "")).first() if kind == "machine" else None
        if kind == "machine" and slug:
            fetch_project(self.actor, slug)  # a machine is asked for by those who see the project
        effect = None
        if project is not None and (machine or kind == "role"):
            role = given.get("role", "") or "viewer"
            effect = consequences.of(project, self.actor, role, machine, bool(given.get("emergency")))
        context = {
            "form": form,
            "kind": kind,
            "project": project,
            "machine": machine,
            "emergency": bool(given.get("emergency")),
            "effect": effect,
            "production": machine.name if machine and machine.is_production else "",
        }
        return render(request, "projects/request_new.html", context, status=status)


class OneRequest(Page):
    """Exactly what is asked and what it changes; POST `do=` approve, alone, reject, withdraw or review."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.show(request, deciders.fetch(self.actor, pk))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        found = deciders.fetch(self.actor, pk)
        wish, note = request.POST.get("do", ""), request.POST.get("note", "")
        seen = request.POST.get("sha256", "")
        try:
            if wish in {"approve", "alone"}:
                day = request.POST.get("until", "")
                until = end_of(_day(day)) if day else None
                decisions.approve(
                    actor=self.actor, request=found, sha256=seen, note=note, until=until, alone=wish == "alone"
                )
            elif wish == "reject":
                decisions.reject(actor=self.actor, request=found, sha256=seen, note=note)
            elif wish == "review":
                decisions.review(actor=self.actor, request=found, note=note)
            elif wish == "withdraw":
                requests.withdraw(actor=self.actor, request=found)
            else:
                raise Invalid(S("This request cannot be understood."))
        except (Invalid, Conflict) as error:
            return self.show(request, deciders.fetch(self.actor, pk), error.sentence, error.status)
        tell(request, S("Saved."))
        return redirect("request", pk)

    def show(self, request: HttpRequest, one: AccessRequest, problem: Any = None, status: int = 200) -> HttpResponse:
        seen = one.project is not None and policy.may(self.actor, "view_project", one.project)
        waits = one.state == "pending"
        signed = one.emergency and waits and one.decided_by_id is not None
        context = {
            "one": one,
            "problem": problem,
            "seen": seen,
            "effect": consequences.of_request(one) if seen else None,
            "history": consequences.history(one) if seen else (),
            "may_decide": waits and deciders.may_decide(self.actor, one),
            "signed_by_me": signed and one.decided_by_id == self.actor.pk,
            "signed": signed,
            "mine": one.requester_id == self.actor.pk,
            "may_review": deciders.reviews_due(self.actor).filter(pk=one.pk).exists(),
            "review_due": one.emergency and one.state == "approved" and one.reviewed_at is None,
            "changed": waits and requests.fingerprint(one) != one.asked_sha256,
        }
        return render(request, "projects/request.html", context, status=status)


def _day(text: str) -> date:
    try:
        found = parse_date(text)
    except ValueError:  # a date like 31 February
        found = None
    if found is None:
        raise Invalid(S("This is no date."), fields={"until": []})
    return found


class Renew(Page):
    """One click: a new request with the same facts and the same length."""

    permission = OBJECT

    def post(self, request: HttpRequest, kind: str, pk: int) -> HttpResponse:
        grant: RoleGrant | MachineGrant
        if kind == "role":
            grant = policy.fetch(self.actor, RoleGrant.objects.select_related("project"), pk=pk)
        elif kind == "machine":
            grant = policy.fetch(self.actor, MachineGrant.objects.select_related("project", "machine"), pk=pk)
        else:
            raise NotFound(S("There is nothing here, or you may not see it."))
        made = requests.renew(actor=self.actor, grant=grant)
        tell(request, S("Asked. You hear of it when it is decided."))
        return redirect("request", made.pk)
