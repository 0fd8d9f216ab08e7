"""Pages of builds and versions."""

from __future__ import annotations

import statistics
from typing import Any

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from builds import actions, pipelines, versions
from builds.api.versions import rows as version_rows
from builds.api.views import BuildFilter, fetch_build, rows
from builds.endings import why_cancelled
from builds.models import Artifact, Build, RemoteBuild, Stage, TestResult
from builds.remote.watching import watched
from builds.validation import parameters_of
from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.paging import page_of
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects.models import Project
from projects.pages import fetch_project, project_context

TESTS_SHOWN = 200


def filtered(request: HttpRequest) -> dict[str, Any]:
    """What `components/state_filter.html` shows, from the address."""
    return {
        "states": Build.STATES.choices,
        "chosen": [one for one in request.GET.getlist("state") if one],
        "changes": request.GET.get("changes", ""),
    }


class Builds(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        found = BuildFilter(request.GET, policy.visible(self.actor, rows())).qs
        return render(request, "builds/builds.html", {"page": page_of(request, found), **filtered(request)})


class ProjectBuilds(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        found = BuildFilter(request.GET, rows().filter(project=project)).qs
        head = project_context(self.actor, project, "builds")
        context = {**head, "page": page_of(request, found), **filtered(request)}
        return render(request, "builds/project_builds.html", context)


class ProjectVersions(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        found = version_rows().filter(project=project).select_related("project", "build")
        context = {**project_context(self.actor, project, "versions"), "page": page_of(request, found)}
        return render(request, "builds/project_versions.html", context)


class StartBuild(Page):
    """A panel that asks for branch and parameters, then starts a build and goes to it."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(request, fetch_project(self.actor, slug))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        wanted = self.parameters(project)
        # An image left empty is for the portal to fill in.
        given = {p["name"]: v for p in wanted if (v := self.value(request, p)) != "" or p["type"] != "image"}
        try:
            build = actions.start_build(
                actor=self.actor, project=project, ref=request.POST.get("ref", "").strip(), parameters=given
            )
        except AppError as error:
            return self.show(request, project, error)
        response = HttpResponse(status=204)
        response["HX-Redirect"] = reverse("build", args=[build.pk])
        return response

    @staticmethod
    def value(request: HttpRequest, parameter: dict[str, Any]) -> Any:
        name = f"p_{parameter['name']}"
        return name in request.POST if parameter["type"] == "boolean" else request.POST.get(name, "")

    @staticmethod
    def parameters(project: Project) -> list[dict[str, Any]]:
        from_text = pipeline_text(project)
        return [p for p in parameters_of(from_text) if p["name"].isidentifier()]

    def show(self, request: HttpRequest, project: Project, problem: AppError | None = None) -> HttpResponse:
        context = {
            "project": project,
            "action_url": reverse("project-start-build", args=[project.slug]),
            "ref": request.POST.get("ref") or project.default_branch,
            "parameters": self.parameters(project),
            "problem": problem,
        }
        return render(request, "builds/start_panel.html", context)


def pipeline_text(project: Project) -> str:
    """The pipeline as it is shown; "" when it cannot be read now."""
    try:
        return pipelines.shown(project)[0]
    except AppError:
        return ""


def nested(stages: list[Stage]) -> list[dict[str, Any]]:
    """Stage rows as the graph wants them: children of a parallel or matrix side by side, others one after another."""
    nodes: dict[str, dict[str, Any]] = {}
    top: list[dict[str, Any]] = []
    for stage in stages:
        node: dict[str, Any] = {
            "id": stage.ident,
            "name": stage.name,
            "state": "awaiting_input" if stage.state == "waiting" else stage.state,
            "started_at": stage.started_at,
            "duration_ms": stage.duration_ms,
            "kind": stage.kind,
            "stages": [],
            "parallel": [],
        }
        nodes[stage.ident] = node
        parent = nodes.get(stage.parent)
        if parent is None:
            top.append(node)
        else:
            parent["parallel" if parent["kind"] in {"parallel", "matrix"} else "stages"].append(node)
    return top


def ordered(stages: list[Stage]) -> list[Stage]:
    """As the pipeline lays them out, the checkout first (its row is made when it runs)."""
    return sorted(stages, key=lambda s: -1 if s.kind == "checkout" else s.order)


def usual_ms(build: Build) -> int | None:
    """Median of the last seven good builds of the same ref."""
    took = (
        Build.objects.filter(project=build.project, ref=build.ref, state="succeeded", pk__lt=build.pk)
        .order_by("-id")
        .values_list("started_at", "finished_at")[:7]
    )
    values = [(end - start).total_seconds() * 1000 for start, end in took if start and end]
    return int(statistics.median(values)) if values else None


class BuildPage(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        build = fetch_build(self.actor, pk)
        part = request.GET.get("part") == "live"
        if build.builder_kind != "embedded" and not build.is_final:
            watched(build.pk)
        context = self.context(build, request.GET.get("stage", ""))
        return render(request, "builds/build_part.html" if part else "builds/build.html", context)

    def context(self, build: Build, stage: str) -> dict[str, Any]:
        tests = TestResult.objects.filter(build=build)
        held = policy.permissions_on(self.actor, build.project)
        version = getattr(build, "version", None)
        questions = list(build.inputs.filter(answer="")) if build.state == "running" else []
        return {
            "build": build,
            "project": build.project,
            "version": version,
            "deployable": bool(version and versions.is_there(version)),
            "stages": nested(ordered(list(build.stages.all()))),
            "stage": stage,
            "log": {
                **{
                    name: reverse(f"build-log-{name}", args=[build.pk])
                    for name in ("lines", "find", "marks", "download")
                },
                "socket": f"/ws/builds/{build.pk}/log/",
            },
            "usual_ms": usual_ms(build),
            "queue_ms": (build.started_at - build.created_at).total_seconds() * 1000 if build.started_at else None,
            "questions": questions,
            "remote": RemoteBuild.objects.filter(pk=build.pk).first() if build.builder_kind != "embedded" else None,
            "failed_tests": tests.filter(state="failed")[:TESTS_SHOWN],
            "tests_total": (build.tests_passed or 0) + (build.tests_failed or 0) + (build.tests_skipped or 0),
            "artifacts": build.artifacts.all()[:500],
            "reviews": list(build.reviews.order_by("pk")) if getattr(build, "change", None) else [],
            "cancelled_why": why_cancelled(build) if build.state == "cancelled" else None,
            "may_build": "build_project" in held,
            "may_deploy": "deploy_test_project" in held,
        }


class BuildTests(Page):
    """All test cases of a build, failed first."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        build = fetch_build(self.actor, pk)
        tests = TestResult.objects.filter(build=build).order_by("state", "suite", "name")[:2000]
        return render(request, "builds/tests.html", {"build": build, "project": build.project, "tests": tests})


class BuildVerb(Page):
    """Cancel or retry from the build's page."""

    permission = OBJECT

    def post(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        build = fetch_build(self.actor, pk)
        if verb == "cancel":
            actions.cancel_build(actor=self.actor, build=build)
            tell(request, S("Asked build #%(number)s to stop.", number=build.number))
        elif verb == "retry":
            build = actions.retry_build(actor=self.actor, build=build)
        else:
            raise NotFound(S("There is nothing here, or you may not see it."))
        return redirect("build", build.pk)


class AnswerInput(Page):
    """Answer a pipeline's question from the build's page."""

    permission = OBJECT

    def post(self, request: HttpRequest, pk: int, ident: str) -> HttpResponse:
        build = fetch_build(self.actor, pk)
        question = build.inputs.select_related("build__project").filter(ident=ident).first()
        if question is None:
            raise NotFound(S("This build asks no such question."))
        values = {
            p["name"]: (f"p_{p['name']}" in request.POST)
            if p["kind"] == "booleanParam"
            else request.POST.get(f"p_{p['name']}", p["default"])
            for p in question.parameters
        }
        proceed = request.POST.get("answer") == "proceed"
        actions.answer_input(actor=self.actor, request=question, proceed=proceed, values=values)
        return redirect("build", build.pk)


class ArtifactFile(Page):
    """Download one archived file; always as an attachment, so that nothing in it runs in the portal's origin."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int, path: str) -> FileResponse:
        build = fetch_build(self.actor, pk)
        artifact = Artifact.objects.filter(build=build, path=path).first()
        name = versions.artifact_name(artifact.sha256) if artifact else ""
        if artifact is None or not default_storage.exists(name):
            raise NotFound(S("This file is not there any more."))
        response = FileResponse(
            default_storage.open(name), as_attachment=True, filename=artifact.path.rpartition("/")[2],
            content_type="application/octet-stream",
        )  # fmt: skip
        response["X-Content-Type-Options"] = "nosniff"
        return response


class ArchiveFile(Page):
    """Download a version's archive."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> FileResponse:
        version = policy.fetch(self.actor, version_rows(), pk=pk)
        path = versions.archive_path(version)
        if path is None:
            raise NotFound(S("This version has no archive any more."))
        name = f"{version.project.slug}-{version.number}.tar.gz"
        return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/gzip")


def nested_nodes(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stages as `judged` gives them, in the shape the graph wants."""
    return [
        {
            "id": node["ident"],
            "name": node["name"],
            "state": "pending",
            "stages": [] if node["kind"] in {"parallel", "matrix"} else nested_nodes(node["children"]),
            "parallel": nested_nodes(node["children"]) if node["kind"] in {"parallel", "matrix"} else [],
        }
        for node in nodes
    ]
