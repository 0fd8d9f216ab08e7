"""The one place that answers who may see and do what.

`fetch` is the authorised way to a row: what one may not see is NotFound. `require` refuses what one may see but not
do, with the rule, who can grant it and where to ask. Ops and superusers pass everywhere; SYSTEM too.
List and detail ask the same question: `visible` narrows a list by the same rows that `may` reads (guardian's own
shortcuts count global permissions in one of them and not in the other, and know no expiry).
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from fangduoduo_release.common.actor import System
from fangduoduo_release.common.errors import Denied, NotFound
from fangduoduo_release.common.sentence import S
from permissions.roles import PERMISSIONS_OF, Role, weakest_role_with

M = TypeVar("M", bound=Model)

# How each visible model leads to the project whose permission decides; "" is the project itself.
PATH_TO_PROJECT: dict[str, str] = {
    "projects.project": "",
    "builds.build": "project",
    "builds.version": "project",
    "builds.pipelinerevision": "project",
    "builds.credential": "project",
    "deployments.service": "project",
    "deployments.deployment": "service__project",
    "projects.machinegrant": "project",
    "projects.rolegrant": "project",
    "projects.accessrequest": "project",
    "projects.specrevision": "project",
}


def is_ops(actor: Any) -> bool:
    return bool(actor is not None and actor.is_active and actor.is_ops)


def permissions_on(actor: Any, project: Any) -> frozenset[str]:
    """All permission codenames the actor holds on the project; one query per project, remembered on the actor."""
    if actor is None:
        raise TypeError("a permission is asked for a user or SYSTEM")
    if is_ops(actor):
        return frozenset(PERMISSIONS_OF[Role.OWNER])
    if not actor.is_active or actor.pk is None:
        return frozenset()
    known: dict[int, frozenset[str]] = actor.__dict__.setdefault("_project_permissions", {})
    if project.pk not in known:
        known[project.pk] = _held(actor, project)
    return known[project.pk]


def _held(actor: Any, project: Any) -> frozenset[str]:
    """Given to the person or to a team of theirs and not run out, in one question (guardian's own asks two)."""
    own = get_user_obj_perms_model(project)._default_manager.filter(live(), content_object=project, user=actor)
    shared = get_group_obj_perms_model(project)._default_manager.filter(
        live(), content_object=project, group__user=actor
    )
    names = [rows.order_by().values_list("permission__codename", flat=True) for rows in (own, shared)]
    return frozenset(names[0].union(names[1]))


def live() -> Q:
    """Permissions that have not run out: an expiry counts from its second, not from when somebody tidies up."""
    return Q(until=None) | Q(until__gt=Now())


def forget(actor: Any) -> None:
    """Drop what was remembered on this actor object (after a grant changed within one request, or on a recheck)."""
    for name in ("_project_permissions", "_known_ops", "_perm_cache", "_user_perm_cache", "_group_perm_cache"):
        actor.__dict__.pop(name, None)


def may(actor: Any, codename: str, project: Any) -> bool:
    return codename in permissions_on(actor, project)


def require(actor: Any, codename: str, project: Any) -> None:
    """Raises NotFound when the actor may not even see the project, Denied when they may not do this."""
    held = permissions_on(actor, project)
    if "view_project" not in held:
        raise NotFound(S("There is nothing here, or you may not see it."))
    if codename not in held:
        role = weakest_role_with(codename)
        raise Denied(
            S(
                "This needs the role %(role)s on %(project)s, which you do not have.",
                role=role,
                project=str(project),
            ),
            rule=codename,
            granted_by=owners_of(project),
        )


def require_ops(actor: Any) -> None:
    if not is_ops(actor):
        raise Denied(S("Only ops may do this."), rule="ops", granted_by=["ops"])


def owners_of(project: Any) -> list[str]:
    """Who can grant rights on the project: its owners, else ops."""
    names = list(
        project.role_grants.filter(role=Role.OWNER, user__is_active=True).values_list("user__username", flat=True)[:5]
    )
    return names or ["ops"]


def people_who_may(codename: str, project: Any) -> QuerySet[Any]:
    """The active people whose role on the project lets them, by themselves or through a team; ops not counted."""
    own = get_user_obj_perms_model(project)._default_manager.filter(
        live(), content_object=project, permission__codename=codename
    )
    shared = get_group_obj_perms_model(project)._default_manager.filter(
        live(), content_object=project, permission__codename=codename
    )
    people: QuerySet[Any] = get_user_model()._default_manager.filter(
        Q(pk__in=own.values("user")) | Q(pk__in=_in_teams(shared.values("group"))), is_active=True
    )
    return people.order_by("username")


def ops_people() -> QuerySet[Any]:
    """Everybody from ops, superusers too."""
    named = Permission.objects.filter(codename="ops", content_type__app_label="permissions")
    users = get_user_model()._default_manager
    by_name = users.filter(user_permissions__in=named).values("pk")
    by_team = _in_teams(Group.objects.filter(permissions__in=named).values("pk"))
    people: QuerySet[Any] = users.filter(Q(is_superuser=True) | Q(pk__in=by_name) | Q(pk__in=by_team), is_active=True)
    return people.order_by("username")


def _in_teams(teams: Any) -> Any:
    return get_user_model()._default_manager.filter(groups__in=teams).values("pk")


def visible_projects(actor: Any, codename: str = "view_project") -> QuerySet[Any]:
    """The projects on which the actor holds `codename`, as a queryset (a subquery, not a list of ids)."""
    from_project = _project_model()._default_manager
    if is_ops(actor):
        return from_project.all()
    if actor is None or isinstance(actor, System) or not actor.is_active or actor.pk is None:
        return from_project.none()
    own = get_user_obj_perms_model(from_project.model)._default_manager.filter(live(), user=actor)
    shared = get_group_obj_perms_model(from_project.model)._default_manager.filter(live(), group__user=actor)
    held = [rows.filter(permission__codename=codename).values("content_object") for rows in (own, shared)]
    found: QuerySet[Any] = from_project.filter(Q(pk__in=held[0]) | Q(pk__in=held[1]))
    return found


def visible(actor: Any, rows: QuerySet[M]) -> QuerySet[M]:
    """Narrow a queryset of a model in PATH_TO_PROJECT to what the actor may see."""
    path = PATH_TO_PROJECT[rows.model._meta.label_lower]
    if is_ops(actor):
        return rows
    projects = visible_projects(actor)
    if not path:
        return rows.filter(pk__in=projects.values("pk"))
    return rows.filter(**{f"{path}__in": projects.values("pk")})


def fetch(actor: Any, rows: QuerySet[M], **lookup: Any) -> M:
    """The one row that the lookup names and the actor may see. Raises NotFound."""
    found = visible(actor, rows).filter(**lookup).first()
    if found is None:
        raise NotFound(S("There is nothing here, or you may not see it."))
    return found


def _project_model() -> Any:
    return apps.get_model("projects", "Project")
