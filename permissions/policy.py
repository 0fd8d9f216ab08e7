"""The one place that answers who may see and do what.

`fetch` is the authorised way to a row: what one may not see is NotFound. `require` refuses what one may see but not
do, with the rule, who can grant it and where to ask. Ops and superusers pass everywhere; SYSTEM too.
List and detail ask the same question: `visible` narrows a list by the same rows that `may` reads (guardian's own
shortcuts count global permissions in one of them and not in the other, and know no expiry).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.auth.models import Permission
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from fangduoduo_release.common.actor import System
from fangduoduo_release.common.errors import Denied, NotFound
from fangduoduo_release.common.sentence import S
from permissions import scopes
from permissions.models import User
from permissions.roles import PERMISSIONS_OF, Role, weakest_role_with

M = TypeVar("M", bound=Model)
REQUEST_PAGE = "/requests/new/"

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
    "projects.specrevision": "project",
}


def is_ops(actor: Any) -> bool:
    """Whether the actor may act as ops: is from ops, and came with no token that leaves it out."""
    return _from_ops(actor) and scopes.lets(actor, scopes.Scope.OPS)


def _from_ops(actor: Any) -> bool:
    """Whether the actor's person is from ops, whatever their token lets through."""
    return bool(actor is not None and actor.is_active and actor.is_ops)


def permissions_on(actor: Any, project: Any) -> frozenset[str]:
    """The permission codenames the actor may use on the project: what the person holds, within the token's scopes."""
    return scopes.limited(actor, _permissions_of_person(actor, project))


def _permissions_of_person(actor: Any, project: Any) -> frozenset[str]:
    """All the person holds on the project; one query per project, remembered on the actor."""
    if actor is None:
        raise TypeError("a permission is asked for a user or SYSTEM")
    if _from_ops(actor):
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


def permissions_on_all(actor: Any, projects: Iterable[Any]) -> dict[int, frozenset[str]]:
    """What the actor holds on each of these projects, by project id: one query for all of them that were not asked for
    yet. A page that shows buttons in a list asks this once; every `may` after it is answered from memory."""
    chosen = list(projects)
    known: dict[int, frozenset[str]] = actor.__dict__.setdefault("_project_permissions", {})
    asked = [] if _from_ops(actor) or not actor.is_active else [p for p in chosen if p.pk not in known]
    if asked:
        keys = [project.pk for project in asked]
        found: dict[int, set[str]] = {key: set() for key in keys}
        own = get_user_obj_perms_model(asked[0])._default_manager.filter(live(), content_object__in=keys, user=actor)
        shared = get_group_obj_perms_model(asked[0])._default_manager.filter(
            live(), content_object__in=keys, group__user=actor
        )
        rows = [part.order_by().values_list("content_object_id", "permission__codename") for part in (own, shared)]
        for key, codename in rows[0].union(rows[1]):
            found[key].add(codename)
        known.update({key: frozenset(names) for key, names in found.items()})
    return {project.pk: permissions_on(actor, project) for project in chosen}


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
        if codename in _permissions_of_person(actor, project):
            raise _beyond_scope(actor, scopes.needed_for(codename))
        role = weakest_role_with(codename)
        raise Denied(
            S(
                "This needs the role %(role)s on %(project)s, which you do not have.",
                role=role,
                project=str(project),
            ),
            rule=codename,
            granted_by=owners_of(project),
            request_url=request_url(project, role),
        )


def _beyond_scope(actor: Any, scope: str) -> Denied:
    return Denied(
        S("You may do this, but this token may not: it lacks the scope “%(scope)s”.", scope=str(scope)),
        rule="scope",
        granted_by=[actor.username],
    )


def require_scope(actor: Any, scope: str) -> None:
    """For writes that belong to no project: raises Denied when the actor's token leaves them out."""
    if not scopes.lets(actor, scope):
        raise _beyond_scope(actor, scope)


def require_ops(actor: Any) -> None:
    if _from_ops(actor):
        require_scope(actor, scopes.Scope.OPS)
    else:
        raise Denied(S("Only ops may do this."), rule="ops", granted_by=["ops"])


def request_url(project: Any, role: str = "", *, machine: str | None = None) -> str:
    """Where one asks for what was refused: the form, filled in. A path and no reversed name, because engines refuse
    too, and have no use for the addresses of all pages in their memory. `machine=""`: for one yet to be chosen."""
    wish = {"kind": "role", "role": role} if machine is None else {"kind": "machine", "machine": machine}
    return f"{REQUEST_PAGE}?{urlencode({'project': str(project), **wish})}"


def owners(project: Any) -> QuerySet[User]:
    """The active people who own the project now, themselves or through a team; not for an emergency only."""
    grants = project.role_grants.filter(live(), role=Role.OWNER, emergency=False)
    in_team = User.groups.through._default_manager.filter(group__in=grants.values("team"))
    return User.objects.filter(
        Q(pk__in=grants.values("user")) | Q(pk__in=in_team.values("user_id")), is_active=True
    ).order_by("pk")


def owners_of(project: Any) -> list[str]:
    """Who can grant rights on the project: its owners, else ops."""
    return list(owners(project).values_list("username", flat=True)[:5]) or ["ops"]


def ops_people() -> QuerySet[User]:
    """Everybody who is ops."""
    named = Permission.objects.filter(codename="ops", content_type__app_label="permissions")
    in_team = User.groups.through._default_manager.filter(group__permissions__in=named)
    return (
        User.objects.filter(
            Q(is_superuser=True) | Q(user_permissions__in=named) | Q(pk__in=in_team.values("user_id")), is_active=True
        )
        .distinct()
        .order_by("username")
    )


def roles_of(user: Any) -> QuerySet[Any]:
    """The role grants that count for a person now: their own, and those of their teams."""
    rows: QuerySet[Any] = apps.get_model("projects", "RoleGrant")._default_manager.all()
    teams = User.groups.through._default_manager.filter(user=user)
    return rows.filter(Q(user=user) | Q(team__in=teams.values("group_id")), live())


def people_who_may(codename: str, project: Any) -> QuerySet[User]:
    """The active people whose role on the project lets them, by themselves or through a team; ops not counted."""
    own = get_user_obj_perms_model(project)._default_manager.filter(
        live(), content_object=project, permission__codename=codename
    )
    shared = get_group_obj_perms_model(project)._default_manager.filter(
        live(), content_object=project, permission__codename=codename
    )
    in_team = User.groups.through._default_manager.filter(group__in=shared.values("group"))
    return User.objects.filter(
        Q(pk__in=own.values("user")) | Q(pk__in=in_team.values("user_id")), is_active=True
    ).order_by("username")


def visible_projects(actor: Any, codename: str = "view_project") -> QuerySet[Any]:
    """The projects on which the actor holds `codename`, as a queryset (a subquery, not a list of ids)."""
    from_project = _project_model()._default_manager
    if codename not in scopes.limited(actor, frozenset({codename})):
        return from_project.none()
    if _from_ops(actor):
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
    if _from_ops(actor) and not scopes.carried(actor):
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
