"""Fill a migrated, empty database as years of use would; in the settings of whoever asks.

A version belongs to one build, and one build in five fails: 100,000 versions need 125,000 builds. The first project
and its first service are ten times and more as deep as the others, because that is where lists get long. Everything
grows with `projects`; machines and what one person started in a project do not.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from benchmarks.scale.audit import fill_audit
from benchmarks.scale.filled import DEEP, Filled, Shape
from benchmarks.scale.rows import expression, insert, run
from builds.logs.store import LogWriter
from builds.models import Artifact, Build, InputRequest, PipelineRevision, Stage, TestResult, Version
from builds.templates import sync_library
from clusters.models import Cluster, Machine
from deployments.models import Deployment, Instance, Service
from fangduoduo_release.common.models import Event
from permissions.models import User
from permissions.roles import PERMISSIONS_OF, Role
from projects.actions import create_project
from projects.models import MachineGrant, Project, ProjectUserObjectPermission, RoleGrant, SpecRevision

MACHINES = 12
OTHERS = 200  # people beside dev and ops
MEMBERS = 8  # of these, in each project
EVENTS = 7  # of each build and each deployment
RUNNING = 20


def fill(shape: Shape, log_lines: int = 5_000) -> Filled:
    dev = people()
    machines = places()
    deep = projects(shape, dev)
    members(shape, dev)
    builds(shape, dev)
    services()
    deployments(shape)
    events()
    fill_audit(OTHERS)
    sync_library()
    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        run("ANALYZE")
    return details(deep, machines[0], log_lines)


def people() -> User:
    ops = User.objects.create(username="ops", password="!", is_staff=True)
    group, _ = Group.objects.get_or_create(name="ops")
    group.permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    ops.groups.add(group)
    dev = User.objects.create(username="dev", password="!")
    User.objects.bulk_create(User(username=f"person{n}", password="!") for n in range(OTHERS))
    return dev


def places() -> list[Machine]:
    cluster, _ = Cluster.objects.get_or_create(name="local", defaults={"kind": "local"})
    kinds = ["test"] * 6 + ["staging"] * 3 + ["production"] * 3
    return [
        Machine.objects.create(name=f"machine-{n:02d}", cluster=cluster, environment=kind, order=n)
        for n, kind in enumerate(kinds[:MACHINES])
    ]


def projects(shape: Shape, dev: User) -> Project:
    """All projects with pipelines and specs; the deep one has a real repository."""
    deep = create_project(actor=dev, slug=DEEP, starter="blank")
    Project.objects.bulk_create(
        Project(slug=f"app-{n:04d}", name=f"Application {n}", created_by=dev, last_build_number=shape.builds)
        for n in range(1, shape.projects)
    )
    Project.objects.filter(pk=deep.pk).update(last_build_number=shape.deep_builds)
    first = {"project": "p.id", "number": "1"}
    sha = {"sha256": expression("sha1")}
    known = f"projects_project p WHERE p.id <> {deep.pk}"
    spec = {"command": ["python3", "server.py"], "replicas": 2, "port": 8000, "env": {}}
    insert(PipelineRevision, "projects_project p", {**first, **sha}, text="pipeline {}", created_at=timezone.now())
    insert(SpecRevision, known, {**first, **sha}, spec=spec, created_at=timezone.now())
    return deep


def members(shape: Shape, dev: User) -> None:
    """dev develops in so many projects, evenly spread; everybody else in a few."""
    ids = list(Project.objects.exclude(slug=DEEP).order_by("pk").values_list("pk", flat=True))
    mine = ids[:: max(1, len(ids) // (shape.dev_in - 1))][: shape.dev_in - 1]
    others = list(User.objects.filter(username__startswith="person").values_list("pk", flat=True))
    pairs = [(pk, dev.pk) for pk in mine]
    pairs += [(pk, others[(pk * MEMBERS + n) % OTHERS]) for pk in ids for n in range(MEMBERS)]
    rights = Permission.objects.filter(
        content_type__app_label="projects", codename__in=PERMISSIONS_OF[Role.DEVELOPER]
    ).values_list("pk", flat=True)
    RoleGrant.objects.bulk_create(RoleGrant(project_id=p, user_id=u, role=Role.DEVELOPER) for p, u in pairs)
    ProjectUserObjectPermission.objects.bulk_create(
        [
            ProjectUserObjectPermission(content_object_id=p, user_id=u, permission_id=r)
            for p, u in pairs
            for r in rights
        ],
        batch_size=5_000,
    )


def builds(shape: Shape, dev: User) -> None:
    """Mixed over the projects as they would have come; dev started one in twenty."""
    count = f"(CASE WHEN p.slug = '{DEEP}' THEN {shape.deep_builds} ELSE {shape.builds} END)"
    insert(
        Build,
        f"series s JOIN projects_project p ON s.n <= {count} JOIN builds_pipelinerevision r ON r.project_id = p.id "
        f"ORDER BY s.n * 1.0 / {count}, p.id",
        {
            "project": "p.id",
            "number": "s.n",
            "key": expression("uuid"),
            "pipeline": "r.id",
            "state": "CASE WHEN s.n % 5 = 3 THEN 'failed' ELSE 'succeeded' END",
            "ref": "CASE WHEN s.n % 10 < 7 THEN 'refs/heads/main' ELSE 'refs/heads/feature-' || (s.n % 7) END",
            "commit_sha": expression("sha1"),
            "started_by": f"{dev.pk} + CASE WHEN (s.n + p.id) % 20 = 0 THEN 0 ELSE 1 + (s.n + p.id) % {OTHERS} END",
        },
        series=shape.deep_builds,
        trigger="push",
        commit_subject="Let the list be read page by page",
        commit_author="Ann",
        event_seq=EVENTS,
        tests_passed=300,
        tests_failed=0,
        tests_skipped=2,
        **ended(),
    )
    insert(
        Version,
        "builds_build b WHERE b.state = 'succeeded' ORDER BY b.id",
        {
            "project": "b.project_id",
            "build": "b.id",
            **{name: f"b.{name}" for name in ("number", "commit_sha", "commit_subject", "commit_author", "ref")},
            "archive_sha256": "b.commit_sha",
        },
        archive_size=1_000_000,
        created_at=timezone.now(),
    )


def ended() -> dict[str, object]:
    now = timezone.now()
    return {"created_at": now, "started_at": now, "finished_at": now}


def services() -> None:
    """Every project on a third of the machines."""
    source = "projects_project p JOIN clusters_machine m ON (p.id + m.id) % 3 = 0"
    insert(MachineGrant, source, {"project": "p.id", "machine": "m.id"}, created_at=timezone.now())
    insert(
        Service,
        f"{source} JOIN projects_specrevision r ON r.project_id = p.id AND r.number = 1",
        {
            "project": "p.id",
            "machine": "m.id",
            "key": expression("uuid"),
            "port": "20000 + p.id * 16 + m.id",
            "version": "(SELECT max(v.id) FROM builds_version v WHERE v.project_id = p.id)",
            "spec_revision": "r.id",
        },
        state="healthy",
        replicas=2,
        ready=2,
        total=2,
        event_seq=1,
        observed_at=timezone.now(),
        changed_at=timezone.now(),
        created_at=timezone.now(),
    )
    insert(
        Instance,
        "deployments_service v CROSS JOIN series s",
        {"service": "v.id", "name": "'i-' || s.n"},
        series=2,
        state="running",
        ready=True,
        started_at=timezone.now(),
    )


def deployments(shape: Shape) -> None:
    deepest = f"(SELECT min(x.id) FROM deployments_service x JOIN projects_project y ON y.id = x.project_id AND y.slug = '{DEEP}')"
    count = f"(CASE WHEN v.id = {deepest} THEN {shape.deep_deployments} ELSE {shape.deployments} END)"
    of_project = "SELECT w.id FROM builds_version w WHERE w.project_id = v.project_id AND w.number"
    insert(
        Deployment,
        f"series s JOIN deployments_service v ON s.n <= {count} ORDER BY s.n * 1.0 / {count}, v.id",
        {
            "service": "v.id",
            "number": "s.n",
            "key": expression("uuid"),
            "state": "CASE WHEN s.n % 7 = 5 THEN 'failed' ELSE 'succeeded' END",
            "action": "CASE WHEN s.n % 4 = 3 THEN 'rollback' ELSE 'deploy' END",
            "version": f"({of_project} > s.n ORDER BY w.number LIMIT 1)",
            "previous_version": f"({of_project} >= s.n ORDER BY w.number LIMIT 1)",
            "spec_revision": "v.spec_revision_id",
        },
        series=shape.deep_deployments,
        replicas=2,
        ready=2,
        total=2,
        event_seq=EVENTS,
        expected_ms=2_000,
        pins={"digest": "sha256:0", "traffic": {"stable": 100, "canary": 0}},
        manifest="command: [python3, server.py]\nreplicas: 2\n",
        **ended(),
    )
    latest = "SELECT max(d.id) FROM deployments_deployment d WHERE d.service_id = deployments_service.id"
    run(f"UPDATE deployments_service SET last_deployment_id = ({latest})")


def events() -> None:
    for topic in ("build", "deployment"):
        insert(
            Event,
            f"{topic}s_{topic} r CROSS JOIN series s ORDER BY r.id",
            {"topic": f"'{topic}s/' || r.id", "seq": "s.n"},
            series=EVENTS,
            at=timezone.now(),
            kind="state",
            text="Succeeded",
            data={"state": "succeeded"},
        )


def details(deep: Project, machine: Machine, log_lines: int) -> Filled:
    """What is looked at in particular: a finished build with everything, runs under way, a question."""
    newest = list(Build.objects.order_by("-pk")[:RUNNING])
    Build.objects.filter(pk__in=[b.pk for b in newest if not hasattr(b, "version")]).update(state="running")
    build = Build.objects.filter(project=deep, state="succeeded").order_by("-pk")[0]
    running = Build.objects.filter(project=deep).exclude(pk=build.pk).order_by("-pk")[0]
    Build.objects.filter(pk=running.pk).update(state="running", finished_at=None)
    for each in (build, running):
        Stage.objects.bulk_create(
            Stage(build=each, ident=f"s{n}", name=f"Stage {n}", order=n, state="succeeded", **_times())
            for n in range(12)
        )
        TestResult.objects.bulk_create(
            TestResult(build=each, suite=f"suite{n % 9}", name=f"test {n}", state="passed") for n in range(302)
        )
        Artifact.objects.bulk_create(
            Artifact(build=each, path=f"out/file{n}.txt", size=1000, sha256=f"{n:064x}") for n in range(20)
        )
        writer = LogWriter(each.pk)
        for n in range(log_lines):
            writer.append(
                b"gcc -O2 -Wall -Iinclude -c src/module_%03d.c -o build/module_%03d.o\n" % (n, n), stage=f"s{n % 12}"
            )
        writer.finish() if each is build else writer.close()
    InputRequest.objects.create(build=running, ident="ask", message="Go on?")
    service = Service.objects.filter(project=deep).order_by("pk")[0]
    deployment = Deployment.objects.filter(service=service, state="succeeded").order_by("-pk")[0]
    elsewhere = Service.objects.filter(project=deep).order_by("-pk")[0]
    moving = Deployment.objects.filter(service=elsewhere).order_by("-pk")[0]
    Deployment.objects.filter(pk=moving.pk).update(state="running", finished_at=None, ready=1)
    return Filled(
        build=build.pk,
        running=running.pk,
        version=build.version.pk,
        service=service.pk,
        deployment=deployment.pk,
        moving=moving.pk,
        commit=build.commit_sha,
        machine=service.machine.name,
        counts={
            model._meta.model_name or "": model._default_manager.count()
            for model in (Project, Build, Version, Event, Machine, Service, Deployment)
        },
    )


def _times() -> dict[str, object]:
    return {"started_at": timezone.now(), "finished_at": timezone.now()}
