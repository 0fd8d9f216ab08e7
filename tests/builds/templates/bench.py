"""The workbench for shipped templates: a repository with chosen files, stand-ins in front on PATH, and what a build left."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builds.templates import shipped
from tests.builds.embedded.ground import Ground, Ran, Repository

TEMPLATES = {one.slug: one for one in shipped()}
ALL = sorted(TEMPLATES)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGE = "registry.test:5000/shop:7"
REPORT = "<testsuite name='s'><testcase classname='c' name='works'/>%s</testsuite>"
FAILED = "<testcase classname='c' name='breaks'><failure message='no'/></testcase>"
DOCKER = r"""#!/bin/sh
echo "$@" >> "$TOOLS/docker.log"
case "$1" in
    login) cat > "$TOOLS/password"; echo "$DOCKER_CONFIG" > "$TOOLS/config" ;;
    build) cat "$3" > "$TOOLS/built"; ls -A > "$TOOLS/context" ;;
    push) [ ! -e "$TOOLS/refuses" ] || { echo 'denied: not yours' >&2; exit 1; } ;;
    image) echo "other.test/shop@sha256:0000"; echo "registry.test:5000/shop@sha256:abcd" ;;
esac
"""


class Bench:
    """Runs templates on a repository with chosen files, with stand-ins in front on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.repository = Repository.make(folder)

    def tool(self, name: str, script: str) -> None:
        path = self.tools / name
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def said(self, name: str) -> str:
        return (self.tools / name).read_text()

    def build(self, slug: str, files: dict[str, str], path: str = SYSTEM_PATH, **parameters: Any) -> Ran:
        """The template at work; names that begin with REGISTRY, and `environment`, are the environment's."""
        text, commit = TEMPLATES[slug].text, self.repository.commit(files)
        environment = {"PATH": f"{self.tools}:{path}", "TOOLS": str(self.tools), **parameters.pop("environment", {})}
        environment |= {name: parameters.pop(name) for name in list(parameters) if name.startswith("REGISTRY")}
        ground = Ground(self.folder / commit, self.repository, commit)
        return ground.run(text, pipeline=text, parameters=parameters, environment=environment)


def artifacts(ran: Ran) -> Path:
    return ran.root.parent.parent / "artifacts"


def kept(ran: Ran) -> set[str]:
    return {a.path for a in ran.sink.artifacts}


def facts(ran: Ran) -> dict[str, str]:
    return json.loads((artifacts(ran) / "release.json").read_text())


def packed(ran: Ran) -> set[str]:
    with tarfile.open(artifacts(ran) / "release.tar.gz") as tar:
        return {member.name.removeprefix("./") for member in tar if member.isfile()}


def needs(*programs: str) -> None:
    """Skip where one of them is not on this machine."""
    missing = [name for name in programs if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not on this machine")
