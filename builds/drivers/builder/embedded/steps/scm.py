"""`checkout scm`, `checkout([$class: 'GitSCM', …])` and `git`: put a commit into the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fangduoduo_release.common.sentence import S

from ..context import Branch, StepCall
from ..control import StepFailed
from ..git import Answer, Checkout, Git, good_url, without_password
from ..values import text_of
from .shell import run_quietly

_ASKPASS = """#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "$FDD_GIT_USERNAME" ;;
*) printf '%s\\n' "$FDD_GIT_PASSWORD" ;;
esac
"""


def git_of(branch: Branch) -> Git:
    """Git, run in this branch: stoppable, with limits; its messages are kept for the sentence and not logged."""

    def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Answer:
        code, out, error = run_quietly(branch, folder, ["git", *arguments], environment)
        return Answer(code, out, error)

    return Git(run)


def check_out_project(branch: Branch) -> dict[str, str]:
    """The project's pinned commit into the branch's folder; the variables `checkout` gives back."""
    spec = branch.build.spec
    with _login(branch, spec.repository_credential) as environment:
        wanted = Checkout(spec.repository, spec.ref, spec.commit, environment)
        branch.log(f"Checking out {spec.commit[:12]} ({spec.ref})")
        commit = git_of(branch).check_out(branch.folder(), wanted)
    values = {
        "GIT_COMMIT": commit,
        "GIT_BRANCH": spec.ref,
        "GIT_URL": without_password(spec.repository),
        "GIT_PREVIOUS_COMMIT": spec.previous_commit,
    }
    return {k: v for k, v in values.items() if v}


def checkout(branch: Branch, call: StepCall) -> dict[str, str]:
    scm = call.get("scm", 0, call.args[0] if call.args else None)
    if not isinstance(scm, Mapping):
        raise StepFailed(S("checkout: only “scm” and Git repositories can be checked out here."))
    kind = text_of(scm.get("$class", "GitSCM"))
    if kind == "fdd.ProjectRepository":
        return check_out_project(branch)
    if not kind.endswith("GitSCM"):
        raise StepFailed(S("checkout: only “scm” and Git repositories can be checked out here."))
    remotes, branches = scm.get("userRemoteConfigs") or [], scm.get("branches") or []
    remote = remotes[0] if remotes and isinstance(remotes[0], Mapping) else {}
    ref = text_of(branches[0].get("name", "")) if branches and isinstance(branches[0], Mapping) else ""
    folder = _subfolder(branch, scm.get("extensions") or [])
    with branch.within(folder=folder):
        return _check_out(
            branch, text_of(remote.get("url") or ""), _plain_ref(ref), text_of(remote.get("credentialsId") or "")
        )


def git_step(branch: Branch, call: StepCall) -> dict[str, str]:
    ref = call.text("branch", default="")
    return _check_out(branch, call.text("url", 0), _plain_ref(ref), call.text("credentialsId", default=""))


def scm_git(branch: Branch, call: StepCall) -> dict[str, Any]:
    """`scmGit(…)`: the value that `checkout` takes."""
    return {**call.named, "$class": "GitSCM"}


def _check_out(branch: Branch, url: str, ref: str, credential: str) -> dict[str, str]:
    own = url in (branch.build.spec.repository, without_password(branch.build.spec.repository))
    if not own and not good_url(url):
        raise StepFailed(S("“%(url)s” is no address of a Git repository.", url=without_password(url)[:200]))
    branch.folder().mkdir(parents=True, exist_ok=True)
    commit = ref if len(ref) == 40 and all(c in "0123456789abcdef" for c in ref) else ""
    if own:
        url, credential = branch.build.spec.repository, credential or branch.build.spec.repository_credential
    with _login(branch, credential) as environment:
        branch.log(f"Checking out {without_password(url)} {ref}")
        wanted = Checkout(url, "" if commit else ref, commit, environment)
        found = git_of(branch).check_out(branch.folder(), wanted)
    return {"GIT_COMMIT": found, "GIT_BRANCH": ref, "GIT_URL": without_password(url)}


def _plain_ref(ref: str) -> str:
    for start in ("*/", "refs/heads/", "refs/tags/", "origin/"):
        ref = ref.removeprefix(start)
    return ref


def _subfolder(branch: Branch, extensions: Sequence[Any]) -> Path:
    for extension in extensions:
        if isinstance(extension, Mapping) and text_of(extension.get("$class", "")).endswith("RelativeTargetDirectory"):
            return branch.build.workspaces.inside(branch.folder(), text_of(extension.get("relativeTargetDir") or "."))
    return branch.folder()


@contextmanager
def _login(branch: Branch, identity: str) -> Iterator[dict[str, str]]:
    """The environment that lets git sign in with that credential, without a secret on any command line."""
    if not identity:
        yield {}
        return
    workspaces = branch.build.workspaces
    found = branch.build.credential(identity, "username_password", "ssh_key", "text")
    values = found.values
    if found.kind == "ssh_key":
        key = workspaces.private_file("key", (values.get("private_key", "").rstrip("\n") + "\n").encode())
        options = f"-i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
        environment = {"GIT_SSH_COMMAND": f"ssh {options} -o ConnectTimeout=20"}
        made = key
    else:
        made = workspaces.private_file("askpass", _ASKPASS.encode(), executable=True)
        environment = {
            "GIT_ASKPASS": str(made),
            "FDD_GIT_USERNAME": values.get("username", "git"),
            "FDD_GIT_PASSWORD": values.get("password", values.get("secret", "")),
        }
    try:
        yield environment
    finally:
        workspaces.forget_private(made)


STEPS = {"checkout": checkout, "git": git_step, "scmGit": scm_git}
