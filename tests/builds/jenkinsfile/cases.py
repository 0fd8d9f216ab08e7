"""Reads the corpus: small Jenkinsfiles kept as text, with the place where an error is expected marked by «."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_WRAPPERS = {
    "text": "%s",
    "pipeline": "pipeline {\n%s}\n",
    "stages": "pipeline {\n  agent any\n  stages {\n%s}\n}\n",
    "stage": "pipeline {\n  agent any\n  stages {\n    stage('S') {\n%s}\n}\n}\n",
    "steps": "pipeline {\n  agent any\n  stages {\n    stage('S') {\n      steps {\n%s}\n}\n}\n}\n",
    "script": "pipeline {\n  agent any\n  stages {\n    stage('S') {\n      steps {\n        script {\n%s}\n}\n}\n}\n}\n",
}
_HEAD = re.compile(r"^=== \[(\w+)\] (.*?)(?: :: (.*))?$")


@dataclass(frozen=True)
class Case:
    """One text. `line` and `column` are those of the mark; `says` what the sentence must contain."""

    name: str
    text: str
    says: str
    line: int = 0
    column: int = 0


def wrapped(where: str, body: str) -> str:
    """`body` at its place within an otherwise valid Jenkinsfile."""
    return _WRAPPERS[where] % body


def corpus(name: str) -> list[Case]:
    """The cases of one file of the corpus."""
    cases: list[Case] = []
    head: re.Match[str] | None = None
    body: list[str] = []
    lines = (Path(__file__).parent / "corpus" / name).read_text(encoding="utf-8").splitlines()
    for line in [*lines, "=== [text] end"]:
        found = _HEAD.match(line)
        if found:
            if head:
                cases.append(_case(head, "\n".join(body) + "\n"))
            head, body = found, []
        elif head:
            body.append(line)
    return cases


def _case(head: re.Match[str], body: str) -> Case:
    text = wrapped(head.group(1), body.rstrip("\n") if head.group(1) == "text" else body)
    before, mark, after = text.partition("«")
    if not mark:
        return Case(head.group(2), text, head.group(3) or "")
    place = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Case(head.group(2), before + after, head.group(3) or "", *place)
