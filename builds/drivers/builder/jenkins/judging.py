"""Jenkins' own judgement of a declarative pipeline, with lines and columns."""

from __future__ import annotations

import re

from builds.drivers.builder.remote import Validation
from builds.jenkinsfile.model import Problem
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .transport import Transport

GOOD = "Jenkinsfile successfully validated."
MOST = 100
LONGEST = 256 * 1024  # of what it says
_PROBLEM = re.compile(r"^WorkflowScript: (\d+): (.{1,1000}?) @ line (\d+), column (\d+)\.", re.S | re.M)


def validate(transport: Transport, pipeline: str) -> Validation:
    answer = transport.ask("POST", "pipeline-model-converter/validate", form={"jenkinsfile": pipeline})
    config = transport.config
    if answer.status_code == 404:
        sentence = S(
            "Jenkins at “%(host)s” has no validator: the plugin pipeline-model-definition is missing.", host=config.host
        )
        raise Rejected(sentence, evidence=transport.said(answer), code="no_validator")
    version = answer.headers.get("X-Jenkins", "")
    judge = f"Jenkins {version} ({config.host})" if version else f"Jenkins ({config.host})"
    said = answer.text
    if GOOD in said:
        return Validation((), judge)
    if problems := parse(said):
        return Validation(problems, judge)
    if "<html" in said.lower() or not said.strip():
        sentence = S("What answers at “%(host)s” does not speak like a Jenkins.", host=config.host)
        raise Unavailable(sentence, evidence=transport.said(answer), code="not_jenkins")
    # Words without a place (no `pipeline` block at all, a class that cannot be loaded): they concern the whole text.
    message = re.sub(r"\A\s*Errors encountered validating Jenkinsfile:\s*", "", said).strip()
    return Validation((Problem(1, 1, S("Jenkins says: %(message)s", message=message[:500])),), judge)


def parse(said: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(int(line), int(column), S("Jenkins says: %(message)s", message=" ".join(message.split())[:500]))
        for _, message, line, column in _PROBLEM.findall(said[:LONGEST])[:MOST]
    )
