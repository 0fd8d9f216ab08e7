"""Git over HTTP: `/NAME` and `/a/NAME`, by git's own backend."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.simulators import git_http

from .answers import Answer, Request, plain, unauthorized
from .repository import identity

if TYPE_CHECKING:
    from .server import Gerrit

_DOORS = ("/info/refs", "/git-upload-pack", "/git-receive-pack")


def concerns(request: Request) -> bool:
    return request.path.endswith(_DOORS)


def answer(gerrit: Gerrit, request: Request) -> Answer:
    """Readers without an account only where people without one may read; nobody pushes without one."""
    door = next(door for door in _DOORS if request.path.endswith(door))
    pushes = door == "/git-receive-pack" or request.first("service") == "git-receive-pack"
    account = request.account
    wrong = bool(request.headers.get("authorization"))
    if account is None and (wrong or pushes or request.private or not gerrit.anonymous):
        return unauthorized()
    project = gerrit.projects.named(request.path.removesuffix(door).strip("/"), account.username if account else "")
    if project is None:
        return plain(404, "Not Found")
    extra = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}
    if account is not None:
        extra |= {"REMOTE_USER": account.username, **identity(account, gerrit.clock.now())}
        extra |= gerrit.hook_environment(project.name, account)
    said = git_http.backend(
        gerrit.projects.folder, request.method, f"/{project.name}.git{door}?{urlsplit(request.target).query}",
        request.headers, request.body, extra,
    )  # fmt: skip
    head, _, content = said.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(fields.pop("Status", "200").partition(" ")[0])
    return Answer(status, content, fields)
