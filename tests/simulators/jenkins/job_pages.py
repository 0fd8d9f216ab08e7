"""What can be done to a folder or a job: made, configured, built, switched off, deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .answers import Answer, Request, at, jetty, plain_json
from .config import FOLDER, FREESTYLE, PIPELINE, BadConfig, Config
from .items import Folder, Job, unsafe_sign
from .values import BadValue, Value, fields_of_json, values_of
from .wfapi import described

if TYPE_CHECKING:
    from .server import Jenkins

_DELAY = re.compile(r"(\d+)(sec)?")
_MODES = {
    FOLDER: FOLDER,
    "org.jenkinsci.plugins.workflow.job.WorkflowJob": PIPELINE,
    "hudson.model.FreeStyleProject": FREESTYLE,
}
_XML = ("application/xml", "text/xml")


def answer(jenkins: Jenkins, request: Request, item: Folder | Job, rest: str) -> Answer:
    """`/job/NAME/<rest>`."""
    if request.method == "DELETE" and not rest:
        return _delete(jenkins, request, item)
    if rest == "config.xml":
        return _configure(jenkins, request, item) if request.method == "POST" else _config(jenkins, request, item)
    if rest == "createItem" and isinstance(item, Folder):
        return create(jenkins, request, item)
    if isinstance(item, Job) and rest in ("build", "buildWithParameters"):
        return _build(jenkins, request, item, rest)
    if isinstance(item, Job) and rest == "wfapi/runs" and not item.freestyle:
        return plain_json([described(run, jenkins.prefix) for run in item.newest_first()])
    if rest in ("", "configure") and request.method == "GET":
        return jenkins.marks.page(200, item.display_name, f"{item.display_name} {rest}")
    if rest not in ("doDelete", "disable", "enable"):
        return jenkins.marks.not_found()
    if request.method != "POST":
        return jenkins.marks.page(405, "Method Not Allowed", "This URL requires POST")
    return _delete(jenkins, request, item) if rest == "doDelete" else _switch(jenkins, request, item, rest == "disable")


def create(jenkins: Jenkins, request: Request, folder: Folder) -> Answer:
    """`createItem`: the checks in Jenkins' order."""
    if not jenkins.may(request, "Job/Create"):
        return jenkins.refused(request, "Job/Create")
    name = request.query.get("name", [""])[0]
    if not name:
        return jenkins.marks.failure("Query parameter 'name' is required")
    sign = unsafe_sign(name)
    if sign is not None:
        return jenkins.marks.failure(f"‘{sign}’ is an unsafe character")
    if name in folder.children:
        return jenkins.marks.failure(f"A job already exists with the name ‘{name}’")
    mode = request.field("mode")
    if request.media_type not in _XML and not mode:
        return jenkins.marks.failure("No mode given")
    if mode:
        return _create_empty(jenkins, folder, name, mode)
    try:
        config = _understood(jenkins, request)
    except BadConfig:
        return jenkins.marks.oops()
    with jenkins.lock:
        jenkins.add_item(folder, name, config)
    return Answer(200)


def _create_empty(jenkins: Jenkins, folder: Folder, name: str, mode: str) -> Answer:
    """As the form “New item” does: an item of that class, to be configured next."""
    if mode not in _MODES:
        return jenkins.marks.failure(f"No such item type: {mode}")
    with jenkins.lock:
        jenkins.add_item(folder, name, Config(f"<{_MODES[mode]}/>"))
    return at(302, f"{jenkins.url}{folder.children[name].path}configure")


def _understood(jenkins: Jenkins, request: Request) -> Config:
    config = Config.of_bytes(request.body)
    if config.kind == PIPELINE and "workflow-job" in jenkins.faults.missing_plugins:
        raise BadConfig(config.kind)
    return config


def _config(jenkins: Jenkins, request: Request, item: Folder | Job) -> Answer:
    if not jenkins.may(request, "Job/ExtendedRead") and not jenkins.may(request, "Job/Configure"):
        return jenkins.refused(request, "Job/ExtendedRead")
    return Answer(200, item.config.text.encode(), {"Content-Type": "application/xml"})


def _configure(jenkins: Jenkins, request: Request, item: Folder | Job) -> Answer:
    if not jenkins.may(request, "Job/Configure"):
        return jenkins.refused(request, "Job/Configure")
    try:
        config = _understood(jenkins, request)
    except BadConfig:
        return jenkins.marks.oops()
    if config.kind != item.config.kind:
        return jenkins.marks.oops()
    with jenkins.lock:
        item.config = config
    return Answer(200)


def _switch(jenkins: Jenkins, request: Request, item: Folder | Job, off: bool) -> Answer:
    if not jenkins.may(request, "Job/Configure"):
        return jenkins.refused(request, "Job/Configure")
    with jenkins.lock:
        item.config = item.config.with_disabled(off)
        if off and isinstance(item, Job):
            jenkins.queue.cancel_all_of(item)
    return at(302, f"{jenkins.url}{item.path}")


def _delete(jenkins: Jenkins, request: Request, item: Folder | Job) -> Answer:
    if not jenkins.may(request, "Job/Delete"):
        return jenkins.refused(request, "Job/Delete")
    jenkins.delete_item(item)
    above = item.parent.path if item.parent is not None else ""
    return Answer(204) if request.method == "DELETE" else at(302, f"{jenkins.url}{above}")


def _build(jenkins: Jenkins, request: Request, job: Job, verb: str) -> Answer:
    if request.method != "POST":
        return jenkins.marks.page(
            405, "Form post required", "You must use POST method to trigger builds.", Allow="POST"
        )
    if not jenkins.may(request, "Job/Build"):
        return jenkins.refused(request, "Job/Build")
    if job.config.disabled:
        return jenkins.marks.oops(409)
    delay = _DELAY.fullmatch(request.field("delay"))
    if request.field("delay") and delay is None:
        return jenkins.marks.oops()
    declared = job.config.parameters
    values: tuple[Value, ...] = ()
    try:
        if verb == "buildWithParameters":
            if not declared:
                return jenkins.marks.oops()
            values = values_of(declared, request.form())
        elif declared:
            if "json" not in request.form():
                return jetty(400, "Nothing is submitted", request.target)
            values = values_of(declared, fields_of_json(request.field("json")))
    except BadValue:
        return jenkins.marks.oops()
    quiet = float(delay.group(1)) if delay else jenkins.quiet_period
    item, new = jenkins.queue.schedule(job, values, jenkins.user_of(request), quiet)
    return at(201 if new else 303, f"{jenkins.url}queue/item/{item.id}/")
