"""What tests of deliveries stand on: somebody else's git server, projects bound to it, deliveries as the door stores them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builds.intake import PushIntake
from builds.models import Build
from fangduoduo_release.common import engines
from fangduoduo_release.common.models import Connection, InboxItem
from projects.drivers.source.base import Repository
from projects.hooks.dialects import DIALECTS
from projects.hooks.engine import HookEngine
from projects.hooks.shown import came_of
from projects.hooks.store import Letter, keep_all, pack
from projects.models import HookDelivery, Project
from tests import world
from tests.projects.git.conftest import Server, commit, git, start_server
from tests.projects.git.serve import PEOPLE

from . import letters
from .letters import SECRET, lower

MAIN = "refs/heads/main"


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Somebody else's git server."""
    made = start_server("uvicorn", tmp_path_factory.mktemp("forge"))
    yield made
    made.stop()


@pytest.fixture
def forge() -> Connection:
    secrets = {"password": PEOPLE["dev"], "webhook_secret": SECRET}
    return Connection.objects.create(name="forge", kind="git", config={"username": "dev"}, secrets=secrets)


class Bound:
    """A project here that is bound to a repository there, and a developer's clone of it."""

    def __init__(self, remote: Server, forge: Connection, slug: str, folder: Path) -> None:
        if not remote.source.path(Repository(slug)).exists():
            remote.create(slug)
        self.url = remote.url(slug, who="")
        self.clone = remote.clone(slug, folder / slug)
        self.project = world.project(
            owner=world.ops(f"ops-{slug}"), slug=slug, starter="", repository=self.url, connection=forge
        )
        self.forge = forge

    @property
    def head(self) -> str:
        return git("rev-parse", "HEAD", cwd=self.clone).stdout.strip()

    def push(self, text: str, *, force: bool = False) -> tuple[str, str]:
        """(before, after) of a push to main."""
        before = self.head
        after = commit(self.clone, "NOTES", text)
        git("push", "--quiet", *(["--force"] if force else []), "origin", "HEAD:main", cwd=self.clone)
        return before, after

    def told(self, before: str, after: str, ident: str = "", **changes: Any) -> HookDelivery:
        """A delivery of this push from GitHub."""
        body = letters.github_push(before=before, after=after, **changes)
        body["repository"] = {
            "clone_url": self.url.replace("http://", "https://DEV@").replace(".git", ""),
            "pushed_at": 1,
        }
        return deliver(self.forge, "github", letters.github(body, ident=ident or after))


@pytest.fixture
def bound(remote: Server, forge: Connection, tmp_path: Path, request: pytest.FixtureRequest) -> Bound:
    slug = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    return Bound(remote, forge, slug, tmp_path)


def deliver(connection: Connection, kind: str, sent: tuple[dict[str, str], bytes]) -> HookDelivery:
    """As the door stores it."""
    headers, body = sent
    dialect = DIALECTS[kind]
    ident = dialect.delivery(lower(headers), body) or str(hash(body))
    letter = Letter(
        connection.pk,
        kind,
        dialect.event(lower(headers)),
        ident,
        f"{connection.pk}:{kind}:{ident}",
        pack(body),
        len(body),
    )
    (kept,) = keep_all([letter])
    return HookDelivery.objects.get(pk=kept.pk)  # type: ignore[union-attr]


def work() -> None:
    """Let the engines work on everything that waits."""
    for pk in HookDelivery.objects.filter(state="new").order_by("pk").values_list("pk", flat=True):
        engines.drive(HookEngine(), pk)
    for pk in InboxItem.objects.filter(state="new").order_by("pk").values_list("pk", flat=True):
        engines.drive(PushIntake(), pk)


def built(project: Project) -> list[str]:
    return list(Build.objects.filter(project=project).order_by("id").values_list("commit_sha", flat=True))


def said(delivery: HookDelivery) -> str:
    delivery.refresh_from_db()
    return came_of(delivery)
