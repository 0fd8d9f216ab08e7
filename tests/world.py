"""Rows for tests, made through the portal's own actions wherever one exists."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
import tarfile
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from builds import versions
from builds.models import Artifact, Build, ChangeBuild, PipelineRevision, Version
from clusters.models import Cluster, Machine
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import InboxItem
from permissions.models import User
from projects import pushes
from projects.actions import create_project, grant_machine, set_member
from projects.models import Project

_numbers = itertools.count(1)
SERVER = """
import os, http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"%s"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"""


def person(name: str = "", password: str | None = None, **facts: Any) -> User:
    """A user; without a password unless one is given (hashing is slow on purpose; tests sign in by force)."""
    return User.objects.create_user(name or f"person{next(_numbers)}", password=password, **facts)


def ops(name: str = "olga") -> User:
    """Somebody from ops."""
    group, _ = Group.objects.get_or_create(name="ops")
    group.permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    user = person(name, is_staff=True)
    user.groups.add(group)
    return User.objects.get(pk=user.pk)


def project(owner: User | None = None, slug: str = "", starter: str = "blank", **more: Any) -> Project:
    """A project with its real repository."""
    slug = slug or f"app{next(_numbers)}"
    left = settings.REPOSITORIES_ROOT / f"{slug}.git"  # by an earlier test: it would be taken as it is
    shutil.rmtree(left, ignore_errors=True)
    return create_project(actor=owner or person(), slug=slug, starter=starter, **more)


def bare_project(owner: User | None = None, slug: str = "", **facts: Any) -> Project:
    """A project without its repository, for tests that never look at it: making one takes a while."""
    owner = owner or person()
    made = Project.objects.create(slug=slug or f"app{next(_numbers)}", name=slug, created_by=owner, **facts)
    set_member(actor=SYSTEM, project=made, user=owner, role="owner")
    return made


def member(of: Project, role: str, name: str = "") -> User:
    """A new person with that role on the project."""
    user = person(name)
    set_member(actor=SYSTEM, project=of, user=user, role=role)
    return User.objects.get(pk=user.pk)


def machine(name: str = "", environment: str = "test") -> Machine:
    """A machine on this host."""
    cluster, _ = Cluster.objects.get_or_create(name="local", defaults={"kind": "local"})
    return Machine.objects.create(name=name or f"machine{next(_numbers)}", cluster=cluster, environment=environment)


def granted(to: Project, name: str = "", environment: str = "test") -> Machine:
    """A machine the project may use."""
    found = machine(name, environment)
    grant_machine(actor=SYSTEM, project=to, machine=found)
    return found


def build(of: Project, state: str = "succeeded", **facts: Any) -> Build:
    """A build that has ended already (or is in `state`), without having run."""
    Project.objects.filter(pk=of.pk).update(last_build_number=of.last_build_number + 1)
    of.refresh_from_db()
    now = timezone.now()
    defaults: dict[str, Any] = {
        "project": of,
        "number": of.last_build_number,
        "trigger": "manual",
        "ref": "refs/heads/main",
        "commit_sha": f"{next(_numbers):040x}",
        "commit_subject": "Change something",
        "commit_author": "Ann",
        "state": state,
        "started_at": now,
        "finished_at": now if state in Build.STATES.final else None,
    }
    return Build.objects.create(**{**defaults, **facts})


def archive(files: dict[str, bytes]) -> tuple[str, int]:
    """Store a tar.gz of these files; (sha256, size)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    if not default_storage.exists(versions.archive_name(sha256)):
        default_storage.save(versions.archive_name(sha256), ContentFile(data))
    return sha256, len(data)


def news(of: Project, kind: str = "push", build: Build | None = None, state: str = "done", **facts: Any) -> InboxItem:
    """A push or a change of which the portal heard; what came of it is `build`, or what `result` says."""
    number = next(_numbers)
    told = {
        "project": of.pk,
        "via": "push",
        "heard_at": 0.0,
        "happened_at": 0.0,
        "new": f"{number:040x}",
        "actor": "ann",
    }
    of_kind = {"ref": "refs/heads/main", "old": "0" * 40, "forced": False}
    if kind == "change":
        of_kind = {"number": 123, "patch_set": 2, "branch": "main", "subject": "Change something", "url": "", "ref": ""}
    result = facts.pop("result", {"build": build.pk, "latency_ms": 42} if build else None)
    return InboxItem.objects.create(
        kind=kind,
        dedupe_key=f"{kind}:{of.pk}:{number}",
        topic=pushes.topic_of(of),
        payload={**told, **of_kind, **facts},
        state=state,
        result=result,
    )


def change_build(of: Project, number: int = 123, patch_set: int = 2, state: str = "succeeded", **facts: Any) -> Build:
    """The build of a patch set."""
    ref = f"refs/changes/{number % 100:02}/{number}/{patch_set}"
    made = build(of, state, trigger="change", ref=ref, **facts)
    url = f"https://review.example/c/{of.slug}/+/{number}"
    ChangeBuild.objects.create(build=made, number=number, patch_set=patch_set, branch="main", url=url)
    return made


def artifact(of: Build, path: str, data: bytes = b"kept") -> Artifact:
    """A file that the build left."""
    sha256 = hashlib.sha256(data).hexdigest()
    if not default_storage.exists(versions.artifact_name(sha256)):
        default_storage.save(versions.artifact_name(sha256), ContentFile(data))
    return Artifact.objects.create(build=of, path=path, size=len(data), sha256=sha256)


def version(of: Project, says: str = "", **facts: Any) -> Version:
    """A deployable version: a tiny web server that answers `says`."""
    made = build(of)
    sha256, size = archive({"server.py": (SERVER % (says or f"version {made.number}")).encode()})
    defaults: dict[str, Any] = {
        "project": of,
        "build": made,
        "number": made.number,
        "commit_sha": made.commit_sha,
        "commit_subject": made.commit_subject,
        "ref": made.ref,
        "archive_sha256": sha256,
        "archive_size": size,
    }
    return Version.objects.create(**{**defaults, **facts})


def pipeline(of: Project, text: str) -> PipelineRevision:
    """A pipeline kept in the portal."""
    from builds.actions import save_pipeline

    return save_pipeline(actor=SYSTEM, project=of, text=text)
