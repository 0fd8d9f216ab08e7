"""A token's scopes limit it at every door and never give anything; the refusal names the scope."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, Invalid, NotFound
from permissions import policy, scopes
from permissions.actions import create_token, revoke_token
from permissions.models import ApiToken, User
from permissions.roles import PERMISSIONS_OF, PROJECT_PERMISSIONS, Role
from permissions.scopes import ALLOWS, Scope
from permissions.tokens import user_of_basic, user_of_bearer, user_of_header
from projects.actions import create_project
from projects.git_access import _authorize
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db
OWNER = frozenset(PERMISSIONS_OF[Role.OWNER])


@pytest.fixture
def owner() -> User:
    return world.person("ann")


@pytest.fixture
def project(owner: User) -> Project:
    return world.project(owner, "shop")


def with_token(user: User, *names: str) -> User:
    """The actor as a door finds them by a token of these scopes."""
    found = user_of_bearer(f"Bearer {ApiToken.make(user, 'test', scopes=names)[1]}")
    assert found is not None
    return found


def api(user: User, *names: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {ApiToken.make(user, 'test', scopes=names)[1]}"})


def test_every_scope_lets_one_look_and_nothing_is_named_that_does_not_exist() -> None:
    known = {codename for codename, _label in PROJECT_PERMISSIONS}
    assert set(ALLOWS) == set(Scope.values)
    for scope, allowed in ALLOWS.items():
        assert "view_project" in allowed, scope
        assert allowed <= known
    assert frozenset().union(*ALLOWS.values()) == known


@pytest.mark.parametrize("names", [(), *((scope,) for scope in Scope.values), ("read", "build"), ("build", "deploy")])
def test_an_owner_may_what_the_scopes_let_through(owner: User, project: Project, names: tuple[str, ...]) -> None:
    expected = OWNER if not names else OWNER & frozenset().union(*(ALLOWS[name] for name in names))
    assert policy.permissions_on(with_token(owner, *names), project) == expected


@pytest.mark.parametrize("scope", Scope.values)
def test_a_scope_gives_nothing(project: Project, scope: str) -> None:
    assert policy.permissions_on(with_token(world.person("zoe"), scope), project) == frozenset()
    viewer = world.member(project, "viewer")
    assert policy.permissions_on(with_token(viewer, scope), project) == {"view_project"}
    with pytest.raises(Denied) as refused:
        policy.require(with_token(viewer, scope), "build_project", project)
    assert refused.value.rule == "build_project", "the role is what is missing, not the scope"


def test_what_the_person_may_but_the_token_may_not_is_refused_by_the_scopes_name(owner: User, project: Project) -> None:
    with pytest.raises(Denied) as refused:
        policy.require(with_token(owner, "read"), "build_project", project)
    assert refused.value.rule == "scope"
    assert refused.value.granted_by == ["ann"]
    assert "“build”" in str(refused.value.sentence)


def test_an_unknown_scope_in_a_row_lets_nothing_through(owner: User, project: Project) -> None:
    actor = with_token(owner, "from-the-future")
    assert policy.permissions_on(actor, project) == frozenset()
    assert not policy.visible_projects(actor).exists()
    with pytest.raises(NotFound):
        policy.fetch(actor, Project.objects.all(), slug="shop")


def test_list_and_detail_agree_for_every_scope(owner: User, project: Project) -> None:
    world.project(world.person(), "other")
    for person in (owner, world.ops(), world.person("zoe")):
        for names in ((), ("read",), ("ops",), ("manage", "build"), ("nonsense",)):
            actor = with_token(person, *names)
            listed = set(policy.visible(actor, Project.objects.all()))
            assert listed == {one for one in Project.objects.all() if policy.may(actor, "view_project", one)}
            for codename in OWNER:
                held = {one for one in Project.objects.all() if policy.may(actor, codename, one)}
                assert set(policy.visible_projects(actor, codename)) == held, (person, names, codename)


@pytest.mark.parametrize("names", [("read",), ("build", "deploy"), ("manage",)])
def test_ops_without_the_scope_ops_see_all_and_do_nothing_as_ops(project: Project, names: tuple[str, ...]) -> None:
    actor = with_token(world.ops(), *names)
    assert policy.may(actor, "view_project", project)
    assert not policy.is_ops(actor)
    with pytest.raises(Denied) as refused:
        policy.require_ops(actor)
    assert refused.value.rule == "scope"


def test_the_scope_ops_makes_nobody_ops(owner: User) -> None:
    with pytest.raises(Denied) as refused:
        policy.require_ops(with_token(owner, "ops"))
    assert refused.value.rule == "ops"
    assert policy.is_ops(with_token(world.ops(), "ops"))
    policy.require_ops(SYSTEM)


@pytest.mark.parametrize(
    ("names", "status"), [((), 201), (("manage",), 201), (("read",), 403), (("ops", "build"), 403)]
)
def test_a_new_project_needs_the_scope_manage(owner: User, names: tuple[str, ...], status: int) -> None:
    answer = api(owner, *names).post("/api/projects/", {"slug": "fresh"}, content_type="application/json")
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["rule"] == "scope"
        assert not Project.objects.filter(slug="fresh").exists()


CALLS = [
    ("get", "/api/projects/shop/", None, {"read", "build", "deploy", "manage", "ops"}),
    ("post", "/api/projects/shop/builds/", {"ref": "main"}, {"build", "ops"}),
    ("patch", "/api/projects/shop/", {"name": "Other"}, {"manage", "ops"}),
    ("post", "/api/projects/shop/members/", {"user": "zoe", "role": "viewer"}, {"manage", "ops"}),
    ("put", "/api/projects/shop/pipeline/", {"text": "pipeline { agent any\n stages { stage('a') { steps { echo 'hi' } } } }"}, {"manage", "ops"}),
]  # fmt: skip


@pytest.mark.parametrize("scope", Scope.values)
def test_the_api_keeps_to_the_scopes(owner: User, project: Project, scope: str) -> None:
    world.person("zoe")
    for method, path, body, needs in CALLS:
        answer = getattr(api(owner, scope), method)(path, body, content_type="application/json")
        assert (answer.status_code < 300) == (scope in needs), (method, path, answer.content)
        if scope not in needs:
            assert (answer.status_code, answer.json()["rule"]) == (403, "scope")


@pytest.mark.parametrize("door", ["basic", "bearer"])
@pytest.mark.parametrize(("scope", "pushes"), [("read", False), ("build", True), ("deploy", False), ("manage", False)])
def test_git_keeps_to_the_scopes_by_either_header(
    owner: User, project: Project, scope: str, pushes: bool, door: str
) -> None:
    text = ApiToken.make(owner, "git", scopes=[scope])[1]
    basic = "Basic " + base64.b64encode(f"ann:{text}".encode()).decode()
    actor = user_of_header(basic if door == "basic" else f"Bearer {text}")
    assert actor is not None
    assert _authorize(actor, "shop", "fetch").is_dir()
    if pushes:
        assert _authorize(actor, "shop", "push").is_dir()
    else:
        with pytest.raises(Denied) as refused:
            _authorize(actor, "shop", "push")
        assert refused.value.rule == "scope"


def test_the_persons_own_object_is_not_limited_by_a_token_of_theirs(owner: User, project: Project) -> None:
    with_token(owner, "read")
    assert user_of_basic("Basic !") is None
    assert policy.permissions_on(User.objects.get(pk=owner.pk), project) == OWNER
    assert scopes.carried(owner) == frozenset()


def make(actor: User, names: Iterable[str] = (), **more: Any) -> ApiToken:
    return create_token(actor=actor, name="n", scopes=names, **more)[0]


def test_a_token_is_made_with_scopes_and_by_whom(owner: User) -> None:
    token = make(owner, ["deploy", "build"])
    assert token.scopes == ["build", "deploy"]
    assert token.made_by == "ann"
    with pytest.raises(Invalid):
        make(owner, ["everything"])


def test_a_token_makes_and_revokes_tokens_only_with_manage_and_none_stronger_than_itself(owner: User) -> None:
    mine = make(owner)
    for names in (("read",), ("build", "deploy", "ops")):
        with pytest.raises(Denied) as refused:
            make(with_token(owner, *names))
        assert refused.value.rule == "scope"
        with pytest.raises(Denied):
            revoke_token(actor=with_token(owner, *names), token=mine)
    manager = with_token(owner, "manage", "build")
    assert make(manager, ["build"]).scopes == ["build"]
    for wider in ((), ("deploy",), ("build", "ops")):
        with pytest.raises(Denied):
            make(manager, wider)


def test_the_form_offers_everything_or_what_is_chosen(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    page = client.get("/me/tokens/").content.decode()
    assert all(f'value="{scope}"' in page for scope in Scope.values)
    client.post("/me/tokens/", {"name": "all", "reach": "all", "scopes": ["read"], "days": "never"})
    client.post("/me/tokens/", {"name": "some", "reach": "chosen", "scopes": ["read", "build"], "days": "7"})
    assert ApiToken.objects.get(name="all").scopes == []
    assert ApiToken.objects.get(name="all").expires_at is None
    assert ApiToken.objects.get(name="some").scopes == ["build", "read"]
    answer = client.post("/me/tokens/", {"name": "none", "reach": "chosen"})
    assert answer.status_code == 422
    assert "Choose at least one scope." in answer.content.decode()
    assert 'value="none"' in answer.content.decode(), "what was typed is still there"
    assert not ApiToken.objects.filter(name="none").exists()


def test_a_project_made_by_an_action_asks_for_the_scope_too(owner: User) -> None:
    with pytest.raises(Denied):
        create_project(actor=with_token(owner, "build"), slug="fresh", starter="blank")
