"""One bare repository and the git commands that read and change it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from .accounts import Account

ZERO = "0" * 40
_SETTINGS = {
    "core.logAllRefUpdates": "always",
    "receive.procReceiveRefs": "refs/for",
    "receive.advertisePushOptions": "true",
    "receive.unpackLimit": "1000",
    "transfer.hideRefs": "refs/sim",
    "receive.hideRefs": "refs/changes",
    "http.receivepack": "true",
    "gc.auto": "0",
}


class GitFailed(Exception):
    """What git said on its standard error."""


def environment(**more: str) -> dict[str, str]:
    """Without the settings of whoever runs the simulator."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    return {**clean, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", **more}


def identity(account: Account, now: float) -> dict[str, str]:
    """What git takes an author and committer, and a line of the reflog, from."""
    found: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        found |= {f"GIT_{role}_NAME": account.name, f"GIT_{role}_EMAIL": account.email}
        found[f"GIT_{role}_DATE"] = f"{int(now)} +0000"
    return found


class Repository:
    """Changed only under its lock, except by git programs that clients talk to (those lock their refs themselves)."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._clock = clock

    def create(self, head: str, hooks: Path, description: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["git", "init", "-q", "--bare", "--template=", str(self.path)],
            check=True, capture_output=True, env=environment(),
        )  # fmt: skip
        lines = []
        for name, value in {**_SETTINGS, "core.hooksPath": str(hooks)}.items():
            section, _, key = name.partition(".")
            lines.append(f"[{section}]\n\t{key} = {value}\n")
        with (self.path / "config").open("a") as file:
            file.write("".join(lines))
        (self.path / "HEAD").write_text(f"ref: {head}\n")
        (self.path / "description").write_text(description)

    # -- reading --------------------------------------------------------------------------------------------------------

    def run(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        done = subprocess.run(
            ["git", "--git-dir", str(self.path), *words],
            input=given, capture_output=True, env=environment(**(env or {})), check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise GitFailed(done.stderr.decode("utf-8", "replace").strip() or f"git {words[0]}: {done.returncode}")
        return done.stdout

    def text(self, *words: str) -> str:
        return self.run(*words).decode("utf-8", "replace").strip()

    def head(self) -> str:
        """The full name of the branch that HEAD points to, born or not."""
        return (self.path / "HEAD").read_text().strip().removeprefix("ref: ")

    def point_head(self, ref: str) -> None:
        self.run("symbolic-ref", "HEAD", ref)

    def refs(self, *prefixes: str) -> dict[str, str]:
        lines = self.text("for-each-ref", "--format=%(refname) %(objectname)", *prefixes).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def tip(self, ref: str) -> str | None:
        """What a ref by its full name points to."""
        return self.refs(ref).get(ref)

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision means."""
        try:
            return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitFailed:
            return None

    def is_ancestor(self, older: str, newer: str) -> bool:
        try:
            self.run("merge-base", "--is-ancestor", older, newer)
        except GitFailed:
            return False
        return True

    def blob(self, commit: str, path: str) -> tuple[str, bytes] | None:
        """Mode and content of a file; of a folder (mode 040000) the content is empty."""
        found = self.text("ls-tree", commit, "--", path)
        if not found or path.endswith("/"):
            return None
        mode, kind, identity_ = found.partition("\t")[0].split()
        if kind == "blob":
            return mode, self.run("cat-file", "blob", identity_)
        return mode, identity_.encode() if kind == "commit" else b""

    # -- changing -------------------------------------------------------------------------------------------------------

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str,
        parents: tuple[str, ...],
        by: Account,
        *,
        author: Account | None = None,
    ) -> str:
        """A commit that no ref holds yet; a file without content is removed."""
        now = int(self._clock())
        lines: list[bytes] = [b"commit refs/sim/new\nmark :1\n"]
        for role, who in (("author", author or by), ("committer", by)):
            lines.append(f"{role} {who.name} <{who.email}> {now} +0000\n".encode())
        lines.append(_data(message.encode()))
        for word, parent in zip(("from", *["merge"] * 8), parents, strict=False):
            lines.append(f"{word} {parent}\n".encode())
        for path, content in files.items():
            if content is None:
                lines.append(f"D {path}\n".encode())
            else:
                raw = content.encode() if isinstance(content, str) else content
                lines += [f"M 100644 inline {path}\n".encode(), _data(raw)]
        lines.append(b"\nget-mark :1\n")
        with self.lock:
            out = self.run("fast-import", "--quiet", "--force", given=b"".join(lines))
            self.run("update-ref", "-d", "refs/sim/new")
        return out.decode().strip()

    def update(self, moves: Mapping[str, str], by: Account, message: str) -> list[tuple[str, str, str]]:
        """Set refs (to zero: delete them), with a line in their reflogs; answers (ref, old, new) of each."""
        with self.lock:
            before = self.refs(*moves) if moves else {}
            script = "".join(
                f"delete {ref}\n" if new == ZERO else f"update {ref} {new}\n" for ref, new in moves.items()
            )
            self.run(
                "update-ref", "-m", message or "push", "--stdin", given=script.encode(), env=identity(by, self._clock())
            )
        return [(ref, before.get(ref, ZERO), new) for ref, new in moves.items()]

    def reflog(self, ref: str) -> list[str]:
        """Its lines, newest first."""
        file = self.path / "logs" / ref
        return file.read_text().splitlines()[::-1] if file.is_file() else []


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"
