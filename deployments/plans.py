"""What a change would do, before anybody confirms it: pins, diff, warnings, commits, expected duration. Changes nothing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from builds.models import Version
from clusters import freezing
from clusters.drivers.runtime.base import FieldConflict
from clusters.freezing import Freeze
from clusters.models import Machine
from clusters.runtimes import runtime_of
from deployments import approvals, configuring, doubts, outside, pinning, scaling, wanted
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound
from fangduoduo_release.common.sentence import S, Sentence
from projects import specs
from projects.drivers.source.base import Commit
from projects.models import Project, SpecRevision
from projects.sources import source_of

MAX_COMMITS = 50
LOOK_BACK = 200  # deployments that a list of targets is made from; a version that is named is found however old


@dataclass(frozen=True, slots=True)
class Choice:
    """A change with everything it pins already chosen."""

    action: str
    version: Version | None
    spec: SpecRevision | None
    replicas: int
    nonce: int
    restores: Deployment | None = None
    config: dict[str, Any] | None = None  # what is pinned of the configuration
    digest: str = ""  # what an image's tag is known to have meant, where nothing else says it
    by_digest: bool = False  # and that is what is to run, whatever the tag means by now
    pullable: bool = False  # what was known of that before
    take_over: bool = False


@dataclass(slots=True)
class Preview:
    """What a person reads beside the confirm button."""

    choice: Choice
    pins: dict[str, Any]
    diff: str = ""
    manifest: str = ""
    warnings: list[Sentence] = field(default_factory=list)
    conflicts: list[FieldConflict] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    undone: list[Commit] = field(default_factory=list)
    expected_ms: int | None = None
    freeze: Freeze | None = None  # what refuses it now

    @property
    def warning_of_conflicts(self) -> Sentence:
        """Why it cannot begin: fields that somebody else manages in the cluster."""
        fields = ", ".join(f"{one.what} {one.field} ({one.owner})" for one in self.conflicts[:5])
        return S(
            "Somebody else manages what this change would set: %(fields)s. Confirm that it is taken over, or leave it out of the configuration.",
            fields=fields,
        )


def choose(
    service: Service,
    action: str,
    *,
    version: Version | None = None,
    replicas: int | None = None,
    take_over: bool = False,
) -> Choice:
    """Complete what a person asked for. Raises Invalid, NotFound, Conflict, each with its sentence; Unavailable, Rejected
    when the configuration cannot be read."""
    return replace(_chosen(service, action, version, replicas), take_over=take_over)


def _chosen(service: Service, action: str, version: Version | None, replicas: int | None) -> Choice:
    if replicas is not None and not 0 <= replicas <= 100:
        raise Invalid(S("Replicas are a number from 0 to 100."), fields={"replicas": []})
    if action == Deployment.Action.DEPLOY:
        return _deploy(service, version, replicas)
    if action == Deployment.Action.ROLLBACK:
        return _rollback(service, version)
    if action not in Deployment.Action.values:
        raise Invalid(S("There is no action “%(action)s”.", action=action), fields={"action": []})
    if service.version is None:
        raise Conflict(S("Nothing runs here yet; deploy a version first."), code="nothing_runs")
    if action == Deployment.Action.REMOVE:
        return Choice(action, None, None, 0, service.restart_nonce)
    if action == Deployment.Action.SCALE:
        scaling.require_scalable(service, replicas)
    pins = pinning.of_last(service)
    nonce = service.restart_nonce + (1 if action == Deployment.Action.RESTART else 0)
    count = service.replicas if replicas is None else replicas
    return Choice(
        action,
        service.version,
        service.spec_revision,
        count,
        nonce,
        config=pinning.config_now(service),
        digest=str(pins.get("digest") or ""),
        by_digest=pinning.by_digest(pins, anew=action == Deployment.Action.RESTART or not service.replicas),
        pullable=bool(pins.get("pullable")),
    )


def _deploy(service: Service, version: Version | None, replicas: int | None) -> Choice:
    chosen = version or _newest(service.project)
    if chosen is None:
        raise NotFound(S("This project has no version yet; build one first."), code="no_version")
    if chosen.project_id != service.project_id:
        raise NotFound(S("This version belongs to another project."), code="no_version")
    spec = specs.latest(service.project)
    if spec is None:
        raise Invalid(S("This project has no spec yet; fill it in on its Settings page."), code="no_spec")
    count = replicas if replicas is not None else int(spec.spec.get("replicas", 1))
    config = configuring.resolve(service, spec)
    return Choice(Deployment.Action.DEPLOY, chosen, spec, count, service.restart_nonce, config=config)


def _newest(project: Project) -> Version | None:
    there = project.versions.filter(removed_at=None).select_related("build__pipeline")
    return there.annotate(failed_on=Coalesce(doubts.failed_on(), Value(""))).order_by("-number").first()


def _ran_before(service: Service) -> QuerySet[Deployment]:
    """The good deployments of other versions here, newest first."""
    done = Deployment.objects.filter(service=service.pk, state="succeeded", version__isnull=False)
    return done.exclude(version=service.version_id).order_by("-id")


def can_roll_back(service: Service) -> bool:
    return service.pk is not None and _ran_before(service).exists()


def rollback_versions(service: Service, limit: int) -> list[Version]:
    """What one may choose to go back to: of the versions that ran here last, the highest numbers first."""
    if service.pk is None:
        return []
    ran = _ran_before(service).values("version")[:LOOK_BACK]
    return list(Version.objects.filter(pk__in=ran).order_by("-number")[:limit])


def rollback_targets(service: Service, version: Version | None = None, limit: int = LOOK_BACK) -> list[Deployment]:
    """The last good deployment of each other version that ran here (or of that one only), newest first; looks at
    `limit` deployments."""
    if service.pk is None:
        return []
    done = _ran_before(service).select_related("version", "version__build__pipeline", "spec_revision", "started_by")
    if version is not None:
        done = done.filter(version=version)
    found: dict[int, Deployment] = {}
    for deployment in done[:limit]:
        found.setdefault(deployment.version_id or 0, deployment)
    return list(found.values())


def _rollback(service: Service, version: Version | None) -> Choice:
    targets = rollback_targets(service, version, limit=1)
    if not targets:
        if version is not None and version.pk == service.version_id:
            raise Conflict(S("Version #%(number)s is what runs here now.", number=version.number), code="same_version")
        if version is not None:
            raise Conflict(
                S(
                    "Version #%(number)s never ran here, so there is nothing to go back to; deploy it.",
                    number=version.number,
                ),
                code="never_ran",
            )
        raise Conflict(S("No other version ran here before."), code="nothing_before")
    target = targets[0]
    return Choice(
        Deployment.Action.ROLLBACK, target.version, target.spec_revision, target.replicas, service.restart_nonce, target,
        config=target.pins.get("config"), digest=str(target.pins.get("digest") or ""),
        by_digest=pinning.by_digest(target.pins, anew=True), pullable=bool(target.pins.get("pullable")),
    )  # fmt: skip


def preview(service: Service, choice: Choice) -> Preview:
    """Pins, diff, warnings and commits of a completed choice. Raises Rejected (files gone), Unavailable (runtime), Conflict
    ("autoscaled")."""
    found = Preview(choice, pins_of(choice, service.machine.cluster.kind))
    found.expected_ms = expected_ms(service, choice.action)
    _foresee(service.machine, choice.action, found)
    if choice.version is None or choice.spec is None:
        found.warnings.append(S("All instances stop and the address answers no more."))
        if service.pk:
            found.deletes = list(runtime_of(service.machine.cluster).removal(wanted.ref_of(service)))
        return found
    goal = wanted.goal(
        service, version=choice.version, spec=choice.spec, replicas=choice.replicas, nonce=choice.nonce,
        generation=service.generation, config=choice.config, take_over=choice.take_over,
        digest=choice.digest if choice.by_digest else "",
    )  # fmt: skip
    plan = runtime_of(service.machine.cluster).plan(goal)
    scaling.require_uncontested(choice.action, plan.scaled_by)
    found.diff, found.manifest = plan.diff, plan.manifest
    found.pins["manifest_sha256"] = plan.sha256
    found.warnings.extend(plan.warnings)
    found.conflicts, found.deletes = list(plan.conflicts), list(plan.deletes)
    found.warnings.extend(doubts.about(service, choice.action, choice.version, choice.replicas, changed=plan.changed))
    found.warnings.extend(outside.shared(service, goal.spec.ingress))
    _compare(service, choice, found)
    return found


def _foresee(machine: Machine, action: str, found: Preview) -> None:
    """What stands between the click and the change: a freeze now or soon, people who must approve."""
    restoring, now = action in Deployment.RESTORING, timezone.now()
    windows = [w for w in freezing.windows_on([machine])[machine.pk] if w.blocks_restoring or not restoring]
    found.freeze = freezing.frozen_by(windows, now, restoring=restoring)
    soon = freezing.coming(windows, now, freezing.SOON)
    if found.freeze is not None or soon:
        found.warnings.append((found.freeze or soon[0]).sentence)
    rule = approvals.rule_of(machine, action)
    if rule.needed:
        found.warnings.append(rule.warning)


def pins_of(choice: Choice, cluster_kind: str) -> dict[str, Any]:
    """The five pins as far as they are known before the manifest is rendered."""
    version = choice.version
    revision = version.build.pipeline.number if version and version.build.pipeline else None
    return {
        "digest": (version.pin_on(cluster_kind) or choice.digest) if version else "",
        "config": choice.config,
        "manifest_sha256": "",
        "pipeline_revision": revision,
        "traffic": {"stable": 100, "canary": 0},
        **({"by_digest": True} if choice.by_digest else {}),
        **({"pullable": True} if choice.pullable else {}),
    }


def _compare(service: Service, choice: Choice, found: Preview) -> None:
    old, new = service.version, choice.version
    if old is None or new is None or old.commit_sha == new.commit_sha:
        return
    try:
        found.commits = commits_between(service.project, old.commit_sha, new.commit_sha)
        found.undone = commits_between(service.project, new.commit_sha, old.commit_sha)
    except AppError as error:
        found.warnings.append(S("The commits in between cannot be listed: %(why)s", why=str(error.sentence)))


def commits_between(project: Project, old: str, new: str) -> list[Commit]:
    """Commits that lead to `new` and are not in `old`, newest first, at most 50."""
    source, repository = source_of(project)
    return source.log(repository, new, after=old, limit=MAX_COMMITS)


def expected_ms(service: Service, action: str) -> int | None:
    """Median of the last five like it, here; None before the first."""
    if service.pk is None:
        return None
    took = (
        Deployment.objects.filter(service=service, action=action, state="succeeded", started_at__isnull=False)
        .annotate(took=F("finished_at") - F("started_at"))
        .order_by("-id")
        .values_list("took", flat=True)[:5]
    )
    values = [t / timedelta(milliseconds=1) for t in took if t is not None]
    return int(statistics.median(values)) if values else None


def service_for(project: Project, machine: Machine) -> Service | None:
    rows = Service.objects.select_related("project", "machine__cluster", "version", "spec_revision")
    return rows.filter(project=project, machine=machine).first()
