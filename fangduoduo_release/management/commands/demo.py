"""Load the sample once: four people, three machines, a project with its first build. Safe to repeat."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError

from builds.actions import start_build
from clusters.models import Cluster, Machine
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import ApiToken, User
from projects.actions import create_project, grant_machine
from projects.models import Project

PEOPLE: dict[str, dict[str, Any]] = {
    "admin": {"first_name": "Admin", "is_superuser": True, "is_staff": True},
    "ops": {"first_name": "Ops", "is_staff": True},
    "dev": {"first_name": "Dev"},
    "guest": {"first_name": "Guest"},
}
MACHINES = [("test-a", "test", 10), ("staging", "staging", 20), ("prod", "production", 30)]
SAMPLE = "sample"


class Command(BaseCommand):
    """`manage.py demo`"""

    help = "Loads the sample data once; safe to repeat. Local installations only."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError("The sample is for FDD_ENV=local only.")
        people = self._people()
        machines = self._machines()
        project = Project.objects.filter(slug=SAMPLE).first()
        if project is None:
            project = create_project(
                actor=people["dev"],
                slug=SAMPLE,
                name="Sample service",
                description="A small web service to try everything on: push, build, deploy, roll back.",
                starter="python-http",
            )
            for machine in machines:
                grant_machine(actor=SYSTEM, project=project, machine=machine, reason="sample")
            start_build(actor=people["dev"], project=project)
        self.stdout.write(f"The sample project is ready: {settings.PUBLIC_URL}/projects/{project.slug}/")

    def _people(self) -> dict[str, User]:
        path = Path(settings.VAR) / "demo-credentials.json"
        known: dict[str, dict[str, str]] = (
            json.loads(path.read_text()) if path.exists() else {"users": {}, "tokens": {}}
        )
        ops, _ = Group.objects.get_or_create(name="ops")
        ops.permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
        people = {}
        for name, facts in PEOPLE.items():
            user, created = User.objects.get_or_create(
                username=name, defaults={**facts, "email": f"{name}@example.com"}
            )
            if created or name not in known["users"]:
                known["users"][name] = secrets.token_urlsafe(9)
                user.set_password(known["users"][name])
                user.save()
                user.tokens.filter(name="demo").delete()
                known["tokens"][name] = ApiToken.make(user, "demo")[1]
            if name == "ops":
                user.groups.add(ops)
            people[name] = user
        _write_private(path, json.dumps(known, indent=2))
        return people

    def _machines(self) -> list[Machine]:
        cluster, _ = Cluster.objects.get_or_create(name="local", defaults={"kind": "local", "description": "This host"})
        return [
            Machine.objects.get_or_create(
                name=name, defaults={"cluster": cluster, "environment": environment, "order": order}
            )[0]
            for name, environment, order in MACHINES
        ]


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step; it is never readable by others, not for a moment."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)
