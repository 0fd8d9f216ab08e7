"""Deciding about a deployment by page and API: the same rules, one click, and what everybody is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from clusters.actions import update_machine
from clusters.models import Machine
from deployments import actions, approvals
from deployments.models import Deployment, DeploymentApproval
from deployments.views.home import changing_now
from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import save_spec
from projects.models import Project
from tests import world
from tests.api.door import Door, refused, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def project(ann: User) -> Project:
    made = world.project(ann, "shop")
    save_spec(actor=SYSTEM, project=made, spec={"command": ["python3", "server.py"]})
    world.version(made)
    return made


@pytest.fixture
def machine(project: Project) -> Machine:
    return update_machine(actor=SYSTEM, machine=world.granted(project, "prod-bj", "production"), approval={"needed": 2})


@pytest.fixture
def waiting(project: Project, machine: Machine, ann: User) -> Deployment:
    return actions.start_deployment(actor=ann, project=project, machine=machine, action="deploy")


@pytest.fixture
def max_(project: Project) -> User:
    return world.member(project, "maintainer", "max")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: User, deployment: Deployment) -> str:
    return browser(user).get(f"/deployments/{deployment.pk}/").content.decode()


class TestPage:
    def test_whoever_is_asked_agrees_with_one_click(self, waiting: Deployment, max_: User) -> None:
        text = page(max_, waiting)
        assert "This is production" in text
        assert "data-approve" in text
        seen = re.search(r'name="sha256" value="(\w{64})"', text)
        assert seen is not None
        client = browser(max_)
        answer = client.post(f"/deployments/{waiting.pk}/approve/", {"sha256": seen[1], "note": "fine"})
        assert answer.status_code == 204
        assert answer["HX-Redirect"] == f"/deployments/{waiting.pk}/"
        row = DeploymentApproval.objects.get()
        assert (row.decided_by, row.note, row.seen_sha256) == (max_, "fine", waiting.asked_sha256)
        text = page(max_, waiting)
        assert "data-approve" not in text
        assert "1 of 2 approved" in text

    def test_whoever_asked_sees_whom_to_ask_and_may_cancel(self, waiting: Deployment, ann: User, max_: User) -> None:
        text = page(ann, waiting)
        assert "Waits for 2 approvals." in text
        assert "Ask:" in text
        assert "max" in text
        assert "You asked for it, so somebody else must decide." in text
        assert "data-approve" not in text
        assert f"/deployments/{waiting.pk}/cancel/" in text
        assert browser(ann).post(f"/deployments/{waiting.pk}/approve/").status_code == 403

    def test_who_may_not_decide_is_told_why(self, waiting: Deployment, project: Project) -> None:
        text = page(world.member(project, "developer"), waiting)
        assert "Deciding about this needs the role maintainer on shop." in text
        assert "data-approve" not in text

    def test_nobody_there_to_ask_is_said(self, project: Project, machine: Machine, ann: User) -> None:
        alone = actions.start_deployment(actor=ann, project=project, machine=machine, action="deploy")
        assert "Nobody else may approve this yet" in page(ann, alone)

    def test_a_no_is_shown_with_its_reason(self, waiting: Deployment, max_: User, ann: User) -> None:
        browser(max_).post(f"/deployments/{waiting.pk}/reject/", {"note": "<b>not today</b>"})
        text = page(ann, waiting)
        assert "&lt;b&gt;not today&lt;/b&gt;" in text
        assert "Waits for" not in text

    def test_the_link_asks_for_the_sign_in_first_and_comes_back(self, waiting: Deployment) -> None:
        answer = Client().get(f"/deployments/{waiting.pk}/")
        assert answer["Location"] == f"/sign-in/?next=/deployments/{waiting.pk}/"

    def test_a_stale_page_decides_nothing(self, waiting: Deployment, max_: User) -> None:
        answer = browser(max_).post(f"/deployments/{waiting.pk}/approve/", {"sha256": "0" * 64})
        assert answer.status_code == 409
        assert not DeploymentApproval.objects.exists()

    def test_the_panel_says_that_others_must_approve(self, project: Project, machine: Machine, ann: User) -> None:
        text = browser(ann).get("/projects/shop/change/?action=deploy&machine=prod-bj").content.decode()
        assert "Before it starts, others must approve: 2 with the role maintainer or higher." in text
        assert "It waits until others have approved it." in text


class TestHome:
    def test_it_needs_those_who_may_decide_until_they_have(
        self, waiting: Deployment, project: Project, ann: User, max_: User
    ) -> None:
        def needed(person: User) -> list[Deployment]:
            return list(changing_now(User.objects.get(pk=person.pk))["waiting"])

        olga = world.ops()
        assert needed(max_) == needed(olga) == [waiting]
        assert needed(ann) == needed(world.member(project, "developer")) == needed(world.person()) == []
        assert [one.pk for one in changing_now(ann)["deployments"]] == [waiting.pk], "for the others it is under way"
        approvals.approve_deployment(actor=max_, deployment=waiting)
        assert needed(max_) == []
        assert needed(olga) == [waiting]
        assert "ann asks for your approval" in browser(olga).get("/").content.decode()
        assert "asks for your approval" not in browser(max_).get("/").content.decode()

    def test_ops_alone_where_the_machine_says_so(self, waiting: Deployment, machine: Machine, max_: User) -> None:
        update_machine(actor=SYSTEM, machine=machine, approval={"role": "ops"})
        assert changing_now(User.objects.get(pk=max_.pk))["waiting"] == []
        assert changing_now(world.ops())["waiting"] == [waiting]


class TestApi:
    def test_agree_and_refuse(self, waiting: Deployment, max_: User, project: Project) -> None:
        known = told(Door(max_).get(f"deployments/{waiting.pk}/"))
        assert known["state"] == "awaiting_approval"
        assert {name: known["approval"][name] for name in ("needed", "role", "decisions")} == {
            "needed": 2, "role": "maintainer", "decisions": [],
        }  # fmt: skip
        body = {"note": "fine", "sha256": known["approval"]["sha256"]}
        answer = told(Door(max_).post(f"deployments/{waiting.pk}/approve/", body), 202)
        assert [(one["by"], one["verdict"], one["note"]) for one in answer["approval"]["decisions"]] == [
            ("max", "approved", "fine")
        ]
        refused(Door(max_).post(f"deployments/{waiting.pk}/reject/"), 409, "decided")
        other = Door(world.member(project, "owner"))
        refused(other.post(f"deployments/{waiting.pk}/approve/", {"sha256": "1" * 64}), 409, "changed_meanwhile")
        told(other.post(f"deployments/{waiting.pk}/reject/", {"note": "no"}), 202)
        listed = told(other.get("deployments/?state=awaiting_approval"))["results"]
        assert len(listed[0]["approval"]["decisions"]) == 2

    def test_ones_own_is_403_and_a_strangers_404(self, waiting: Deployment, ann: User, max_: User) -> None:
        problem = refused(Door(ann).post(f"deployments/{waiting.pk}/approve/"), 403)
        assert problem["rule"] == "nobody_approves_their_own"
        assert problem["granted_by"] == ["max"]
        refused(Door(world.person()).post(f"deployments/{waiting.pk}/approve/"), 404)

    def test_nobody_is_made_the_decider_by_the_body(self, waiting: Deployment, max_: User, ann: User) -> None:
        body = {"decided_by": ann.pk, "verdict": "rejected", "asked_sha256": "x", "note": "fine"}
        told(Door(max_).post(f"deployments/{waiting.pk}/approve/", body), 202)
        row = DeploymentApproval.objects.get()
        assert (row.decided_by, row.verdict, row.asked_sha256) == (max_, "approved", waiting.asked_sha256)

    def test_what_needs_no_approval_says_so(self, project: Project, ann: User) -> None:
        plain = world.granted(project, "test-a")
        deployment = actions.start_deployment(actor=ann, project=project, machine=plain, action="deploy")
        assert told(Door(ann).get(f"deployments/{deployment.pk}/"))["approval"] is None
        refused(Door(world.ops()).post(f"deployments/{deployment.pk}/approve/"), 409, "illegal_move")

    def test_the_list_asks_once_for_all_decisions(
        self, waiting: Deployment, project: Project, ann: User, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(4):
            other = world.granted(project, f"prod-{number}", "production")
            update_machine(actor=SYSTEM, machine=other, approval={"needed": 1})
            actions.start_deployment(actor=ann, project=project, machine=other, action="deploy")
        door = Door(world.ops("otto"))
        door.get("deployments/")
        with django_assert_max_num_queries(8):
            assert len(told(door.get("deployments/"))["results"]) == 5
