"""The board of a project says which machines were asked for and wait: nobody asks twice, nobody wonders."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clusters.models import Machine
from deployments.models import Service
from permissions.models import User
from projects import decisions, requests
from projects.models import AccessRequest, Project
from projects.pages import fetch_project, machines_asked
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db


def board(reader: User, project: Project, part: str = "") -> str:
    client = Client()
    client.force_login(reader)
    answer = client.get(reverse("project", args=[project.slug]), {"part": part} if part else {})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("part", ["", "live"])
def test_a_project_without_machines_says_what_was_asked_for(
    dev: User, project: Project, test_a: Machine, ask: Ask, part: str
) -> None:
    assert "Ask for a machine" in board(dev, project, part)
    asked = ask(dev, machine=test_a)
    page = board(dev, project, part)
    assert "dev asked for the machine test-a; nobody has decided yet." in page
    assert reverse("request", args=[asked.pk]) in page
    assert "As soon as the machine is granted" in page
    assert "Ask for a machine" not in page


def test_one_beside_those_it_has_is_named_too(dev: User, project: Project, test_a: Machine, ask: Ask) -> None:
    world.granted(project, "test-b", "test")
    ask(dev, machine=test_a)
    page = board(dev, project)
    assert 'data-asked="test-a"' in page
    assert 'id="m-test-b"' in page


def test_who_sees_the_project_sees_that_it_waits(
    ann: User, dev: User, project: Project, test_a: Machine, ask: Ask
) -> None:
    ask(dev, machine=test_a)
    assert 'data-asked="test-a"' in board(ann, project)
    assert 'data-asked="test-a"' in board(world.member(project, "viewer", "rob"), project)


def test_a_request_that_is_over_is_not_named(
    dev: User, olga: User, project: Project, test_a: Machine, ask: Ask
) -> None:
    asked = ask(dev, machine=test_a)
    requests.withdraw(actor=dev, request=asked)
    assert "data-asked" not in board(dev, project)
    again = ask(dev, machine=test_a)
    decisions.approve(actor=olga, request=again, sha256=again.asked_sha256)
    page = board(dev, project)
    assert "data-asked" not in page
    assert 'id="m-test-a"' in page


def test_a_machine_that_lost_its_grant_and_was_asked_for_again_is_not_offered_to_ask_for(
    dev: User, project: Project, test_a: Machine, ask: Ask
) -> None:
    world.granted(project, "test-b", "test")
    Service.objects.create(project=project, machine=test_a)
    assert "Ask for it" in board(dev, project)
    ask(dev, machine=test_a)
    page = board(dev, project)
    assert "This project has no grant for this machine." in page
    assert "Ask for it" not in page


def test_that_nothing_waits_costs_no_question(
    dev: User, project: Project, test_a: Machine, ask: Ask, django_assert_num_queries: Any
) -> None:
    quiet = fetch_project(dev, "shop")
    with django_assert_num_queries(0):
        assert machines_asked(quiet) == []
    ask(dev, machine=test_a)
    project_asking = fetch_project(dev, "shop")
    with django_assert_num_queries(1):
        assert [one.machine for one in machines_asked(project_asking)] == [test_a]
    assert AccessRequest.objects.count() == 1
