"""What people do to projects: one function a verb; every door calls these and nothing else writes these rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from clusters.models import Machine
from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import name_of, user_or_none
from fangduoduo_release.common.errors import AppError, Conflict, Denied, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.models import User
from permissions.roles import Role
from projects import grants, repositories, specs
from projects.connections import require_use
from projects.drivers.source.base import NewRepository
from projects.models import SLUG, MachineGrant, Project, SpecRevision
from projects.sources import HERE, source_of_kind

logger = logging.getLogger(__name__)
RESERVED_SLUGS = frozenset({"new", "api", "git", "admin", "static", "hooks", "ws"})
MAX_REASON = 300


def create_project(
    *,
    actor: Any,
    slug: str,
    name: str = "",
    description: str = "",
    starter: str = "",
    repository: str = "",
    connection: Connection | None = None,
    source_kind: str = "git",
    create: bool = False,
    wishes: NewRepository | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Project:
    """Create a project and its repository (from a starter), or bind an existing repository by address or, on the server of
    a connection, by name. `create`: make the repository of that name on the server, as `wishes` say.

    Raises Denied, Invalid (slug, starter, address, spec), Conflict (slug taken, repository exists), NotFound, Unavailable
    or Rejected (the repository's server).
    """
    if not actor.is_active:
        raise Denied(S("Your account is not active."), rule="active_account", granted_by=["ops"])
    policy.require_scope(actor, "manage")
    _check_slug(slug)
    source = source_of_kind(source_kind, connection)
    create = create and source_kind != HERE
    if connection is not None:
        require_use(actor, connection, repository.strip(), create=create)
    if starter and starter not in {s.name for s in source.starters()}:
        raise Invalid(S("There is no starter called “%(name)s”.", name=starter), fields={"starter": []})
    project = Project(
        slug=slug,
        name=name.strip() or slug,
        description=description.strip(),
        source_kind=source_kind,
        source_connection=connection,
        repository=repository.strip(),
        created_by=user_or_none(actor),
        polled_at=timezone.now(),  # its tips are compared when it is whole
    )
    if source_kind != HERE and not project.repository:
        sentence = S("Name the repository on the server.")
        raise Invalid(sentence, code="no_repository_name", fields={"repository": [sentence]})
    if project.repository and not create:
        repositories.adopt(project)
    try:
        with transaction.atomic():
            project.save()
            if user_or_none(actor) is not None:
                grants.set_role(project, actor, Role.OWNER, granted_by=name_of(actor), reason="created the project")
            specs.store(actor, project, spec or specs.starter_spec(starter))
            told = {"name": project.name, "repository": project.repository}
            trail.record(actor, "project.create", project, after={**told, "made": create} if create else told)
    except IntegrityError as error:
        raise Conflict(S("There is already a project called “%(slug)s”.", slug=slug), code="slug_taken") from error
    if create or project.is_embedded:
        repositories.make(project, actor, starter or ("" if create else "blank"), wishes)
    repositories.remember_tips(project)
    return project


def _check_slug(slug: str) -> None:
    try:
        SLUG(slug)
    except ValidationError as error:
        sentence = S(str(SLUG.message))
        raise Invalid(sentence, code="bad_slug", fields={"slug": [sentence]}) from error
    if slug in RESERVED_SLUGS:
        sentence = S("“%(slug)s” is a word of the portal; choose another.", slug=slug)
        raise Invalid(sentence, code="bad_slug", fields={"slug": [sentence]})


def update_project(*, actor: Any, project: Project, **changes: Any) -> Project:
    """Change name, description, default branch, where the pipeline is kept, or archive. Raises Denied, Invalid."""
    policy.require(actor, "change_project", project)
    allowed = {"name", "description", "default_branch", "pipeline_origin", "archived"}
    unknown = set(changes) - allowed
    if unknown:
        raise Invalid(S("“%(field)s” cannot be changed.", field=sorted(unknown)[0]))
    before = {field: getattr(project, field) for field in changes}
    for field, value in changes.items():
        setattr(project, field, value)
    try:
        project.full_clean(exclude=["slug", "source_connection", "builder_connection", "created_by"])
    except ValidationError as error:
        fields = {name: [S(str(m)) for m in texts] for name, texts in error.message_dict.items()}
        raise Invalid(next(iter(fields.values()))[0], fields=fields) from error
    with transaction.atomic():
        project.save(update_fields=list(changes))
        trail.record(actor, "project.update", project, before=before, after=dict(changes))
    return project


def rebind_repository(*, actor: Any, project: Project, repository: str) -> Project:
    """Bind the project to its repository's new name or address. Where it goes on from the history we know, what was pushed
    meanwhile is found by the next comparison; another repository's tips are taken as they are.

    Raises Denied, Invalid, NotFound, Unavailable, Rejected.
    """
    policy.require(actor, "change_project", project)
    repositories.require_bound(project)
    name, before = repository.strip(), project.repository
    if not name or len(name) > 500:
        sentence = S("Name the repository on the server.")
        raise Invalid(sentence, code="no_repository_name", fields={"repository": [sentence]})
    if project.source_connection is not None:
        require_use(actor, project.source_connection, name)
    project.repository = name
    default = project.default_branch
    try:
        repositories.adopt(project)
        same = repositories.continues(project)
    except AppError:
        project.repository, project.default_branch = before, default
        raise
    if same:
        project.default_branch = default
    with transaction.atomic():
        project.source_error = None
        if not same:
            project.tips_taken_at = None  # else, until they are taken, every branch there would count as pushed
            project.tips.all().delete()
        project.save(update_fields=["repository", "default_branch", "source_error", "tips_taken_at"])
        trail.record(actor, "project.rebind", project, before={"repository": before}, after={"repository": name})
    if not same:
        repositories.remember_tips(project)
    return project


def save_spec(*, actor: Any, project: Project, spec: Mapping[str, Any]) -> SpecRevision:
    """Keep a new revision of the spec; the next deployment pins it. Raises Denied, Invalid."""
    policy.require(actor, "change_project", project)
    with transaction.atomic():
        before = specs.latest(project)
        revision = specs.store(actor, project, spec)
        if before is None or revision.pk != before.pk:
            trail.record(
                actor,
                "project.spec",
                project,
                before=_spec_facts(before) if before else None,
                after=_spec_facts(revision),
            )
    return revision


def _spec_facts(revision: SpecRevision) -> dict[str, Any]:
    return {"number": revision.number, **revision.spec, "secrets": revision.secrets or {}}


def grant_machine(
    *, actor: Any, project: Project, machine: Machine, reason: str = "", until: Any = None
) -> MachineGrant:
    """Let the project use the machine. Ops only. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        grant = grants.give_machine(
            project, machine, granted_by=name_of(actor), reason=reason[:MAX_REASON], until=until
        )
        trail.record(actor, "machine.grant", grant, after={"machine": machine.name, "until": until, "reason": reason})
    return grant


def revoke_machine(*, actor: Any, project: Project, machine: Machine) -> None:
    """Take the machine away; what runs there goes on until somebody removes it. Ops only. Raises Denied."""
    policy.require_ops(actor)
    with transaction.atomic():
        for grant in MachineGrant.objects.filter(project=project, machine=machine):
            gone = trail.named(grant)
            grant.delete()
            trail.record(actor, "machine.revoke", gone, before={"machine": machine.name})


def set_member(
    *,
    actor: Any,
    project: Project,
    role: str | None,
    user: User | None = None,
    team: Group | None = None,
    reason: str = "",
    until: datetime | None = None,
) -> None:
    """Give a person or a team a role on the project (until some day), or take it away with None. Owners and ops.
    Raises Denied, Conflict, Invalid."""
    policy.require(actor, "own_project", project)
    holder: User | Group | None = user or team
    if holder is None or (user and team):
        raise Invalid(S("A role is given to a person or to a team."), fields={"user": []})
    if role is not None and role not in Role.values:
        raise Invalid(S("There is no role “%(role)s”.", role=role), fields={"role": []})
    if until is not None and until <= timezone.now():
        raise Invalid(S("This end lies in the past."), fields={"until": []})
    if role is not None:
        _refuse_own_prolongation(actor, project, holder, until)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # two owners leaving at once: one of them stays
        before = grants.described(grants.held_by(project, holder))
        last = grants.is_owned(project) and not grants.is_owned(project, without=holder)
        if role != Role.OWNER and last:
            raise Conflict(S("A project keeps at least one owner; make somebody else owner first."), code="last_owner")
        grants.set_role(project, holder, role, granted_by=name_of(actor), reason=reason[:MAX_REASON], until=until)
        after = grants.described(grants.held_by(project, holder))
        told = {"holder": str(holder), "role": role, "roles": after}
        trail.record(actor, "member.set", project, before={"roles": before}, after=told)


def _refuse_own_prolongation(actor: Any, project: Project, holder: User | Group, until: datetime | None) -> None:
    """Whoever is owner for a time cannot make it longer by giving themselves, or a team of theirs, a role."""
    theirs = holder == actor if isinstance(holder, User) else holder.user_set.filter(pk=actor.pk).exists()
    if not theirs or policy.is_ops(actor):
        return
    ends = policy.roles_of(actor).filter(project=project, role=Role.OWNER).values_list("until", flat=True)
    if None in ends or (until is not None and any(end >= until for end in ends if end)):
        return
    raise Denied(
        S("Your own role ends before that; nobody prolongs their own. Ask for it."),
        rule="not_your_own",
        granted_by=policy.owners_of(project),
        request_url=policy.request_url(project, Role.OWNER),
    )
