"""Somebody else's project: one of everything that nobody of the stage may know of, all of it with telling names."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from builds.actions import save_credential
from builds.models import BuildLog, InputRequest, LogChunk, LogMark, TestResult
from builds.models import Stage as StageRow
from clusters.models import Machine
from deployments.actions import start_deployment
from deployments.models import Deployment, Instance
from fangduoduo_release.common import events
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import grant_machine, save_spec
from projects.models import BranchTip
from tests import world

from .matrix import TEXT

WORD = "quetzal"
LOG = b"quetzal says this in its log\n"


class Hidden:
    """`values` as the stage has them, for this project's rows."""

    def __init__(self) -> None:
        self.owner = world.person("quentin", email="quentin@quetzal.example")
        self.project = project = world.project(self.owner, WORD, name="Quetzal", description="quetzal's secret plan")
        save_spec(actor=SYSTEM, project=project, spec={"command": ["./quetzal"], "env": {"QUETZAL": "quetzal"}})
        save_credential(actor=SYSTEM, project=project, ident="QUETZAL", kind="text", values={"secret": WORD})
        self.machine = Machine.objects.get(name="test-a")
        for machine in Machine.objects.all():
            grant_machine(actor=SYSTEM, project=project, machine=machine, reason=WORD)
        self.member = world.member(project, "maintainer", "quirin")
        for note in ("first", "second", "third"):
            self.pipeline = world.pipeline(project, f"{TEXT}\n// quetzal {note}\n")
        self.version = world.version(project, number=77, commit_subject="Teach quetzal to fly")
        self.build = build = world.build(project, "running", commit_subject="Feed quetzal", commit_author="quentin")
        self.queued = world.build(project, "queued", started_at=None, commit_subject="Wake quetzal")
        self.failed = world.build(project, "failed", commit_subject="Wet quetzal", started_by=self.owner)
        self.fill(build)
        self.deployment = start_deployment(
            actor=self.owner, project=project, machine=self.machine, action="deploy", version=self.version, reason=WORD
        )
        Deployment.objects.filter(pk=self.deployment.pk).update(state="running")
        Instance.objects.create(service=self.deployment.service, name="quetzal-1", state="running", ready=True)
        BranchTip.objects.update_or_create(project=project, ref="refs/heads/quetzal", defaults={"sha": "1" * 40})
        self.values: dict[str, Any] = {
            "slug": WORD,
            "ident": "QUETZAL",
            "number": self.pipeline.number,
            "path": "quetzal.tgz",
            "builds": build.pk,
            "versions": self.version.pk,
            "deployments": self.deployment.pk,
            "services": self.deployment.service_id,
        }

    @staticmethod
    def fill(build: Any) -> None:
        """What a build leaves."""
        InputRequest.objects.create(build=build, ident="QUETZAL", message="Shall quetzal fly?")
        world.artifact(build, "quetzal.tgz", b"quetzal")
        StageRow.objects.create(build=build, ident="quetzal", name="quetzal")
        TestResult.objects.create(build=build, suite="quetzal", name="flies", state="failed", message=WORD)
        BuildLog.objects.get_or_create(build=build)
        LogChunk.objects.create(build=build, offset=0, size=len(LOG), data=LOG, first_line=0, lines=1)
        LogMark.objects.create(build=build, line=0, offset=0, at_ms=0, label="quetzal")
        events.record(build, "state", state="running", at=str(timezone.now()))
