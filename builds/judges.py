"""Who judges a pipeline: the Jenkins that will run it where one is connected, else the portal's own validator.

Jenkins knows its plugins, the portal does not; the portal answers at once and always. Whichever spoke is named.
"""

from __future__ import annotations

import time
from typing import Any

from builds import pipelines
from builds.connections import builder_of
from builds.drivers.builder.remote import Validation
from builds.jenkinsfile import parse
from builds.merging import refuse_markers
from builds.validation import judged
from fangduoduo_release.common.errors import AppError, Invalid, Unavailable
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from projects.models import Project

REST_S = 30.0
MOST = 50
_resting: dict[int, float] = {}  # connection → until when it is not asked again (monotonic): one types on


def judge(text: str, project: Project | None) -> dict[str, Any]:
    """As `validation.judged`, with the errors of the project's own Jenkins where it has one that answers."""
    found = judged(text)
    connection = project.builder_connection if project is not None else None
    if project is None or connection is None or project.builder_kind == "embedded" or not text.strip():
        return found
    if not _checks_out(text) and project.pipeline_origin == Project.PipelineOrigin.PORTAL:
        found["warnings"].append(_hint(S("Nothing here checks the repository out. Jenkins does that by itself only for a Jenkinsfile that is read from the repository: add “checkout scm”.")))  # fmt: skip
    try:
        said = _ask(connection, text)
    except AppError as error:  # away, without a validator, or a connection that cannot be used as it is
        words = S("“%(name)s” could not be asked (%(why)s); the portal judged by itself.", name=connection.name, why=str(error.sentence))  # fmt: skip
        found["warnings"].append(_hint(words))
        return found
    errors = [{"line": p.line, "column": p.column, "message": say(p.message)} for p in said.errors]
    return {**found, "valid": not errors, "judged_by": connection.name, "errors": errors}


def check(text: str, project: Project) -> None:
    """Refuse what the project's own judge refuses. Raises Invalid with the first problem's place; `fields["text"]` has all."""
    refuse_markers(text)
    if project.builder_kind == "embedded":
        pipelines.check(text)
        return
    found = judge(text, project)
    if found["valid"]:
        return
    lines = [
        S("Line %(line)s, column %(column)s: %(what)s", line=p["line"], column=p["column"], what=p["message"])
        for p in found["errors"][:MOST]
    ]
    raise Invalid(lines[0], code="bad_pipeline", fields={"text": lines})


def _ask(connection: Connection, text: str) -> Validation:
    if time.monotonic() < _resting.get(connection.pk, 0.0):
        raise Unavailable(S("Jenkins did not answer a moment ago."))
    try:
        return builder_of(connection).validate(text)
    except AppError:
        _resting[connection.pk] = time.monotonic() + REST_S
        raise


def _checks_out(text: str) -> bool:
    return parse(text).pipeline is None or "checkout" in text or "git " in text or "git(" in text


def _hint(sentence: Any) -> dict[str, Any]:
    return {"line": 1, "column": 1, "message": say(sentence)}
