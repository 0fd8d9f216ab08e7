"""The ops screen for projects, roles and machine grants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from permissions.admin_base import PortalAdmin, ReadOnlyAdmin
from projects import actions, grants
from projects.hook_admin import HookDeliveryAdmin
from projects.models import BranchTip, MachineGrant, Project, RoleGrant, SpecRevision
from projects.request_admin import RequestAdmin
from projects.source_admin import SourceListenerAdmin

__all__ = ["HookDeliveryAdmin", "RequestAdmin", "SourceListenerAdmin"]  # they register themselves


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "source_kind", "builder_kind", "archived", "created_by", "created_at")
    list_filter = ("archived", "source_kind", "builder_kind")
    list_select_related = ("created_by",)
    search_fields = ("slug", "name")
    actions = ["archive", "restore"]

    @admin.action(description=_("Archive"))
    def archive(self, request: HttpRequest, rows: QuerySet[Project]) -> None:
        self._archived(request, rows, True)

    @admin.action(description=_("Restore from the archive"))
    def restore(self, request: HttpRequest, rows: QuerySet[Project]) -> None:
        self._archived(request, rows, False)

    def _archived(self, request: HttpRequest, rows: QuerySet[Project], value: bool) -> None:
        def act(project: Project) -> None:
            actions.update_project(actor=request.user, project=project, archived=value)

        self.each(request, rows, act, str(_("Changed")))


@admin.register(RoleGrant)
class RoleGrantAdmin(PortalAdmin):
    """Roles of people and teams; given and taken through the action, like everywhere."""

    list_display = ("holder", "role", "project", "granted_by", "until", "emergency", "created_at")
    list_filter = ("role", "emergency")
    list_select_related = ("user", "team", "project")
    search_fields = ("user__username", "team__name", "project__slug")
    autocomplete_fields = ("project", "user", "team")
    fields = ("project", "user", "team", "role", "reason", "until")
    actions = ["take_away"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    get_actions = ReadOnlyAdmin.get_actions

    def save_model(self, request: HttpRequest, obj: RoleGrant, form: ModelForm[Any], change: bool) -> None:
        actions.set_member(
            actor=request.user,
            project=obj.project,
            user=obj.user,
            team=obj.team,
            role=obj.role,
            reason=obj.reason,
            until=obj.until,
        )
        obj.pk = grants.held_by(obj.project, obj.holder).get(role=obj.role, emergency=False).pk

    @admin.action(description=_("Take the role away"))
    def take_away(self, request: HttpRequest, rows: QuerySet[RoleGrant]) -> None:
        def act(grant: RoleGrant) -> None:
            actions.set_member(actor=request.user, project=grant.project, user=grant.user, team=grant.team, role=None)

        self.each(request, rows, act, str(_("Taken away")))


@admin.register(MachineGrant)
class MachineGrantAdmin(PortalAdmin):
    list_display = ("project", "machine", "environment", "granted_by", "reason", "until", "emergency", "created_at")
    list_filter = ("machine__environment", "emergency", "machine")
    list_select_related = ("project", "machine")
    search_fields = ("project__slug", "machine__name")
    autocomplete_fields = ("project", "machine")
    fields = ("project", "machine", "reason", "until")
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    @admin.display(description=_("environment"))
    def environment(self, grant: MachineGrant) -> str:
        return grant.machine.get_environment_display()

    def save_model(self, request: HttpRequest, obj: MachineGrant, form: ModelForm[Any], change: bool) -> None:
        saved = actions.grant_machine(
            actor=request.user, project=obj.project, machine=obj.machine, reason=obj.reason, until=obj.until
        )
        obj.pk = saved.pk

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, rows: QuerySet[MachineGrant]) -> None:
        def act(grant: MachineGrant) -> None:
            actions.revoke_machine(actor=request.user, project=grant.project, machine=grant.machine)

        self.each(request, rows, act, str(_("Revoked")))


@admin.register(SpecRevision)
class SpecRevisionAdmin(ReadOnlyAdmin):
    list_display = ("project", "number", "author", "created_at", "sha256")
    list_select_related = ("project",)
    search_fields = ("project__slug",)
    fields = ("project", "number", "spec", "sha256", "author", "created_at")


@admin.register(BranchTip)
class BranchTipAdmin(ReadOnlyAdmin):
    list_display = ("project", "ref", "sha", "moves", "seen_at")
    list_select_related = ("project",)
    search_fields = ("project__slug", "ref", "sha")
