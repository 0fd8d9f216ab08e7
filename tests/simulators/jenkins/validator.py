"""Jenkins' judgement of a Jenkinsfile, in its words; the judging is done by the portal's own parser."""

from __future__ import annotations

from collections.abc import Sequence

from builds.jenkinsfile import validate
from builds.jenkinsfile.model import Problem


def judgement(text: str) -> str:
    """What `pipeline-model-converter/validate` answers."""
    found = validate(text)
    if found.valid:
        return "Jenkinsfile successfully validated.\n"
    return "Errors encountered validating Jenkinsfile:\n" + _listed(text, found.errors)


def startup_failure(text: str, errors: Sequence[Problem]) -> str:
    """What the log of a build says whose pipeline cannot be read."""
    count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
    return (
        "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n"
        f"{_listed(text, errors)}{count}\n\n"
        "\tat org.codehaus.groovy.control.ErrorCollector.failIfErrors(ErrorCollector.java:309)\n"
        "\tat org.jenkinsci.plugins.workflow.cps.CpsFlowExecution.parseScript(CpsFlowExecution.java:635)"
    )


def _listed(text: str, errors: Sequence[Problem]) -> str:
    lines = text.splitlines() or [""]
    parts = []
    for error in errors:
        line = lines[min(error.line, len(lines)) - 1]
        place = f"@ line {error.line}, column {error.column}."
        parts.append(
            f"WorkflowScript: {error.line}: {error.message} {place}\n   {line}\n   {' ' * (error.column - 1)}^\n\n"
        )
    return "".join(parts)
