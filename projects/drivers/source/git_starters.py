"""Starters: folders of files a new repository can begin with, and the first commit made of one.

A starter is `<starters>/<name>/` with a README.md whose first line is its title and whose first paragraph says what it
is. It must not know projects: every project that begins with a starter gets the same files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from .base import ZERO, Person, Starter
from .git_command import Git, clean_env
from .git_names import is_slug


def available(starters: Path) -> Sequence[Starter]:
    """Every starter by name."""
    if not starters.is_dir():
        return ()
    found = (entry for entry in sorted(starters.iterdir()) if entry.is_dir() and is_slug(entry.name))
    return tuple(_describe(entry) for entry in found)


def folder(starters: Path, name: str) -> Path:
    """The folder of a starter; Invalid when there is none of that name."""
    path = starters / name
    if not is_slug(name) or not path.is_dir():
        raise Invalid(S("There is no starter “%(name)s”.", name=name[:100]), code="unknown_starter")
    return path


def first_commit(
    git: Git, repository: Path, files: Path, author: Person, *, committer: Person | None = None, parent: str = ""
) -> str:
    """Commit `files` as they are to the repository's branch main, which is not there yet; the commit's sha.

    `parent`: what it is put on top of, for repositories that their server began already.
    """
    who = {
        f"GIT_{role}_{what}": value
        for role, person in (("AUTHOR", author), ("COMMITTER", committer or author))
        for what, value in (("NAME", _one_line(person.name)), ("EMAIL", _one_line(person.email)))
    }
    with tempfile.TemporaryDirectory(prefix="fdd-index-") as folder_:
        env = clean_env(extra={**who, "GIT_INDEX_FILE": os.path.join(folder_, "index")})  # noqa: PTH118 - plain text
        exclude = "__pycache__/\n*.pyc\n"
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "exclude").write_text(exclude)
        git.run(f"--work-tree={files}", "add", "--all", "--", str(files), repository=repository, env=env)
        tree = git.run("write-tree", repository=repository, env=env).decode().strip()
        message = b"Begin with the starter \xe2\x80\x9c" + files.name.encode() + b"\xe2\x80\x9d\n"
        onto = ["-p", parent] if parent else []
        sha = git.run("commit-tree", tree, *onto, repository=repository, env=env, stdin=message).decode().strip()
        git.run("update-ref", "-m", "starter", "refs/heads/main", sha, ZERO, repository=repository, env=env)
    return sha


def _describe(path: Path) -> Starter:
    readme = path / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
    title = next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), path.name)
    text = [line.strip() for line in lines if not line.startswith("#")]
    summary: list[str] = []
    for line in text:
        if line:
            summary.append(line)
        elif summary:
            break
    return Starter(path.name, title, " ".join(summary))


def _one_line(text: str) -> str:
    """Git refuses names that are empty or hold only what it strips; line breaks and angle brackets go."""
    clean = "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,:;\"'")
    return clean or "unknown"
