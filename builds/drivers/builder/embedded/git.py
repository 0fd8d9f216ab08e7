"""Checks out a pinned commit with git's own command line, and reads which commits are new.

Hooks, prompts, the user's and the system's configuration and dangerous transports are off. Knows nothing of stages.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fangduoduo_release.common.sentence import S

from ..base import Change
from .control import StepFailed

SAFE = (
    "-c", "protocol.ext.allow=never",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "credential.helper=",
    "-c", "advice.detachedHead=false",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
)  # fmt: skip
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20",
}
_URL = re.compile(r"(?:https?|ssh|git)://[^\s\0]+|[\w.-]+@[\w.-]+:[^\s\0]+")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
_MAX_CHANGES = 500
_CHECKOUT = ("checkout", "--quiet", "--force", "--detach")


@dataclass(slots=True)
class Answer:
    code: int
    out: bytes
    error: bytes


@dataclass(frozen=True, slots=True)
class Checkout:
    """What to fetch. `commit` empty: the tip of `ref` (a branch or tag; empty: the remote's HEAD)."""

    url: str
    ref: str = ""
    commit: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


# Runs git with these arguments in that folder and environment, stoppable; the caller knows processes and logs.
RunGit = Callable[[Sequence[str], Path, Mapping[str, str]], Answer]


class Git:
    """`check_out` and `changes`, by a function that runs git."""

    def __init__(self, run: RunGit) -> None:
        self._run = run

    def check_out(self, folder: Path, wanted: Checkout) -> str:
        """The commit that now lies in `folder`, which may hold an earlier checkout. StepFailed with one sentence."""
        _check(wanted)
        if shutil.which("git") is None:
            raise StepFailed(S("Git is not installed on this host."))
        self._prepare(folder, wanted.url)
        commit = self._fetch(folder, wanted)
        done = self._git(folder, wanted, *_CHECKOUT, commit)
        if done.code and wanted.commit:
            self._seek(folder, wanted)
            done = self._git(folder, wanted, *_CHECKOUT, commit)
        if done.code:
            raise _failed(done, wanted)
        return commit

    def changes(self, repository: Path, since: str, until: str) -> tuple[Change, ...]:
        """The commits after `since` up to `until`, newest first; none when either is unknown there."""
        if not (_COMMIT.fullmatch(since) and _COMMIT.fullmatch(until)):
            return ()
        arguments = [
            "log", "-z", f"--max-count={_MAX_CHANGES}", "--name-only", "-m", "--first-parent", "--no-renames",
            "--format=%x01%H%x02%an%x02%B%x03", f"{since}..{until}", "--",
        ]  # fmt: skip
        answer = self._run([*SAFE, *arguments], repository, ENVIRONMENT)
        if answer.code:
            return ()
        return tuple(_change(part) for part in answer.out.split(b"\x01")[1:])

    def _prepare(self, folder: Path, url: str) -> None:
        if not (folder / ".git").exists():
            done = self._run([*SAFE, "init", "--quiet", "."], folder, ENVIRONMENT)
            if done.code:
                raise _failed(done, Checkout(url))
        if self._run([*SAFE, "remote", "add", "origin", url], folder, ENVIRONMENT).code:
            self._run([*SAFE, "remote", "set-url", "origin", url], folder, ENVIRONMENT)
        if url.startswith("/"):
            # Borrow the objects of a local repository instead of copying them: instant, and nothing is written there.
            objects = Path(url) / "objects" if (Path(url) / "objects").is_dir() else Path(url) / ".git" / "objects"
            (folder / ".git" / "objects" / "info").mkdir(parents=True, exist_ok=True)
            (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{objects}\n")

    def _fetch(self, folder: Path, wanted: Checkout) -> str:
        fetched = self._git(
            folder, wanted, "fetch", "--quiet", "--force", "--prune", "--no-recurse-submodules", "origin",
            "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*",
        )  # fmt: skip
        if fetched.code:
            raise _failed(fetched, wanted)
        if wanted.commit:
            return wanted.commit
        refs = [f"refs/remotes/origin/{wanted.ref}", f"refs/tags/{wanted.ref}", wanted.ref] if wanted.ref else []
        for ref in refs or ["refs/remotes/origin/main", "refs/remotes/origin/master"]:
            found = self._git(
                folder, wanted, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}"
            )
            if found.code == 0:
                return found.out.decode().strip()
        any_ref = self._git(folder, wanted, "for-each-ref", "--count=1", "--format=%(refname)")
        if not any_ref.out.strip():
            raise StepFailed(S("The repository is empty: push a first commit to it."))
        raise StepFailed(S("The repository has no branch or tag “%(ref)s”.", ref=wanted.ref or "main"))

    def _seek(self, folder: Path, wanted: Checkout) -> None:
        """Get a commit that is on no branch or tag (any more), by its name; StepFailed when there is none."""
        check = ("cat-file", "-e", f"{wanted.commit}^{{commit}}")
        if self._git(folder, wanted, *check).code == 0:
            return
        self._git(folder, wanted, "fetch", "--quiet", "--no-recurse-submodules", "origin", wanted.commit)
        if self._git(folder, wanted, *check).code == 0:
            return
        any_ref = self._git(folder, wanted, "for-each-ref", "--count=1", "--format=%(refname)")
        if not any_ref.out.strip():
            raise StepFailed(S("The repository is empty: push a first commit to it."))
        raise StepFailed(S("The repository has no commit %(commit)s.", commit=wanted.commit[:12]))

    def _git(self, folder: Path, wanted: Checkout, *arguments: str) -> Answer:
        return self._run([*SAFE, *arguments], folder, {**ENVIRONMENT, **wanted.environment})


def good_url(url: str) -> bool:
    """True for http, https, ssh and git addresses; not for paths, options or commands."""
    return bool(_URL.fullmatch(url)) and not url.startswith("-")


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", url)


def _check(wanted: Checkout) -> None:
    if not (wanted.url.startswith("/") or good_url(wanted.url)) or "\n" in wanted.url:
        raise StepFailed(S("“%(url)s” is no address of a Git repository.", url=without_password(wanted.url)))
    if wanted.url.startswith("/") and not Path(wanted.url).is_dir():
        raise StepFailed(S("There is no repository at the address of this project."))
    if wanted.commit and not _COMMIT.fullmatch(wanted.commit):
        raise StepFailed(S("“%(commit)s” is no commit.", commit=wanted.commit[:80]))
    bad = ("..", "~", "^", ":", "\\", " ", "\n", "\0", "@{", "*", "?", "[")
    if wanted.ref.startswith("-") or any(part in wanted.ref for part in bad):
        raise StepFailed(S("“%(ref)s” is no name of a branch or tag.", ref=wanted.ref[:80].replace("\0", "\\0")))


def _failed(answer: Answer, wanted: Checkout) -> StepFailed:
    lines = [line for line in answer.error.decode("utf-8", "replace").splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    if "No space left" in answer.error.decode("utf-8", "replace"):
        return StepFailed(S("The disk is full: the repository could not be checked out."))
    return StepFailed(
        S(
            "Git could not fetch %(url)s: %(reason)s",
            url=without_password(wanted.url),
            reason=without_password(reason.removeprefix("fatal: ").removeprefix("error: "))[:300] or "?",
        )
    )


def _change(part: bytes) -> Change:
    head, _, paths = part.partition(b"\x03")
    sha, _, rest = head.decode("utf-8", "replace").partition("\x02")
    author, _, message = rest.partition("\x02")
    names = [p.strip(b"\n") for p in paths.split(b"\0")]
    return Change(sha, author, message.strip("\n"), tuple(n.decode("utf-8", "replace") for n in names if n))
