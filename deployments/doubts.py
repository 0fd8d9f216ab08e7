"""What speaks against deploying a version, and is told before anybody confirms it."""

from __future__ import annotations

from django.db.models import Case, F, OuterRef, Subquery, Value, When

from builds.models import Version
from deployments.models import Deployment, Service
from fangduoduo_release.common.sentence import S, Sentence


def about(service: Service, action: str, version: Version, replicas: int, *, changed: bool) -> list[Sentence]:
    """The doubts, each a sentence; `changed`: whether anything would be other than it is."""
    found = []
    if action == Deployment.Action.DEPLOY:
        if service.version is not None and version.number < service.version.number:
            found.append(
                S("#%(new)s is older than #%(now)s, which runs here.", new=version.number, now=service.version.number)
            )
        if service.version_id == version.pk and not changed:
            found.append(S("This version runs here already and nothing would change."))
        found.extend(_failed_before(version))
    if version.build.tests_passed is None:
        found.append(S("This version was not tested: its build reported no tests."))
    if replicas == 0:
        found.append(S("With 0 replicas nothing will run."))
    return found


def failed_on() -> Subquery:
    """Of versions: the machine that its last deployment failed on; empty when that went well, or there was none."""
    over = Deployment.objects.filter(
        version=OuterRef("pk"), action=Deployment.Action.DEPLOY, state__in=("failed", "succeeded")
    )
    where = Case(When(state="failed", then=F("service__machine__name")), default=Value(""))
    return Subquery(over.order_by("-id").annotate(where=where).values("where")[:1])


def _failed_before(version: Version) -> list[Sentence]:
    where = getattr(version, "failed_on", None)  # who chose it may have asked already
    if where is None:
        where = Version.objects.filter(pk=version.pk).values_list(failed_on(), flat=True).first()
    return [S("The last deployment of this version, to %(machine)s, failed.", machine=where)] if where else []
