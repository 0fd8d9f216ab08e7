"""Commits straight into a project's own repository, for tests that need a file there or gone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from projects.models import Project
from projects.sources import source_of

PEOPLE = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
          for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))}  # fmt: skip


def git(bare: Path, *arguments: str, given: bytes = b"", **more: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(bare), *arguments], input=given, capture_output=True, check=True, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **PEOPLE, **more},
    )  # fmt: skip
    return done.stdout.decode().strip()


def commit(project: Project, files: dict[str, str | None], branch: str = "main") -> str:
    """A commit on the branch with these files, None removes one; its sha."""
    source, repository = source_of(project)
    bare = source.path(repository)
    head = git(bare, "rev-parse", branch)
    index = str(Path(bare) / "test-index")
    git(bare, "read-tree", head, GIT_INDEX_FILE=index)
    for path, text in files.items():
        if text is None:
            git(bare, "update-index", "--index-info", given=f"0 {'0' * 40}\t{path}\n".encode(), GIT_INDEX_FILE=index)
            continue
        blob = git(bare, "hash-object", "-w", "--stdin", given=text.encode("utf-8", "surrogateescape"))
        git(bare, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", GIT_INDEX_FILE=index)
    tree = git(bare, "write-tree", GIT_INDEX_FILE=index)
    made = git(bare, "commit-tree", tree, "-p", head, "-m", "Change files")
    git(bare, "update-ref", f"refs/heads/{branch}", made)
    Path(index).unlink()
    return made
