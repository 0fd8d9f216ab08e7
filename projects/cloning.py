"""How people come to a project's repository: its addresses, and what to type, with names that a shell cannot mistake."""

from __future__ import annotations

import shlex

from django.utils.translation import gettext as _

from fangduoduo_release.common.errors import Invalid
from projects.drivers.source.base import Reviewing
from projects.models import Project
from projects.sources import source_of


def ways(project: Project, user: str = "") -> dict[str, str]:
    """{clone_url, ssh_url, clone_command}; an address is "" where there is none. `user`: who signs in over SSH."""
    try:
        source, repository = source_of(project)
        address = source.clone_url(repository)
        over_ssh = getattr(source, "ssh_url", None)
        ssh = str(over_ssh(repository, user)) if over_ssh else ""
    except Invalid:  # the connection is not in order; the page says so elsewhere
        return {"clone_url": "", "ssh_url": "", "clone_command": ""}
    lines = [f"git clone {shlex.quote(ssh or address)}"]
    if isinstance(source, Reviewing):
        lines += _for_review(project, str(project.source_connection and project.source_connection.config.get("url")))
    return {"clone_url": address, "ssh_url": ssh, "clone_command": "\n".join(lines)}


def _for_review(project: Project, server: str) -> list[str]:
    """Gerrit knows a change by a line in its commit's message, which a hook writes."""
    folder = project.repository.rpartition("/")[2]
    hook = f"{server.rstrip('/')}/tools/hooks/commit-msg"
    return [
        f"cd {shlex.quote(folder)}",
        f"curl -fLo .git/hooks/commit-msg {shlex.quote(hook)}",
        "chmod +x .git/hooks/commit-msg",
        f"# {_('commit, then push it for review; what is submitted builds:')}",
        f"git push origin {shlex.quote(f'HEAD:refs/for/{project.default_branch}')}",
        f"# {_('or, where you may, straight to the branch, which builds at once:')}",
        f"git push origin {shlex.quote(f'HEAD:refs/heads/{project.default_branch}')}",
    ]
