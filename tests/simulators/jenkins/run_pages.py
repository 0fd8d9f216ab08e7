"""What can be asked of a build and done to it: its log, stages, questions, tests, files; stop, delete."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from . import wfapi
from .answers import Answer, Request, at, plain_json, text
from .junit import report_bean
from .log import as_html
from .runs import Run

if TYPE_CHECKING:
    from .server import Jenkins

_ANNOTATOR = {"X-ConsoleAnnotator": "simulated"}


def answer(jenkins: Jenkins, request: Request, run: Run, rest: str) -> Answer:
    """`/job/NAME/N/<rest>`."""
    if rest in ("stop", "term", "kill", "doDelete"):
        return _act(jenkins, request, run, rest)
    if rest == "logText/progressiveText":
        return _progressive(jenkins, request, run)
    if rest == "logText/progressiveHtml":
        shown, size = run.log.since(0)
        headers = {"Content-Type": "text/html;charset=utf-8", "X-Text-Size": str(size), **_ANNOTATOR}
        return Answer(200, as_html(shown).encode(), headers | ({"X-More-Data": "true"} if run.building else {}))
    if rest == "consoleText":
        return text(run.log.since(0)[0])
    if rest == "testReport/api/json":
        return _tests(jenkins, request, run)
    if rest.startswith("artifact/"):
        return _artifact(jenkins, run, unquote(rest.removeprefix("artifact/")))
    parts = rest.split("/")
    if run.job.freestyle:
        return jenkins.marks.not_there()
    if parts[0] == "input" and len(parts) == 3:
        return _answered(jenkins, request, run, parts[1], parts[2])
    return _stages(jenkins, request, run, parts)


def _stages(jenkins: Jenkins, request: Request, run: Run, parts: list[str]) -> Answer:
    prefix, found = jenkins.prefix, None
    if parts == ["wfapi", "describe"]:
        found = plain_json(wfapi.described(run, prefix))
    elif parts == ["wfapi", "pendingInputActions"]:
        found = plain_json(wfapi.pending(run, prefix))
    elif parts == ["wfapi", "nextPendingInputAction"]:
        found = plain_json(next(iter(wfapi.pending(run, prefix)), None))
    elif parts == ["wfapi", "inputSubmit"]:
        return _answered(jenkins, request, run, request.field("inputId"), "inputSubmit")
    elif parts[:2] == ["execution", "node"] and parts[3:] == ["wfapi", "describe"]:
        node = wfapi.node_described(run, parts[2], prefix)
        found = plain_json(node) if node else None
    elif parts[:2] == ["execution", "node"] and parts[3:] == ["wfapi", "log"]:
        log = wfapi.node_log(run, parts[2], prefix)
        found = plain_json(log) if log else None
        if found is not None:
            found.headers |= _ANNOTATOR
    return found or jenkins.marks.not_found()


def _act(jenkins: Jenkins, request: Request, run: Run, verb: str) -> Answer:
    if request.method != "POST":
        return jenkins.marks.page(405, "Method Not Allowed", "This URL requires POST")
    permission = "Run/Delete" if verb == "doDelete" else "Job/Cancel"
    if not jenkins.may(request, permission):
        return jenkins.refused(request, permission)
    if verb == "doDelete":
        jenkins.delete_run(run.job, run.number)
        return at(302, f"{jenkins.url}{run.job.path}")
    if run.building and run.halt is not None:
        run.log.line(f"Aborted by {jenkins.user_of(request)}", annotated=False)
        run.halt(verb != "stop")
    return at(302, run.url)


def _answered(jenkins: Jenkins, request: Request, run: Run, identity: str, verb: str) -> Answer:
    if verb not in ("proceed", "proceedEmpty", "abort", "submit", "inputSubmit"):
        return jenkins.marks.not_found()
    if request.method != "POST":
        return jenkins.marks.page(405, "Method Not Allowed", "This URL requires POST")
    permission = "Job/Cancel" if verb == "abort" else "Job/Build"
    if not jenkins.may(request, permission):
        return jenkins.refused(request, permission)
    return wfapi.answered(run, identity, verb, request, jenkins.marks, jenkins.user_of(request))


def _progressive(jenkins: Jenkins, request: Request, run: Run) -> Answer:
    raw = request.field("start", "0")
    if not raw.isdecimal():
        return jenkins.marks.oops()  # negative, or no number
    # Asked before the log is read: what ends in between is told by the next answer.
    more = run.building
    shown, size = run.log.since(int(raw))
    return text(shown, **{"X-Text-Size": str(size)}, **({"X-More-Data": "true"} if more else {}))


def _tests(jenkins: Jenkins, request: Request, run: Run) -> Answer:
    if not run.reports:
        return jenkins.marks.not_there()
    return jenkins.export(request, report_bean(run))


def _artifact(jenkins: Jenkins, run: Run, path: str) -> Answer:
    if path not in run.artifacts:
        return jenkins.marks.not_found()
    file = run.artifacts_folder / path
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    rules = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
    changed = formatdate(file.stat().st_mtime, usegmt=True)
    headers = {
        "Content-Type": kind, "Content-Security-Policy": rules, "Last-Modified": changed, "Expires": changed,
        "Accept-Ranges": "bytes",
    }  # fmt: skip
    return Answer(200, file.read_bytes(), headers)
