"""`agent`: lends a workspace and puts the project's commit into it; what needs another machine or Docker is refused.

Knows nothing of stages beyond the record steps report to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builds.jenkinsfile.model import Agent
from fangduoduo_release.common.sentence import S

from .context import Branch
from .control import StepFailed
from .steps.scm import check_out_project

_HERE = ("any", "label", "node")


@contextmanager
def on_agent(branch: Branch, agent: Agent | None, check_out: Callable[[], None] | None) -> Iterator[None]:
    """Run what follows on that agent; None or `none`: where we are already. `check_out` runs once in its workspace."""
    if agent is None or agent.kind == "none":
        yield
        return
    if agent.kind not in _HERE:
        raise StepFailed(
            S("The agent “%(kind)s” cannot run on the embedded builder: it runs on this host only.", kind=agent.kind)
        )
    with branch.build.workspaces.take() as folder:
        values = {"WORKSPACE": str(folder), "WORKSPACE_TMP": str(branch.build.workspaces.tmp)}
        wanted = branch.text(agent.option("customWorkspace")) if agent.option("customWorkspace") else ""
        inner = branch.build.workspaces.inside(folder, wanted) if wanted else folder
        inner.mkdir(parents=True, exist_ok=True)
        values["WORKSPACE"] = str(inner)
        with branch.within(workspace=inner, folder=inner, environment=branch.with_environment(values)):
            if check_out is not None:
                check_out()
            yield


def check_out_into(branch: Branch, subfolder: str) -> None:
    """The project's commit into the workspace, or the folder of `checkoutToSubdirectory`."""
    if not subfolder:
        check_out_project(branch)
        return
    target = branch.build.workspaces.inside(branch.folder(), subfolder)
    target.mkdir(parents=True, exist_ok=True)
    with branch.within(folder=target):
        check_out_project(branch)
