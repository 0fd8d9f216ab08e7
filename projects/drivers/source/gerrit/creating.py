"""Making a project in Gerrit, and its first commit from a starter: pushed by git, on top of what Gerrit began it with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fangduoduo_release.common.errors import Conflict, DriverError, Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from .. import git_starters
from ..base import HEADS, NewRepository, Person, Repository
from ..git_command import Git
from ..git_complaints import explain
from ..git_remote import judge_url, signed_in
from .names import check_name, encoded, project_url
from .reading import exists, state
from .rest import Rest


def create(rest: Rest, git: Git, name: str, starter: str, author: Person, wishes: NewRepository) -> str:
    """The sha of its newest commit. Raises Invalid, Conflict (`repository_exists`), Rejected (`no_permission`;
    `starter_refused`: the project is there, without the starter), Unavailable."""
    config = rest.config
    files = git_starters.folder(config.git.starters, starter) if starter else None
    wanted: dict[str, Any] = {
        "parent": check_name(wishes.parent or config.parent) if wishes.parent or config.parent else None,
        "description": wishes.description or None,
        "owners": [wishes.group or config.group] if wishes.group or config.group else None,
        "branches": list(wishes.branches) or None,
        "create_empty_commit": True,
    }
    if exists(rest, name):
        raise _exists_already(name)
    try:
        rest.send("PUT", project_url(name), {key: value for key, value in wanted.items() if value is not None})
    except Conflict as error:
        raise _exists_already(name) from error
    except Rejected as error:
        if error.code != "no_permission":
            raise
        raise _may_not_create(rest, error) from error
    except Unavailable as error:
        # The answer was lost: what was not there a moment ago and is there now was made by us.
        if error.code != "unknown_outcome" or not exists(rest, name):
            raise
    branch = state(rest, name).default_branch or "master"
    tip = _tip(rest, name, branch)
    if files is None:
        return tip
    try:
        return _push_starter(rest, git, name, branch, files, author)
    except DriverError as error:
        sentence = S(
            "The project “%(name)s” was made in Gerrit, but the starter's files could not be pushed to it: %(reason)s "
            "Let “%(user)s” push to refs/heads/* there, or push a first commit yourself.",
            name=name,
            reason=str(error),
            user=config.username,
        )
        raise Rejected(sentence, evidence=error.evidence, code="starter_refused") from error


def account(rest: Rest) -> Person:
    """Who the portal is in Gerrit, which takes commits only from committers that it knows."""
    info = rest.get("accounts/self")
    told = info if isinstance(info, dict) else {}
    name = str(told.get("name") or told.get("username") or rest.config.username)
    return Person(name, str(told.get("email") or f"{rest.config.username}@localhost"))


def _exists_already(name: str) -> Conflict:
    return Conflict(S("Gerrit has a project “%(name)s” already.", name=name), code="repository_exists")


def _may_not_create(rest: Rest, error: Rejected) -> Rejected:
    sentence = S(
        "“%(user)s” may not make projects in Gerrit; grant it the global capability “Create Project”.",
        user=rest.config.username,
    )
    return Rejected(sentence, evidence=error.evidence, code="no_permission")


def _tip(rest: Rest, name: str, branch: str) -> str:
    info = rest.find(f"{project_url(name)}/branches/{encoded(branch)}")
    return str(info.get("revision") or "") if isinstance(info, dict) else ""


def _push_starter(rest: Rest, git: Git, name: str, branch: str, files: Path, author: Person) -> str:
    """In a repository of its own that is gone afterwards."""
    config = rest.config.git
    bound = rest.config.bound(Repository(name))
    url = judge_url(bound.url, allow_private=config.allow_private)
    me = account(rest)
    with tempfile.TemporaryDirectory(prefix="fdd-starter-") as folder:
        here = Path(folder) / "repository.git"
        git.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", str(here))
        with signed_in(url, bound.credentials, Path(folder) / "known_hosts", ca=config.ca) as env:
            begun = git.ask(
                "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--end-of-options",
                url.text, f"{HEADS}{branch}:refs/begun",
                repository=here, env=env, timeout=config.look_timeout,
            )  # fmt: skip
            if begun.code != 0:
                raise explain(begun.err, code=begun.code)
            parent = git.run("rev-parse", "--verify", "refs/begun^{commit}", repository=here).decode().strip()
            sha = git_starters.first_commit(git, here, files, author, committer=me, parent=parent)
            pushed = git.ask(
                "push", "--quiet", "--no-verify", "--end-of-options", url.text, f"{sha}:{HEADS}{branch}",
                repository=here, env=env, timeout=config.look_timeout,
            )  # fmt: skip
            if pushed.code != 0:
                raise explain(pushed.err, code=pushed.code)
    return sha
