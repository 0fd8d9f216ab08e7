"""What the tests here build, and how they start and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builds.actions import start_build
from builds.logs import reader
from builds.models import Build, BuildLog
from fangduoduo_release.common.actor import SYSTEM
from projects.models import Project
from tests import world


class Gate:
    """A step that waits until the test opens it, so that a build is where the test looks at it for as long as it looks."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "open"
        self.step = f"sh 'set +x; until [ -e {self._file} ]; do sleep 0.05; done'"

    def open(self) -> None:
        self._file.touch()


def pipeline(steps: str, more: str = "", parameters: str = "") -> str:
    return f"""pipeline {{
  agent any
  options {{ skipDefaultCheckout() }}
  {parameters}
  stages {{
    stage('Build') {{ steps {{ {steps} }} }}
    {more}
  }}
}}
"""


def started(project: Project, text: str, **parameters: Any) -> Build:
    world.pipeline(project, text)
    return start_build(actor=SYSTEM, project=project, parameters=parameters)


def log_of(build: Build) -> str:
    log = BuildLog.objects.get(build=build)
    assert log.complete
    return b"".join(reader.pieces(reader.head(build.pk), 0, log.size)).decode()
