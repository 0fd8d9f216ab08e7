"""Creating, changing and sharing projects: the rule, the row, the audit line."""

from __future__ import annotations

import pytest

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound
from permissions import policy
from permissions.models import User
from projects import actions, specs
from projects.models import BranchTip, Project
from projects.sources import source_of
from tests import world

pytestmark = pytest.mark.django_db


def test_a_new_project_has_a_repository_with_a_first_commit() -> None:
    project = world.project(starter="python-http")
    source, repository = source_of(project)
    assert source.exists(repository)
    assert source.resolve(repository, "main").subject
    assert BranchTip.objects.get(project=project).ref == "refs/heads/main"


def test_its_creator_is_its_owner_and_nobody_else_sees_it() -> None:
    ann, ben = world.person("ann"), world.person("ben")
    project = world.project(ann)
    assert policy.may(ann, "own_project", project)
    assert policy.fetch(ann, Project.objects.all(), slug=project.slug) == project
    with pytest.raises(NotFound):
        policy.fetch(ben, Project.objects.all(), slug=project.slug)
    assert list(policy.visible(ben, Project.objects.all())) == []


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "A",
        "1a",
        "-a",
        "a-",
        "a_b",
        "a/b",
        "../a",
        "a" * 51,
        "a b",
        "ä",
        "a\x00",
        "a\n",
        "new",
        "git",
        "admin",
        "a.git",
    ],
)
def test_a_bad_slug_is_one_sentence_and_leaves_nothing(slug: str) -> None:
    ann = world.person()
    with pytest.raises(Invalid) as refused:
        actions.create_project(actor=ann, slug=slug)
    assert "slug" in refused.value.fields
    assert not Project.objects.exists()
    assert not AuditEntry.objects.filter(verb="project.create").exists()


def test_a_taken_slug_is_a_conflict_and_the_first_project_stays() -> None:
    first = world.project(slug="shop")
    with pytest.raises(Conflict, match="already"):
        actions.create_project(actor=world.person(), slug="shop")
    source, repository = source_of(first)
    assert source.exists(repository)


def test_an_unknown_starter_is_refused() -> None:
    with pytest.raises(Invalid, match="starter"):
        actions.create_project(actor=world.person(), slug="shop", starter="../../etc")


def test_an_inactive_person_creates_nothing() -> None:
    with pytest.raises(Denied):
        actions.create_project(actor=world.person(is_active=False), slug="shop")


def test_a_repository_on_a_forbidden_address_is_refused() -> None:
    for address in ("file:///etc", "ext::sh -c true", "http://169.254.169.254/x.git", "/etc", "-oProxyCommand=x"):
        with pytest.raises(Invalid):
            actions.create_project(actor=world.person(), slug="bound", repository=address)
    assert not Project.objects.exists()


def test_none_is_no_actor() -> None:
    with pytest.raises((TypeError, AttributeError)):
        actions.create_project(actor=None, slug="shop")


def test_changes_are_audited_with_before_and_after() -> None:
    project = world.project()
    actions.update_project(actor=SYSTEM, project=project, name="Shop")
    entry = AuditEntry.objects.get(verb="project.update")
    assert (entry.before, entry.after) == ({"name": project.slug}, {"name": "Shop"})


def test_a_developer_may_not_change_the_project() -> None:
    project = world.project()
    developer = world.member(project, "developer")
    with pytest.raises(Denied) as refused:
        actions.update_project(actor=developer, project=project, name="x")
    assert refused.value.rule == "change_project"
    assert refused.value.granted_by == [project.created_by.username]


def test_only_named_fields_can_be_changed() -> None:
    with pytest.raises(Invalid):
        actions.update_project(actor=SYSTEM, project=world.project(), slug="other")


def test_a_spec_is_validated_and_numbered_and_its_secrets_stay_closed() -> None:
    project = world.project()
    spec = {"command": ["./run"], "secrets": {"TOKEN": "s3cret"}}
    first = actions.save_spec(actor=SYSTEM, project=project, spec=spec)
    again = actions.save_spec(actor=SYSTEM, project=project, spec={"command": ["./run"]})
    assert again.number == first.number, "the same content is the same revision"
    assert first.secrets == {"TOKEN": "s3cret"}
    assert "s3cret" not in str(first.spec)
    entry = AuditEntry.objects.filter(verb="project.spec").latest("id")
    assert entry.after["secrets"] == {"TOKEN": "••••"}
    assert "s3cret" not in str(entry.after)
    changed = actions.save_spec(actor=SYSTEM, project=project, spec={"command": ["./run"], "secrets": {"TOKEN": None}})
    assert changed.number == first.number + 1
    assert changed.secrets == {}


def test_secrets_are_encrypted_in_the_table() -> None:
    from django.db import connection

    project = world.project()
    actions.save_spec(actor=SYSTEM, project=project, spec={"command": ["x"], "secrets": {"TOKEN": "plain-as-day"}})
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM projects_specrevision")
        assert all("plain-as-day" not in row[0] for row in cursor.fetchall())


@pytest.mark.parametrize(
    "spec",
    [
        {"command": []},
        {"command": "x"},
        {"command": ["x"], "replicas": -1},
        {"command": ["x"], "port": 99999},
        {"command": ["x"], "nope": 1},
    ],
)
def test_a_bad_spec_is_refused_with_its_field(spec: dict[str, object]) -> None:
    project = world.project()
    before = specs.latest(project)
    with pytest.raises(Invalid) as refused:
        actions.save_spec(actor=SYSTEM, project=project, spec=spec)
    assert refused.value.fields
    assert specs.latest(project) == before


def test_an_image_says_itself_what_it_starts_so_a_spec_may_do_without_a_command() -> None:
    project = world.project()
    actions.save_spec(actor=SYSTEM, project=project, spec={"port": 80})
    saved = specs.latest(project)
    assert saved is not None
    assert (specs.service_spec(saved).command, specs.service_spec(saved).port) == ((), 80)


def test_roles_replace_each_other_and_the_last_owner_stays() -> None:
    project = world.project()
    ann = world.member(project, "maintainer")
    assert policy.may(ann, "deploy_project", project)
    actions.set_member(actor=SYSTEM, project=project, user=ann, role="viewer")
    ann = User.objects.get(pk=ann.pk)
    assert policy.permissions_on(ann, project) == {"view_project"}
    actions.set_member(actor=SYSTEM, project=project, user=ann, role=None)
    assert policy.permissions_on(User.objects.get(pk=ann.pk), project) == frozenset()
    with pytest.raises(Conflict, match="owner"):
        actions.set_member(actor=SYSTEM, project=project, user=project.created_by, role="viewer")


def test_machines_are_granted_by_ops_alone() -> None:
    project, machine = world.project(), world.machine()
    with pytest.raises(Denied):
        actions.grant_machine(actor=project.created_by, project=project, machine=machine)
    actions.grant_machine(actor=world.ops(), project=project, machine=machine)
    assert project.machine_grants.get().machine == machine
