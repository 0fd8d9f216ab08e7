"""What all branches of one build share: folders, log, result, credentials, questions, changes, the base environment.

Made by `Execution`; knows nothing of how stages are walked.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from typing import Any

from builds.jenkinsfile.model import Pipeline
from fangduoduo_release.common.sentence import S, Sentence

from ..base import BuildSpec, Change, Credential, FinalState, Sink
from .archive import Archiver
from .control import Fatal, Result, Scope, StepFailed
from .git import without_password
from .inputs import Inputs
from .logwriter import LogWriter
from .orphans import BUILD_KEY
from .process import Leftovers
from .results import BuildResult, CurrentBuild
from .stash import Stashes
from .values import text_of
from .workspace import Workspaces

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Build:
    """The shared half of a running build. Everything here may be used from several branches at once."""

    def __init__(self, spec: BuildSpec, sink: Sink) -> None:
        self.spec = spec
        self.scope = Scope(
            seconds=spec.limits.wall_seconds or None,
            sentence=S("The build took longer than the %(seconds)d s it may take.", seconds=spec.limits.wall_seconds),
            result=Result.FAILURE,
            hard=True,
        )
        self.writer = LogWriter(sink, spec.limits.log_mib, self.scope.kill)
        self.writer.add_secrets(_secrets(spec))
        self.result = BuildResult(self._result_changed)
        self.inputs = Inputs(self.writer)
        self.workspaces = Workspaces(spec.workspace_root / spec.key)
        self.stashes = Stashes(self.workspaces.stashes, spec.limits)
        self.archiver = Archiver(spec.artifacts_dir, spec.limits)
        self.leftovers = Leftovers()
        self.current = CurrentBuild(spec, self.result, self.changes, self._described)
        self.binding: dict[str, Any] = {"scm": {"$class": "fdd.ProjectRepository"}}
        self.parameters: dict[str, Any] = {}
        self.overrides: dict[str, str] = {}  # what scripts set by `env.NAME = value`
        self.base: dict[str, str] = {}
        self.pipeline: Pipeline | None = None
        self.report: Any = None  # the StageReport, set by the walk
        self.changes_source: Any = None  # set by the walk: () -> tuple[Change, ...]
        self._changes: tuple[Change, ...] | None = None
        self._steps = itertools.count(1)
        self._met: list[BaseException] = []
        self._lock = threading.Lock()

    def next_step(self) -> int:
        with self._lock:
            return next(self._steps)

    def first_met(self, error: BaseException) -> bool:
        """True the first time this very error is asked about."""
        with self._lock:
            if any(known is error for known in self._met):
                return False
            self._met.append(error)
            return True

    def credential(self, identity: str, *kinds: str) -> Credential:
        """The credential of that id and one of those kinds. Raises StepFailed with the sentence."""
        found = self.spec.credentials.get(identity)
        if found is None:
            raise StepFailed(S("There is no credential “%(id)s” for this project.", id=identity[:200]))
        if kinds and found.kind not in kinds:
            raise StepFailed(
                S("The credential “%(id)s” is of kind %(kind)s, which does not fit here.", id=identity, kind=found.kind)
            )
        return found

    def changes(self) -> tuple[Change, ...]:
        """The commits since the previous build; read once."""
        with self._lock:
            if self._changes is not None:
                return self._changes
        found: tuple[Change, ...] = self.changes_source() if self.changes_source else ()
        with self._lock:
            self._changes = found
        return found

    def fatal(self, sentence: Sentence, result: Result = Result.FAILURE) -> None:
        self.scope.kill(Fatal(sentence, result))

    def make_environment(self) -> None:
        """The environment every step starts from; nothing of this process's own but its time zone."""
        spec, folders = self.spec, self.workspaces
        name = spec.project
        values = {
            "PATH": PATH,
            "HOME": str(folders.home),
            "TMPDIR": str(folders.tmp),
            "LANG": "C.UTF-8",
            "USER": "build",
            "LOGNAME": "build",
            "SHELL": "/bin/sh",
            "CI": "true",
            "BUILD_NUMBER": str(spec.number),
            "BUILD_ID": str(spec.number),
            "BUILD_DISPLAY_NAME": f"#{spec.number}",
            "BUILD_TAG": f"jenkins-{name}-{spec.number}",
            "BUILD_URL": spec.build_url,
            "JENKINS_URL": spec.portal_url,
            "JOB_URL": spec.build_url and spec.portal_url,
            "JOB_NAME": name,
            "JOB_BASE_NAME": name,
            "NODE_NAME": spec.node_name,
            "NODE_LABELS": spec.node_name,
            "EXECUTOR_NUMBER": str(spec.executor_number),
            "BRANCH_NAME": spec.ref,
            "BRANCH_IS_PRIMARY": "true" if spec.ref in ("main", "master") and not spec.is_tag else "",
            "TAG_NAME": spec.ref if spec.is_tag else "",
            "GIT_COMMIT": spec.commit,
            "GIT_BRANCH": spec.ref,
            "GIT_LOCAL_BRANCH": "" if spec.is_tag else spec.ref,
            "GIT_URL": without_password(spec.repository),
            "GIT_PREVIOUS_COMMIT": spec.previous_commit,
        }
        if "TZ" in os.environ:
            values["TZ"] = os.environ["TZ"]
        base = {k: v for k, v in values.items() if v}
        base |= {k: text_of(v) for k, v in self.parameters.items()}
        base |= {k: v for k, v in spec.environment.items() if k and "=" not in k and "\0" not in k + v}
        base[BUILD_KEY] = spec.key
        self.base = base

    def _result_changed(self, state: FinalState) -> None:
        self.writer.call(lambda sink: sink.result_changed(state))

    def _described(self, name: str, description: str) -> None:
        name, description = self.writer.masked(name), self.writer.masked(description)
        self.writer.call(lambda sink: sink.described(display_name=name, description=description))


def _secrets(spec: BuildSpec) -> list[str]:
    """Every value that must never be seen: of credentials all but user and file names."""
    found = list(spec.secrets)
    for credential in spec.credentials.values():
        found += [v for k, v in credential.values.items() if k not in ("username", "name")]
    return [value for value in found if value]


def merged(base: Mapping[str, str], *layers: Mapping[str, str]) -> dict[str, str]:
    """Environment layers over each other, the last wins; `PATH+ANY=x` puts x in front of PATH."""
    result = dict(base)
    for layer in layers:
        for name, value in layer.items():
            target, plus, _ = name.partition("+")
            if plus and target:
                before = result.get(target, "")
                result[target] = f"{value}:{before}" if before else value
            else:
                result[name] = value
    return result
