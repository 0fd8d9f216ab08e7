"""Every page and list that is measured, by name. Knows what `fill` leaves and nothing of how it is measured."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.scale.filled import DEEP, Filled

ADMIN = (
    "builds/build",
    "builds/version",
    "builds/stage",
    "builds/testresult",
    "builds/pipelinerevision",
    "builds/template",
    "builds/templaterevision",
    "deployments/service",
    "deployments/deployment",
    "deployments/instance",
    "projects/project",
    "projects/rolegrant",
    "projects/machinegrant",
    "projects/specrevision",
    "projects/accessrequest",
    "clusters/machine",
    "clusters/freezewindow",
    "common/event",
    "common/inboxitem",
    "audit/auditentry",
)


def everyones(at: Filled) -> dict[str, str]:
    """For dev and for ops: pages, then fragments that live pages fetch again, then lists of the API."""
    project = f"/projects/{DEEP}"
    pages = {
        "home": "/",
        "home, live part": "/?part=live",
        "home, a later page": "/?from=app-0040",
        "home, filtered": "/?q=app-00",
        "search by words": "/search/?q=page+by+page",
        "search by commit": f"/search/?q={at.commit[:10]}",
        "search by number": "/search/?q=%23200",
        "search in vain": "/search/?q=nothing-like-this",
        "machines": "/machines/",
        "freezes": "/freezes/",
        "projects": "/projects/",
        "new project": "/projects/new/",
        "builds": "/builds/",
        "builds, a later page": f"/builds/?before={at.build // 2}",
        "builds that failed": "/builds/?state=failed",
        "builds running": "/builds/?state=running",
        "deployments": "/deployments/",
        "deployments, a later page": f"/deployments/?before={at.deployment // 2}",
        "deployments that failed": "/deployments/?state=failed",
        "board": f"{project}/",
        "board, live part": f"{project}/?part=live",
        "project's builds": f"{project}/builds/",
        "project's builds of a branch": f"{project}/builds/?ref=refs/heads/feature-1",
        "project's versions": f"{project}/versions/",
        "project's deployments": f"{project}/deployments/",
        "project's deployments on a machine": f"{project}/deployments/?machine={at.machine}",
        "pipeline": f"{project}/pipeline/",
        "pipeline's revision": f"{project}/pipeline/1/",
        "templates": "/templates/",
        "template": "/templates/node/",
        "template, compared": "/templates/node/compare/",
        "template to take": f"{project}/pipeline/template/",
        "settings": f"{project}/settings/",
        "start panel": f"{project}/builds/start/",
        "deploy panel": f"{project}/change/?action=deploy&machine={at.machine}",
        "rollback panel": f"{project}/change/?action=rollback&machine={at.machine}",
        "build": f"/builds/{at.build}/",
        "build, running": f"/builds/{at.running}/",
        "build, live part": f"/builds/{at.running}/?part=live",
        "build's log, the end": f"/builds/{at.build}/log/lines/?from=-500",
        "build's log, marks": f"/builds/{at.build}/log/marks/",
        "build's tests": f"/builds/{at.build}/tests/",
        "service": f"/services/{at.service}/",
        "deployment": f"/deployments/{at.deployment}/",
        "deployment, moving": f"/deployments/{at.moving}/?part=live",
        "profile": "/me/",
        "audit of a project": f"/audit/?project={DEEP}",
        "audit of a project, a word in vain": f"/audit/?project={DEEP}&q=nothing-like-this&since=2020-01-01",
        "requests that wait": "/requests/?tab=waiting",
        "requests of mine": "/requests/?tab=mine",
        "requests decided": "/requests/?tab=decided",
    }
    return {**pages, **{f"API {name}": path for name, path in _lists(at).items()}}


def _lists(at: Filled) -> dict[str, str]:
    """The API's lists, and the rows they lead to."""
    return {
        "projects": "/api/projects/",
        "requests": "/api/requests/",
        "machines": "/api/machines/",
        "freezes": "/api/freezes/",
        "builds": "/api/builds/",
        "builds of a project": f"/api/builds/?project={DEEP}",
        "builds of a commit": f"/api/builds/?commit={at.commit[:10]}",
        "project's builds": f"/api/projects/{DEEP}/builds/",
        "project's versions": f"/api/projects/{DEEP}/versions/",
        "project's deployments": f"/api/projects/{DEEP}/deployments/",
        "project's services": f"/api/projects/{DEEP}/services/",
        "project's revisions": f"/api/projects/{DEEP}/pipeline/revisions/",
        "deployments": "/api/deployments/",
        "deployments that failed": "/api/deployments/?state=failed",
        "build": f"/api/builds/{at.build}/",
        "version": f"/api/versions/{at.version}/",
        "service": f"/api/services/{at.service}/",
        "deployment": f"/api/deployments/{at.deployment}/",
        "deployment's events": f"/api/deployments/{at.deployment}/events/",
        "project": f"/api/projects/{DEEP}/",
        "templates": "/api/templates/",
        "template": "/api/templates/node/",
        "template's projects": "/api/templates/node/projects/",
    }


def visits(at: Filled) -> Iterator[tuple[str, str, str]]:
    """(who, name, path)."""
    for who in ("dev", "ops"):
        for name, path in everyones(at).items():
            yield who, name, path
    for name, query in {
        "audit": "",
        "audit, a word in vain": "?q=nothing-like-this",
        "audit, a group of verbs in vain": "?verb=connection.",
        "audit of a person": "?actor=person7",
    }.items():
        yield "ops", name, f"/audit/{query}"
    for model in ADMIN:
        yield "ops", f"admin {model}", f"/admin/{model}/"
