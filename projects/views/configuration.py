"""Pages of a project's configuration: what it is bound to and what that says, and each text with its history."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from clusters import configs
from clusters.config_store import Rows, Sightings
from clusters.drivers.config import templating
from clusters.drivers.config.base import LARGEST_TEXT, Revision
from clusters.drivers.config.binding import EMBEDDED
from clusters.drivers.config.consul_wire import ConsulAccess
from clusters.models import ConfigSeen
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import AppError, Denied, Invalid, NotFound
from fangduoduo_release.common.http import say, tell
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects import actions, config_actions, configuration, specs
from projects.config_forms import BindingForm, NewKeyForm, TextForm
from projects.models import Project
from projects.pages import fetch_project, project_context

REVISIONS = 50
WORDS = (  # in the order of the page
    "VERSION", "IMAGE", "DIGEST", "COMMIT", "PROJECT", "MACHINE", "ENVIRONMENT", "NAMESPACE", "REPLICAS",
)  # fmt: skip
LARGEST_REQUEST = 2 * LARGEST_TEXT


class Configuration(Page):
    """What the project is deployed with beside its spec, and its own texts. Two forms; each posts with `form=`."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(request, fetch_project(self.actor, slug))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)
        handler = {"bind": self.bind, "new": self.begin}.get(request.POST.get("form", ""))
        if handler is None:
            raise Invalid(S("This request cannot be understood."))
        return handler(request, project)

    def bind(self, request: HttpRequest, project: Project) -> HttpResponse:
        form = self.binding_form(project, request.POST)
        if not form.is_valid():
            return self.show(request, project, binding_form=form)
        revision = specs.latest(project)
        spec = {name: value for name, value in (revision.spec if revision else {}).items() if name != "config"}
        binding = form.binding()
        try:
            actions.save_spec(
                actor=self.actor, project=project, spec={**spec, **({"config": binding} if binding else {})}
            )
        except (Invalid, Denied) as error:
            for sentence in getattr(error, "fields", {}).get("config") or [error.sentence]:
                form.add_error(None, say(sentence))
            return self.show(request, project, binding_form=form)
        tell(request, S("Saved; the next deployment uses it."))
        return redirect("project-configuration", project.slug)

    def begin(self, request: HttpRequest, project: Project) -> HttpResponse:
        form = NewKeyForm(request.POST)
        if form.is_valid():
            key = form.cleaned_data["key"].strip()
            try:
                configuration.require_own(self.actor, project, key)
            except (Invalid, Denied) as error:
                form.add_error("key", say(error.sentence))
            else:
                return redirect("project-config", project.slug, EMBEDDED, key)
        return self.show(request, project, new_form=form)

    def binding_form(self, project: Project, data: Any = None) -> BindingForm:
        chosen = configuration.binding_of(project)
        may = policy.may(self.actor, "change_project", project)
        offered = configuration.sources() if may else [chosen.source] if chosen else []
        return BindingForm(data, sources=offered, binding=chosen, slug=project.slug)

    def show(
        self, request: HttpRequest, project: Project, *, binding_form: Any = None, new_form: Any = None
    ) -> HttpResponse:
        bound = configuration.bound(project)
        context = {
            **project_context(self.actor, project, "settings"),
            "binding": configuration.binding_of(project),
            "bound": bound,
            "trouble": next((one.trouble for one in bound if one.trouble), None),
            "own": configuration.own(project),
            "unwritten": configuration.unwritten(project),
            "embedded": EMBEDDED,
            "words": [f"${{{name}}}" for name in WORDS],
            "in_keys": [f"${{{name}}}" for name in WORDS if name in templating.IN_KEYS],
            "binding_form": binding_form or self.binding_form(project),
            "new_form": new_form or NewKeyForm(initial={"key": f"{project.slug}/"}),
        }
        status = 422 if binding_form or new_form else 200
        return render(request, "projects/configuration.html", context, status=status)


class Config(Page):
    """One text: what it says, who changed it when, and the editor for who may change it."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str, source: str, key: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        configuration.require_address(source, key)
        return self.show(request, project, source, key)

    def post(self, request: HttpRequest, slug: str, source: str, key: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        configuration.require_address(source, key)
        policy.require(self.actor, "change_project", project)
        handlers = {"save": self.save, "restore": self.restore, "delete": self.remove}
        handler = handlers.get(request.POST.get("form", ""))
        if handler is None:
            raise Invalid(S("This request cannot be understood."))
        return handler(request, project, source, key)

    def save(self, request: HttpRequest, project: Project, source: str, key: str) -> HttpResponse:
        form = TextForm(request.POST)
        if not form.is_valid():
            raise Invalid(S("The text of “%(key)s” is larger than %(limit)s KiB.", key=key, limit=LARGEST_TEXT // 1024))
        data = form.cleaned_data
        try:
            saved = config_actions.save_config(actor=self.actor, project=project, key=key, source=source, **data)
        except AppError as error:
            if isinstance(error, NotFound | Denied):
                raise
            return self.show(request, project, source, key, given=data, problem=error)
        tell(request, S("Saved as revision %(number)s; the next deployment uses it.", number=saved.revision))
        return redirect("project-config", project.slug, source, key)

    def restore(self, request: HttpRequest, project: Project, source: str, key: str) -> HttpResponse:
        configuration.require_own(self.actor, project, key)
        old = configs.source_named(source).read(key, request.POST.get("revision", ""))
        saved = config_actions.save_config(
            actor=self.actor, project=project, key=key, source=source, text=old.text, note=f"← {old.revision}"
        )
        tell(request, S("Revision %(old)s is back as revision %(new)s.", old=old.revision, new=saved.revision))
        return redirect("project-config", project.slug, source, key)

    def remove(self, request: HttpRequest, project: Project, source: str, key: str) -> HttpResponse:
        if source != EMBEDDED:
            raise Invalid(S("What lies in Consul is removed there."))
        expected = request.POST.get("expected", "")
        config_actions.delete_config(actor=self.actor, project=project, key=key, expected=expected)
        tell(request, S("“%(key)s” is gone; what was deployed with it keeps it.", key=key))
        return redirect("project-configuration", project.slug)

    def show(
        self,
        request: HttpRequest,
        project: Project,
        source: str,
        key: str,
        *,
        given: dict[str, Any] | None = None,
        problem: AppError | None = None,
    ) -> HttpResponse:
        configuration.require_readable(self.actor, project, source, key)
        facts = _of_database(key) if source == EMBEDDED else _of_connection(source, key)
        head = project_context(self.actor, project, "settings")
        editable = head["may_change"] and (configuration.is_own(project, key) or policy.is_ops(self.actor))
        context = {
            **head,
            **facts,
            "key": key,
            "source": source,
            "embedded": EMBEDDED,
            "editable": editable,
            "problem": problem,
            "note": given["note"] if given else "",
            **({"text": given["text"], "expected": given["expected"]} if given else {"expected": facts["revision"]}),
            **_chosen(request.GET.get("revision", ""), source, key, facts["history"]),
        }
        return render(request, "projects/config.html", context, status=422 if problem else 200)


class JudgeConfig(Page):
    """The editor asks while one types: JSON in, what is wrong with the YAML out."""

    permission = SIGNED_IN

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.content_type != "application/json" or len(request.body) > LARGEST_REQUEST:
            raise Invalid(S("The request is not valid JSON."))
        try:
            text = json.loads(request.body).get("text", "")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Invalid(S("The request is not valid JSON.")) from error
        problems = []
        try:
            configuration.judge("text.yaml", text if isinstance(text, str) else "")
        except Invalid as error:
            line = error.sentence.params.get("line", 1)
            problems.append({"line": line, "column": 1, "message": say(error.sentence)})
        return JsonResponse({"valid": not problems, "errors": problems, "warnings": []})


def _of_database(key: str) -> dict[str, Any]:
    entry = Rows().entry(key)
    there = entry is not None and not entry.deleted
    return {
        "there": there,
        "text": entry.text if entry is not None and there else "",
        "revision": str(entry.number) if entry is not None and there else "",
        "history": configs.source_named(EMBEDDED).history(key)[:REVISIONS],
    }


def _of_connection(source: str, key: str) -> dict[str, Any]:
    """What was seen of it; nobody is asked while a page is drawn."""
    connection = configs.connection_named(source)
    row = ConfigSeen.objects.filter(connection=connection, key=key).first()
    there = row is not None and bool(row.sha256)
    return {
        "there": there,
        "text": row.text if row is not None else "",
        "revision": row.revision if row is not None else "",
        "history": Sightings(connection).history(key)[:REVISIONS],
        "seen_at": row.seen_at if row is not None else None,
        "trouble": Sentence.from_json(row.trouble) if row is not None and row.trouble else None,
        "elsewhere": _page_of(connection, key),
    }


def _page_of(connection: Connection, key: str) -> str:
    """Where people see the key in Consul's own pages; "" when its connection cannot be read."""
    try:
        access = configs.access_of(ConsulAccess, connection)
    except AppError:
        return ""
    return access.page(key)


def _chosen(revision: str, source: str, key: str, history: list[Revision]) -> dict[str, Any]:
    """The revision that was asked for, and how it differs from the one before it."""
    at = next((at for at, one in enumerate(history) if one.revision == revision), None)
    if at is None:
        return {}
    new, old = history[at], history[at + 1] if at + 1 < len(history) else None
    after, before = _text(source, key, new), _text(source, key, old)
    told = unified(before, after, old.revision if old else "-", new.revision)
    return {"chosen": new, "before": old, "diff": told}


def _text(source: str, key: str, revision: Revision | None) -> str:
    """The text of a revision, as it is kept here: the source is not asked."""
    if revision is None or revision.deleted:
        return ""
    if source == EMBEDDED:
        entry = Rows().entry(key, int(revision.revision))
        return entry.text if entry is not None else ""
    found = Sightings(configs.connection_named(source)).recall(key, revision.revision)
    return found.text if found is not None else ""
