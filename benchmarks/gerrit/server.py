"""`python -m benchmarks.gerrit.server`: a simulated Gerrit that does what stdin says, one JSON object a line.

A process of its own, so that neither its processor time nor its lock is that of anything measured. Times are seconds
since 1970 by the machine's clock, which all processes share.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from tests.simulators.gerrit.events import ref_updated
from tests.simulators.gerrit.repository import ZERO
from tests.simulators.gerrit.stream import encode
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

BURST_S = 0.005  # between two looks at what is due


class Stamps:
    """Listens like anybody, before the others: when each line was written, by the commit it tells of."""

    silent = False

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def wants(self, kind: str, _project: str) -> bool:
        return kind == "ref-updated"

    def send(self, data: bytes) -> None:
        self.at[str(json.loads(data)["refUpdate"]["newRev"])] = time.time()


class Commands:
    """One method a command; what it returns is the answer."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._gerrit = rig, rig.gerrit
        self._stamps = Stamps()
        self._gerrit.stream.join(self._stamps)  # type: ignore[arg-type]
        self._gerrit.stream.keep = False
        self._flood: dict[str, Any] = {}

    def hello(self) -> dict[str, Any]:
        config, secrets = self._rig.connection_facts()
        return {"config": config, "secrets": secrets, "git": self._rig.git_url("")}

    def projects(self, names: list[str]) -> None:
        for name in names:
            if self._gerrit.projects.named(name) is None:
                self._gerrit.create_project(name)

    def listening(self, count: int) -> None:
        """Until so many listen besides us."""
        until(lambda: len(self._gerrit.stream.listeners) > count, timeout=60, what=f"{count} listeners")

    def push(self, project: str, branch: str) -> dict[str, Any]:
        """Somebody pushes a commit; when its line was written."""
        sha = self._gerrit.push(project, branch)
        return {"sha": sha, "at": self._stamps.at[sha]}

    def written(self) -> dict[str, float]:
        """When the line of each commit was written."""
        return self._stamps.at

    def _branches(self, project: str, name: str, count: int) -> list[bytes]:
        """New branches with a commit each, made behind the portal's back; the lines that tell of them are kept."""
        repository = self._gerrit.project(project).repository
        first = repository.tip("refs/heads/master") or ""
        who = self._rig.account
        script = [f"reset refs/sim/flood\nfrom {first}\n\n"]
        for number in range(count):
            person = f"{who.name} <{who.email}> {int(time.time())} +0000"
            text = f"{name} {number}\n"
            script.append(f"commit refs/sim/flood\nmark :{number + 1}\ncommitter {person}\ndata {len(text)}\n{text}")
            script.append(f"M 100644 inline flood.txt\ndata {len(text)}\n{text}\nget-mark :{number + 1}\n")
        shas = repository.run("fast-import", "--quiet", "--force", given="".join(script).encode()).decode().split()
        refs = [f"refs/heads/{name}/{number}" for number in range(count)]
        made = "".join(f"create {ref} {sha}\n" for ref, sha in zip(refs, shas, strict=True))
        repository.run("update-ref", "--stdin", given=f"{made}delete refs/sim/flood\n".encode())
        return [encode(ref_updated(project, (ref, ZERO, sha), who)) for ref, sha in zip(refs, shas, strict=True)]

    def prepare(self, projects: list[str], name: str, each: int) -> int:
        """So many new branches in each project; their lines take turns."""
        found = [self._branches(project, name, each) for project in projects]
        self._flood = {"lines": [line for turn in zip(*found, strict=True) for line in turn]}
        return len(self._flood["lines"])

    def flood(self, rate: float) -> None:
        """Write what was prepared, so many lines a second, from now on."""
        threading.Thread(target=self._write, args=(rate,), daemon=True).start()

    def _write(self, rate: float) -> None:
        lines, sent = self._flood["lines"], 0
        begun = time.monotonic()
        self._flood["began"] = time.time()
        while sent < len(lines):
            due = min(len(lines), int((time.monotonic() - begun) * rate) + 1)
            for line in lines[sent:due]:
                self._gerrit.stream.line(line)
            sent = due
            time.sleep(BURST_S)
        self._flood["ended"] = time.time()

    def flooded(self) -> dict[str, float] | None:
        """When it began and ended; nothing while it goes on."""
        return {key: self._flood[key] for key in ("began", "ended")} if "ended" in self._flood else None

    def repeat(self, project: str, name: str, times: int) -> None:
        """One new branch, told of again and again."""
        (line,) = self._branches(project, name, 1)
        for _ in range(times):
            self._gerrit.stream.line(line)

    def asked(self, pattern: str = "") -> int:
        """How many requests over HTTP there were."""
        return self._gerrit.requests.count(pattern)

    def clear(self) -> None:
        self._gerrit.requests.clear()


def main() -> None:
    with Rig() as rig:
        commands = Commands(rig)
        for line in sys.stdin:
            given = json.loads(line)
            answer = getattr(commands, given.pop("do"))(**given)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
