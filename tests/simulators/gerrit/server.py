"""A Gerrit on real sockets over real repositories: `with Gerrit() as gerrit:` serves at `gerrit.url` and `gerrit.ssh_port`.

Answers as Gerrit 3.10 is documented to. Everything that moves a ref makes events, whoever did it: a client over HTTP or
SSH, or a test by `push`, `upload`, `submit`. `gerrit.faults` makes it go wrong, `gerrit.requests` counts.
"""

from __future__ import annotations

import shutil
import ssl
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.simulators.jenkins.clock import Clock
from tests.simulators.jenkins.requests import Requests

from . import events, hooks
from .accounts import Account, Accounts
from .changes import CODE_REVIEW, Change, Changes, Label
from .faults import Faults
from .projects import ALL_PROJECTS, ALL_USERS, Project, Projects
from .repository import ZERO
from .reviews import Reviews
from .ssh import Daemon
from .stream import Stream
from .uploads import Uploads
from .webhooks import Webhooks
from .wire import Wire

Files = Mapping[str, str | bytes | None]


class Gerrit:
    """`prefix`: the context path. `anonymous`: whether people without an account read. `batch`: whether moves come as
    `batch-ref-updated`, too. `labels`: those that votes are taken on. `tls`: certificate and key files."""

    version = "3.10.2"

    def __init__(
        self,
        *,
        folder: Path | None = None,
        prefix: str = "",
        anonymous: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="gerrit-"))
        self.prefix = prefix.rstrip("/")
        self.anonymous = anonymous
        self.scheme = "http" if tls is None else "https"
        self._tls = tls
        self.batch = False
        self.single = True
        self.query_limit = 500
        self.lock = threading.RLock()
        self.clock = Clock()
        self.accounts = Accounts()
        self.admin = self.accounts.add("admin", name="Administrator")
        self.labels = {label.name: label for label in (CODE_REVIEW, Label("Verified"))}
        self.requests = Requests()
        self.webhooks = Webhooks()
        self.stream = Stream(self.clock.now, self.webhooks.take)
        self.projects = Projects(self.folder / "git", self._write_hooks(), self.clock.now)
        self.changes = Changes()
        self.uploads = Uploads(self)
        self.reviews = Reviews(self)
        self.faults = Faults(self)
        self.wire: Wire | None = None
        self.ssh: Daemon | None = None
        for name in (ALL_PROJECTS, ALL_USERS):
            self.projects.add(name, "refs/meta/config")

    # -- its life -------------------------------------------------------------------------------------------------------

    def start(self, port: int = 0, ssh_port: int = 0) -> Self:
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
        self.wire = Wire(self, port, context)
        self.wire.start()
        self.ssh = Daemon(self, ssh_port)
        self.ssh.start()
        return self

    def stop(self) -> None:
        self.faults.end()
        self.webhooks.end()
        if self.ssh is not None:
            self.ssh.stop()
        if self.wire is not None:
            self.wire.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        assert self.wire is not None
        return self.wire.port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{self.prefix}/"

    @property
    def daemon(self) -> Daemon:
        assert self.ssh is not None
        return self.ssh

    @property
    def ssh_port(self) -> int:
        return self.daemon.port

    @property
    def known_hosts(self) -> str:
        """A line for a file known_hosts."""
        return self.daemon.known_hosts

    def hook_environment(self, project: str, account: Account) -> dict[str, str]:
        """What the programs in `hooks` need to tell us what was pushed."""
        return {
            "SIM_HOOK": f"{self.scheme}://127.0.0.1:{self.port}/__sim__/hook/",
            "SIM_PROJECT": project,
            "SIM_USER": account.username,
        }

    def _write_hooks(self) -> Path:
        folder = self.folder / "hooks"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("proc-receive", "post-receive"):
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{hooks.__file__}" {name}\n')
            script.chmod(0o755)
        return folder

    # -- projects -------------------------------------------------------------------------------------------------------

    def project(self, name: str) -> Project:
        found = self.projects.named(name)
        if found is None:
            raise KeyError(name)
        return found

    def hidden_from(self, name: str) -> set[str]:
        """The user names that do not see a project."""
        found = self.projects.named(name)
        return found.hidden_from if found is not None else set()

    def create_project(
        self,
        name: str,
        *,
        empty_commit: bool = True,
        branches: tuple[str, ...] = ("refs/heads/master",),
        parent: str = ALL_PROJECTS,
        description: str = "",
        owners: tuple[str, ...] = (),
        by: Account | None = None,
    ) -> Project:
        """As the REST call does it: the configuration, an empty commit when wished, the events."""
        who = by or self.admin
        with self.lock:
            project = self.projects.add(name, branches[0], parent=parent, description=description)
            project.owners = list(owners)
            config = f"[access]\n\tinheritFrom = {parent}\n[project]\n\tdescription = {description}\n"
            config += "".join(f'[access "refs/*"]\n\towner = group {group}\n' for group in owners)
            made = project.repository.commit({"project.config": config}, "Created project\n", (), who)
            self.move(project, {"refs/meta/config": made}, who, "Created project")
            if empty_commit and branches[0] != "refs/meta/config":
                first = project.repository.commit({}, "Initial empty repository\n", (), who)
                self.move(project, dict.fromkeys(branches, first), who, "")
            self.stream.publish(events.project_created(name, branches[0]))
        return project

    def rename(self, old: str, new: str) -> None:
        """As the plugin rename-project: the old name is not found any more, no event tells of it."""
        with self.lock:
            self.projects.rename(old, new)
            for change in self.changes.all:
                if change.project == old:
                    change.project = new

    def delete_project(self, name: str) -> None:
        self.projects.delete(name)

    # -- refs -----------------------------------------------------------------------------------------------------------

    def move(self, project: Project, moves: Mapping[str, str], by: Account, message: str) -> None:
        """Set refs and tell of it."""
        self.moved(project.name, project.repository.update(moves, by, message), by)

    def moved(self, project: str, moves: list[events.Move], by: Account) -> None:
        """Tell of refs that moved."""
        if self.batch and moves:
            self.stream.publish(events.batch_ref_updated(project, moves, by))
        if self.single:
            for move in moves:
                self.stream.publish(events.ref_updated(project, move, by))

    def push(
        self,
        project: str,
        ref: str = "master",
        files: Files | None = None,
        message: str = "",
        *,
        by: Account | None = None,
        onto: str = "",
        commits: int = 1,
    ) -> str:
        """Somebody pushes commits straight to a branch (made when it is not there, from HEAD); the new tip.

        `onto`: the commit to build on instead of the branch's tip; then the push may be a forced one.
        """
        found, who, full = self.project(project), by or self.admin, full_name(ref)
        repository = found.repository
        with self.lock, repository.lock:  # in this order, as whoever reviews takes them
            at = onto or repository.tip(full) or repository.resolve("HEAD") or ""
            for number in range(commits):
                changed = dict(files or {})
                if files is None:
                    changed["pushed.txt"] = f"{self.clock.now()} {number}\n"
                text = message or f"Change {', '.join(changed) or 'nothing'}"
                at = repository.commit(changed, f"{text}\n", (at,) if at else (), who)
            self.uploads.moved(found, who, repository.update({full: at}, who, "push"))
        return at

    def force_push(self, project: str, ref: str = "master", back: int = 1, *, by: Account | None = None) -> str:
        """Replace the last commits of a branch by another one."""
        base = self.project(project).repository.resolve(f"{full_name(ref)}~{back}") or ""
        text = {"forced.txt": f"{self.clock.now()}\n"}
        if base:
            return self.push(project, ref, text, "Rewrite history", by=by, onto=base)
        found, who = self.project(project), by or self.admin
        at = found.repository.commit(text, "Begin anew\n", (), who)
        self.move(found, {full_name(ref): at}, who, "forced push")
        return at

    def set_ref(self, project: str, ref: str, commit: str, *, by: Account | None = None) -> None:
        """Any ref to any commit, with the events."""
        self.move(self.project(project), {full_name(ref): commit}, by or self.admin, "push")

    def delete_branch(self, project: str, branch: str, *, by: Account | None = None) -> None:
        self.move(self.project(project), {full_name(branch): ZERO}, by or self.admin, "")

    def tag(self, project: str, name: str, commit: str = "", *, message: str = "", by: Account | None = None) -> str:
        """A tag, annotated when it has a message; what the ref points to."""
        found, who = self.project(project), by or self.admin
        at = commit or found.repository.resolve("HEAD") or ""
        if message:
            text = (
                f"object {at}\ntype commit\ntag {name}\n"
                f"tagger {who.name} <{who.email}> {int(self.clock.now())} +0000\n\n{message}\n"
            )
            at = found.repository.run("mktag", given=text.encode()).decode().strip()
        self.move(found, {f"refs/tags/{name}": at}, who, "")
        return at

    # -- changes --------------------------------------------------------------------------------------------------------

    def upload(
        self,
        project: str,
        branch: str = "master",
        files: Files | None = None,
        message: str = "",
        *,
        change: Change | None = None,
        by: Account | None = None,
    ) -> Change:
        """Somebody pushes a commit for review: a change, or the next patch set of `change`."""
        return self.uploads.make(project, branch, files, message, change, by or self.admin)

    def submit(self, number: int, *, by: Account | None = None) -> Change:
        return self.uploads.submit(self._change(number), by or self.admin)

    def abandon(self, number: int, *, by: Account | None = None) -> Change:
        return self.uploads.abandon(self._change(number), by or self.admin)

    def _change(self, number: int) -> Change:
        found = self.changes.numbered(number)
        if found is None:
            raise KeyError(number)
        return found


def full_name(ref: str) -> str:
    return ref if ref.startswith("refs/") else f"refs/heads/{ref}"
