"""Reads a Jenkinsfile out of a Git repository, with the words of Jenkins' Git plugin in the log."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .config import FromGit, expanded
from .log import Log

_ASKPASS = """#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "$SIMULATOR_USER" ;;
*) printf '%s\\n' "$SIMULATOR_PASSWORD" ;;
esac
"""


class NotFetched(Exception):
    """The sentence that ends the log."""


@dataclass(frozen=True, slots=True)
class Fetched:
    text: str
    url: str
    commit: str
    ref: str
    credentials_id: str = ""


def fetch(
    wanted: FromGit, values: dict[str, str], logins: Mapping[str, tuple[str, str]], folder: Path, log: Log
) -> Fetched:
    """Clone, find the revision of the branch spec, read the script. Raises NotFetched."""
    url, spec, script = (expanded(text, values) for text in (wanted.url, wanted.branch, wanted.script_path))
    log.line(f"Checking out git {url} into {folder} to read {script}", annotated=False)
    log.line("The recommended git tool is: NONE", annotated=False)
    login = logins.get(wanted.credentials_id)
    if not wanted.credentials_id:
        log.line("No credentials specified", annotated=False)
    elif login is None:
        log.line(f'Warning: CredentialId "{wanted.credentials_id}" could not be found.', annotated=False)
    else:
        log.line(f"using credential {wanted.credentials_id}", annotated=False)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    git = _Git(folder, login)
    git.run("init", "--quiet", "--bare", "repository.git")
    log.line(
        f" > git fetch --tags --force --progress -- {url} +refs/heads/*:refs/remotes/origin/* # timeout=10",
        annotated=False,
    )
    done = git.run(
        "-C",
        "repository.git",
        "fetch",
        "--quiet",
        "--tags",
        "--force",
        "--",
        url,
        "+refs/heads/*:refs/remotes/origin/*",
    )
    if done.returncode:
        log.line(f"stderr: {done.stderr.strip()}", annotated=False)
        raise NotFetched("Error fetching remote repo 'origin'")
    commit, ref = git.revision(url, spec)
    log.line(f"Checking out Revision {commit} ({ref})", annotated=False)
    text = git.run("-C", "repository.git", "show", f"{commit}:{script}")
    if text.returncode:
        raise NotFetched(f"Unable to find {script} from git {url}")
    return Fetched(text.stdout, url, commit, ref, wanted.credentials_id)


class _Git:
    def __init__(self, folder: Path, login: tuple[str, str] | None) -> None:
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        if login is not None:
            asks = folder / "askpass"
            asks.write_text(_ASKPASS)
            asks.chmod(0o700)
            self._environment |= {
                "GIT_ASKPASS": str(asks), "SIMULATOR_USER": login[0], "SIMULATOR_PASSWORD": login[1]
            }  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments], cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    def revision(self, url: str, spec: str) -> tuple[str, str]:
        name = spec.removeprefix("*/").removeprefix("refs/heads/").removeprefix("origin/")
        for ref in (f"refs/remotes/origin/{name}", f"refs/tags/{name.removeprefix('refs/tags/')}", spec):
            found = self.run(
                "-C", "repository.git", "rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}"
            )
            if found.returncode == 0:
                return found.stdout.strip(), ref if ref != spec else "detached"
        if len(spec) == 40 and self.run("-C", "repository.git", "fetch", "--quiet", "--", url, spec).returncode == 0:
            return spec, "detached"
        raise NotFetched(
            "Couldn't find any revision to build. Verify the repository and branch configuration for this job."
        )
