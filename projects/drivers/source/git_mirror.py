"""Bound repositories: look at their server's tips, and fetch them into a local bare mirror.

The mirror is a cache: it is made on first use, and one that cannot be used any more may simply be deleted. It must not
know what the commits are for.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S

from . import git_lasting
from .base import HEADS, TAGS, Repository
from .git_command import Git
from .git_complaints import explain
from .git_leftovers import drop_locks
from .git_names import check_ref, check_slug, is_sha
from .git_packing import pack
from .git_remote import RemoteUrl, carry_pins, environment, judge_url, signed_in

if TYPE_CHECKING:
    from .git import GitConfig

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_PEELED = "^{}"
"""Follows the name of an annotated tag in a second line that says which commit the tag leads to."""
_MAX_LISTING = 16 << 20
_LEAST_S = 3.0  # for a fetch, however long one waited for somebody else's
_DEFAULT_S = 5.0
_EMPTY = "fdd-not-fetched"
"""In a mirror: no fetch has succeeded yet."""
_PORTS_COUNT = "fdd-ports-count"
"""In a mirror: what is pinned of its server is pinned for its port. Later its address may be another server's."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A server's answer: its default branch (short, "" if unknown) and full ref name -> what the ref holds."""

    default_branch: str
    tips: Mapping[str, str]


def look(git: Git, config: GitConfig, repository: Repository, *, timeout: float = 0.0) -> Remote:
    """Ask the server for its branches and tags, nothing else. Rejected, Unavailable, Invalid (address).

    `timeout` in seconds, `config.look_timeout` unless given.
    """
    url = judge_url(repository.url, allow_private=config.allow_private)
    with signed_in(url, repository.credentials, _known_hosts(config, url, repository), ca=config.ca) as env:
        answer = git.ask(
            "ls-remote", "--symref", "--end-of-options", url.text, "HEAD", "refs/heads/*", "refs/tags/*",
            env=env, timeout=timeout or config.look_timeout, max_output=_MAX_LISTING,
        )  # fmt: skip
    if answer.truncated:
        raise Rejected(S("The repository has more branches and tags than can be followed."), code="too_many_refs")
    if answer.code != 0:
        raise explain(answer.err, code=answer.code)
    default, tips = "", {}
    for line in answer.out.decode(errors="replace").splitlines():
        value, _, name = line.partition("\t")
        if name == "HEAD" and value.startswith(f"ref: {HEADS}"):
            default = value[len(f"ref: {HEADS}") :]
        elif is_sha(value) and name.startswith((HEADS, TAGS)) and not name.endswith(_PEELED):
            tips[name] = value
    return Remote(default, tips)


def fetch(git: Git, config: GitConfig, repository: Repository, mirror: Path, *, more: Sequence[str] = ()) -> None:
    """Make the mirror equal to the server's branches and tags, deletions included; one fetch per mirror at a time.

    `more`: full names of other refs to bring too. They stay when later fetches do not name them. One that takes longer
    than `config.fetch_wait` goes on when this raises Unavailable (STILL_FETCHING).
    """
    url = judge_url(repository.url, allow_private=config.allow_private)
    config.mirrors.mkdir(parents=True, exist_ok=True)
    patience = git_lasting.Patience(config.fetch_wait, config.fetch_timeout)
    until = time.monotonic() + config.fetch_wait
    refspecs = [*_REFSPECS, *(f"+{check_ref(ref)}:{ref}" for ref in more)]
    known_hosts = _known_hosts(config, url, repository)
    with git_lasting.only_one(mirror.with_suffix(".lock"), patience) as lock:
        _prepare(git, mirror)
        _sweep(mirror)
        drop_locks(mirror, config.fetch_timeout)  # a fetch that was killed left them, and no other would ever succeed
        answer = git_lasting.run(
            [
                git.program, f"--git-dir={mirror}", "fetch", "--quiet", "--prune", "--force", "--no-tags",
                "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance", "--end-of-options",
                url.text, *refspecs,
            ],
            sign_in=lambda folder: environment(url, repository.credentials, known_hosts, folder, ca=config.ca),
            lock=lock, wait=max(_LEAST_S, until - time.monotonic()), max_file=config.max_pack,
        )  # fmt: skip
        if answer.code != 0:
            _sweep(mirror)
            raise explain(answer.err, code=answer.code)
        (mirror / _EMPTY).unlink(missing_ok=True)
        with contextlib.suppress(Unavailable):  # the commits are here; where its default lies, the next fetch may tell
            _follow_default(git, mirror, look(git, config, repository, timeout=_DEFAULT_S).default_branch)
        pack(git, mirror)


def is_filled(mirror: Path) -> bool:
    """Whether a fetch has ever succeeded: before that it shows less than its server has."""
    return (mirror / "HEAD").is_file() and not (mirror / _EMPTY).exists()


def _prepare(git: Git, mirror: Path) -> None:
    if (mirror / "HEAD").is_file():
        return
    building = Path(tempfile.mkdtemp(prefix=".new-", dir=mirror.parent))
    try:
        git.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", str(building / "mirror.git"))
        (building / "mirror.git" / _EMPTY).touch()
        shutil.rmtree(mirror, ignore_errors=True)
        (building / "mirror.git").rename(mirror)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _follow_default(git: Git, mirror: Path, branch: str) -> None:
    if branch:
        git.ask("symbolic-ref", "HEAD", f"{HEADS}{branch}", repository=mirror)


def _sweep(mirror: Path) -> None:
    """A fetch that was stopped leaves its half pack behind. The mirror's lock is held, so nobody writes one now."""
    for leftover in (mirror / "objects" / "pack").glob("tmp_*"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _known_hosts(config: GitConfig, url: RemoteUrl, repository: Repository) -> Path:
    """Where keys of servers are kept. A mirror from before ports counted carries its server's pin over, once."""
    config.mirrors.mkdir(parents=True, exist_ok=True)
    known = config.mirrors / "known_hosts"
    mirror = config.mirrors / f"{check_slug(repository.name)}.git"
    if (mirror / "HEAD").is_file() and not (mirror / _PORTS_COUNT).exists():
        if url.scheme == "ssh" and _was_fetched(mirror):
            carry_pins(url, known)
        (mirror / _PORTS_COUNT).touch()
    return known


def _was_fetched(mirror: Path) -> bool:
    return (mirror / "packed-refs").is_file() or any(path.is_file() for path in (mirror / "refs").rglob("*"))
