"""Three texts become one: what a project changed in its copy of a template, and what the template changed since.

Git does the work, on files in a folder of its own. What the two changed differently stays in the text between markers,
for a person to resolve; a text with markers is no pipeline.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fangduoduo_release.common.errors import Invalid, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

TIMEOUT_S = 10.0
MOST_CONFLICTS = 127  # git counts no further
OURS, BASE, THEIRS, END = "<<<<<<<", "|||||||", "=======", ">>>>>>>"
MARKER = re.compile(r"^(<{7}|\|{7}|>{7})(?: |$)")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/nonexistent",
}


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands behind the markers, so that a person sees whose lines are whose."""

    ours: str = "this project"
    base: str = "the template before"
    theirs: str = "the template now"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One place where both sides changed the same: lines `first` to `last` of the merged text, markers and all."""

    first: int
    last: int
    ours: str
    base: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Merged:
    """`conflicts` is empty when the text can be used as it is."""

    text: str
    conflicts: tuple[Conflict, ...]


def merge3(base: str, ours: str, theirs: str, labels: Labels = Labels()) -> Merged:
    """`ours` with what changed from `base` to `theirs`. Raises Unavailable (git missing, failed or too slow)."""
    with tempfile.TemporaryDirectory(prefix="fdd-merge-") as folder:
        files = []
        for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            path = Path(folder) / name
            path.write_bytes(_whole_lines(text).encode("utf-8", "surrogatepass"))
            files.append(str(path))
        marks = [part for label in (labels.ours, labels.base, labels.theirs) for part in ("-L", _one_line(label))]
        command = ["git", "merge-file", "-p", "--diff3", *marks, *files]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=TIMEOUT_S, check=False, cwd=folder, env=ENVIRONMENT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(S("The texts could not be merged: git did not answer.")) from error
    if not 0 <= done.returncode <= MOST_CONFLICTS:
        raise Unavailable(
            S("The texts could not be merged: git refused them."), evidence=done.stderr.decode("utf-8", "replace")
        )
    text = done.stdout.decode("utf-8", "surrogatepass")
    return Merged(text, conflicts_in(text) if done.returncode else ())


def conflicts_in(text: str) -> tuple[Conflict, ...]:
    """The conflicts between git's markers, in order."""
    found: list[Conflict] = []
    sides: dict[str, list[str]] = {}
    first, side = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        mark = line[:7]
        if mark == OURS and not side:
            first, side, sides = number, OURS, {OURS: [], BASE: [], THEIRS: []}
        elif (side, mark) in {(OURS, BASE), (BASE, THEIRS)}:
            side = mark
        elif side == THEIRS and mark == END:
            parts = ("\n".join(sides[name]) for name in (OURS, BASE, THEIRS))
            found.append(Conflict(first, number, *parts))
            side = ""
        elif side:
            sides[side].append(line)
    return tuple(found)


def markers_in(text: str) -> list[tuple[int, Sentence]]:
    """(line, what is wrong) for every marker that still stands in the text."""
    return [
        (number, S("A conflict is not resolved yet: keep the lines that are right and remove the markers."))
        for number, line in enumerate(text.split("\n"), 1)
        if MARKER.match(line)
    ]


def refuse_markers(text: str) -> None:
    """Raises Invalid, with the line, for a text that still holds a conflict."""
    found = markers_in(text)
    if found:
        sentence = S(
            "Line %(line)s: a conflict is not resolved yet; keep the lines that are right and remove the markers.",
            line=found[0][0],
        )
        raise Invalid(sentence, code="conflict_markers", fields={"text": [sentence]})


def _whole_lines(text: str) -> str:
    """With a newline at the end: else the last line differs from itself."""
    return text if not text or text.endswith("\n") else text + "\n"


def _one_line(label: str) -> str:
    return " ".join(label.split())[:80]
