"""The ops screen for services and deployments."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from deployments import actions, approvals
from deployments.models import Deployment, DeploymentApproval, Instance, Service
from permissions import policy
from permissions.admin_base import ReadOnlyAdmin


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "state", "version", "ready", "total", "port", "observed_at")
    list_filter = ("state", "machine__environment", "machine")
    list_select_related = ("project", "machine", "version__project")
    search_fields = ("project__slug", "machine__name", "key")


class DecisionInline(admin.TabularInline):  # type: ignore[type-arg]
    """Who decided what; nobody edits that."""

    model = DeploymentApproval
    fields = readonly_fields = ("decided_by_name", "verdict", "note", "decided_at", "seen_sha256")
    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Deployment | None = None) -> bool:
        return bool(request.user.is_staff and policy.is_ops(request.user))

    def has_add_permission(self, request: HttpRequest, obj: Deployment | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Deployment | None = None) -> bool:
        return False


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    big_columns = ("manifest", "diff")
    list_display = ("__str__", "state", "needs_ops", "phase", "version", "started_by", "created_at", "finished_at")
    list_filter = ("needs_ops", "state", "action", "service__machine__environment")
    list_select_related = ("service__project", "service__machine", "version__project", "started_by")
    search_fields = ("service__project__slug", "service__machine__name", "key")
    inlines = (DecisionInline,)
    actions = ["approve", "reject", "cancel", "retry_stuck", "give_up"]

    @admin.action(description=_("Approve"))
    def approve(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        def act(deployment: Deployment) -> None:
            approvals.approve_deployment(actor=request.user, deployment=deployment)

        self.each(request, rows, act, str(_("Approved")))

    @admin.action(description=_("Reject"))
    def reject(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        def act(deployment: Deployment) -> None:
            approvals.reject_deployment(actor=request.user, deployment=deployment)

        self.each(request, rows, act, str(_("Rejected")))

    @admin.action(description=_("Cancel"))
    def cancel(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        def act(deployment: Deployment) -> None:
            actions.cancel_deployment(actor=request.user, deployment=deployment)

        self.each(request, rows, act, str(_("Asked to stop")))

    @admin.action(description=_("Needs ops: try again"))
    def retry_stuck(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self._settle(request, rows, retry=True)

    @admin.action(description=_("Needs ops: give up"))
    def give_up(self, request: HttpRequest, rows: QuerySet[Deployment]) -> None:
        self._settle(request, rows, retry=False)

    def _settle(self, request: HttpRequest, rows: QuerySet[Deployment], *, retry: bool) -> None:
        def act(run: Deployment) -> None:
            actions.settle_for_ops(actor=request.user, run=run, retry=retry)

        self.each(request, rows, act, str(_("Done")))


@admin.register(Instance)
class InstanceAdmin(ReadOnlyAdmin):
    list_display = ("name", "service", "state", "ready", "restarts", "digest", "started_at")
    list_filter = ("ready",)
    list_select_related = ("service__project", "service__machine")
    search_fields = ("name", "service__project__slug")
