"""Which address answers what: the way Jenkins walks a path, from the server to a job, a build and what it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import job_pages, run_pages
from .answers import Answer, Request, at, text
from .beans import BadTree, Bean, render, shape_of
from .items import Folder, Job, view_bean
from .validator import judgement

if TYPE_CHECKING:
    from .server import Jenkins

Handler = Callable[["Jenkins", Request], Answer]


def exported(jenkins: Jenkins, request: Request, bean: Bean) -> Answer:
    """`…/api/json` of something."""
    try:
        shape = shape_of(request.query.get("tree", [""])[0], request.query.get("depth", ["0"])[0])
    except BadTree:
        return jenkins.marks.oops()
    with jenkins.lock:
        data = render(bean, shape)
    return jenkins.marks.exported(data)


def answer(jenkins: Jenkins, request: Request) -> Answer:
    """The answer to a request that was let in."""
    path = request.path.strip("/")
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed(jenkins, request)
    parts = path.split("/")
    if parts[:2] == ["queue", "item"] and parts[3:] == ["api", "json"] and parts[2].isdecimal():
        return _queue_item(jenkins, request, int(parts[2]))
    if parts[0] == "job":
        return _inside(jenkins, request, parts)
    return jenkins.marks.not_found()


def _inside(jenkins: Jenkins, request: Request, parts: list[str]) -> Answer:
    """`/job/a/job/b/…`."""
    names = []
    while len(parts) >= 2 and parts[0] == "job":
        names.append(unquote(parts[1]))
        parts = parts[2:]
    item = jenkins.root.find(names)
    if item is None or not jenkins.may(request, "Job/Read"):
        return jenkins.marks.not_found()
    rest = "/".join(parts)
    if rest == "api/json":
        return exported(jenkins, request, item.bean(jenkins.url))
    if isinstance(item, Job) and parts:
        run = item.run_named(parts[0])
        if run is not None:
            if parts[1:] == ["api", "json"]:
                return exported(jenkins, request, run.bean())
            return run_pages.answer(jenkins, request, run, "/".join(parts[1:]))
    return job_pages.answer(jenkins, request, item, rest)


# -- the server itself --------------------------------------------------------------------------------------------------


def _root(jenkins: Jenkins, request: Request) -> Answer:
    return exported(jenkins, request, root_bean(jenkins))


def root_bean(jenkins: Jenkins) -> Bean:
    children: list[Folder | Job] = list(jenkins.root.children.values())
    quiet = jenkins.queue.quieting
    return Bean("hudson.model.Hudson", {
        "assignedLabels": (1, [Bean("", {"name": (2, "built-in")})]),
        "mode": (1, "NORMAL"),
        "nodeDescription": (1, "the Jenkins controller's built-in node"),
        "nodeName": (1, ""),
        "numExecutors": (1, jenkins.nodes.executors),
        "description": (1, None),
        "jobs": (1, lambda: [child.bean(jenkins.url) for child in children]),
        "overallLoad": (1, Bean("", {})),
        "primaryView": (1, view_bean(jenkins.url)),
        "quietDownReason": (1, None),
        "quietingDown": (1, quiet),
        "slaveAgentPort": (1, -1),
        "unlabeledLoad": (1, Bean("jenkins.model.UnlabeledLoadStatistics", {})),
        "url": (1, jenkins.url),
        "useCrumbs": (1, True),
        "useSecurity": (1, True),
        "views": (1, [view_bean(jenkins.url)]),
    })  # fmt: skip


def _front(jenkins: Jenkins, request: Request) -> Answer:
    return jenkins.marks.page(200, "Dashboard", "Welcome to Jenkins!")


def _who(jenkins: Jenkins, request: Request) -> Answer:
    return exported(jenkins, request, Bean("hudson.security.WhoAmI", {
        "anonymous": (1, False), "authenticated": (1, True), "authorities": (1, ["authenticated"]),
        "name": (1, jenkins.user_of(request)),
    }))  # fmt: skip


def _me(jenkins: Jenkins, request: Request) -> Answer:
    name = jenkins.user_of(request)
    return exported(jenkins, request, Bean("hudson.model.User", {
        "absoluteUrl": (1, f"{jenkins.url}user/{name}"), "description": (1, None), "fullName": (1, name), "id": (1, name),
        "property": (1, []),
    }))  # fmt: skip


def _crumb(jenkins: Jenkins, request: Request) -> Answer:
    session = request.login.session or jenkins.doors.begin_session()
    crumb = jenkins.doors.crumb_of(session)
    if request.path.endswith("xml"):
        body = (
            "<defaultCrumbIssuer _class='hudson.security.csrf.DefaultCrumbIssuer'>"
            f"<crumb>{crumb}</crumb><crumbRequestField>Jenkins-Crumb</crumbRequestField></defaultCrumbIssuer>"
        )
        found = Answer(200, body.encode(), jenkins.marks.headers(**{"Content-Type": "application/xml;charset=UTF-8"}))
    else:
        found = exported(jenkins, request, Bean("hudson.security.csrf.DefaultCrumbIssuer", {
            "crumb": (1, crumb), "crumbRequestField": (1, "Jenkins-Crumb"),
        }))  # fmt: skip
    if session != request.login.session:
        jenkins.set_session(found, session)
    return found


def _plugins(jenkins: Jenkins, request: Request) -> Answer:
    if not jenkins.may(request, "Overall/SystemRead"):
        return jenkins.refused(request, "Overall/SystemRead")
    plugins = [_plugin(name, version) for name, version in jenkins.plugins.items()]
    listed = [
        plugin
        for name, plugin in zip(jenkins.plugins, plugins, strict=True)
        if name not in jenkins.faults.missing_plugins
    ]
    return exported(jenkins, request, Bean("hudson.LocalPluginManager", {"plugins": (2, listed)}))


def _plugin(name: str, version: str) -> Bean:
    shown: dict[str, Any] = {
        "active": True, "backupVersion": None, "bundled": False, "deleted": False, "dependencies": [], "detached": False,
        "downgradable": False, "enabled": True, "hasUpdate": False, "longName": name, "pinned": False,
        "requiredCoreVersion": "2.426.3", "shortName": name, "supportsDynamicLoad": "MAYBE",
        "url": f"https://plugins.jenkins.io/{name}", "version": version,
    }  # fmt: skip
    return Bean("", {key: (1, value) for key, value in shown.items()})


def _check_name(jenkins: Jenkins, request: Request) -> Answer:
    name = request.field("value")
    known = name in jenkins.root.children
    body = f'<div class="error">A job already exists with the name ‘{name}’</div>' if known else "<div/>"
    return Answer(200, body.encode(), {"Content-Type": "text/html;charset=utf-8"})


def _validate(jenkins: Jenkins, request: Request) -> Answer:
    if jenkins.faults.no_validator or "pipeline-model-definition" in jenkins.faults.missing_plugins:
        return jenkins.marks.not_found()
    if request.method != "POST":
        return jenkins.marks.page(405, "Method Not Allowed", "This URL requires POST")
    return text(judgement(request.field("jenkinsfile")).encode())


# -- the queue, and what runs -------------------------------------------------------------------------------------------


def _queue(jenkins: Jenkins, request: Request) -> Answer:
    return exported(jenkins, request, jenkins.queue.bean(jenkins.url))


def _queue_item(jenkins: Jenkins, request: Request, identity: int) -> Answer:
    item = jenkins.queue.find(identity)
    if item is None:
        return jenkins.marks.not_found()
    return exported(jenkins, request, item.bean(jenkins.url, jenkins.clock.millis()))


def _cancel(jenkins: Jenkins, request: Request) -> Answer:
    if request.method != "POST":
        return jenkins.marks.page(405, "Method Not Allowed", "This URL requires POST")
    identity = request.field("id")
    item = jenkins.queue.find(int(identity)) if identity.isdecimal() else None
    if item is not None and not jenkins.may(request, "Job/Cancel"):
        return jenkins.refused(request, "Job/Cancel")
    if item is None or not jenkins.queue.cancel(item.id):
        return jenkins.marks.oops(404)
    return Answer(204)


def _computers(jenkins: Jenkins, request: Request) -> Answer:
    return exported(jenkins, request, jenkins.nodes.bean(jenkins.running()))


def _quiet(jenkins: Jenkins, request: Request) -> Answer:
    if not jenkins.may(request, "Overall/Manage"):
        return jenkins.refused(request, "Overall/Manage")
    jenkins.queue.quieting = request.path.strip("/") == "quietDown"
    jenkins.queue.wake()
    return at(302, jenkins.url)


def _create(jenkins: Jenkins, request: Request) -> Answer:
    return job_pages.create(jenkins, request, jenkins.root)


_FIXED: dict[str, Handler] = {
    "": _front,
    "login": _front,
    "api/json": _root,
    "whoAmI/api/json": _who,
    "me/api/json": _me,
    "crumbIssuer/api/json": _crumb,
    "crumbIssuer/api/xml": _crumb,
    "pluginManager/api/json": _plugins,
    "checkJobName": _check_name,
    "pipeline-model-converter/validate": _validate,
    "queue/api/json": _queue,
    "queue/cancelItem": _cancel,
    "computer/api/json": _computers,
    "quietDown": _quiet,
    "cancelQuietDown": _quiet,
    "createItem": _create,
}
