"""What the portal itself tells: builds that fail, deployments that end; whoever ends them, and in the same transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from builds import actions as build_actions
from builds.engine import BuildEngine
from builds.models import Build
from deployments.actions import settle_for_ops, start_deployment
from deployments.models import Deployment
from fangduoduo_release.common import runs
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications.models import Channel, Delivery
from tests import world
from tests.simulators.mailserver import MailServer

pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, str]]:
    rows = Delivery.objects.select_related("user", "channel").order_by("pk")
    return [(row.event, row.channel.name if row.channel else row.user.username) for row in rows]


def claimed(run: Any) -> Any:
    runs.poke(run)
    found = runs.claim(type(run), run.pk)
    assert found is not None
    return found


@pytest.fixture
def shop(mail: MailServer) -> Any:
    return world.project(world.person("owner", email="owner@example.org"), "shop")


def test_a_build_that_fails_is_told_to_whoever_started_it_to_its_author_and_to_the_project(
    shop: Any, hook: Callable[..., Channel]
) -> None:
    starter, author = world.member(shop, "developer", "sam"), world.member(shop, "developer", "amy")
    for person in (starter, author):
        person.email = f"{person.username}@example.org"
        person.save()
    hook("group", project="shop")
    build = world.build(shop, "running", started_by=starter, commit_email="AMY@example.org")
    runs.fail(claimed(build), S("A step failed."))
    assert told() == [("build.failed", "group"), ("build.failed", "sam"), ("build.failed", "amy")]
    row = Delivery.objects.first()
    assert row is not None
    assert row.link == f"/builds/{build.pk}/"
    assert row.project == "shop"
    assert row.sentence["params"]["number"] == build.number


def test_an_author_who_may_not_see_the_project_learns_nothing(shop: Any) -> None:
    world.person("eve", email="eve@example.org")
    runs.fail(claimed(world.build(shop, "running", commit_email="eve@example.org")), S("A step failed."))
    assert told() == []


@pytest.mark.parametrize("state", ["succeeded", "unstable", "cancelled"])
def test_other_ends_of_a_build_are_nobodys_worry(shop: Any, hook: Callable[..., Channel], state: str) -> None:
    hook("group", project="shop")
    runs.transition(claimed(world.build(shop, "running")), state)
    assert told() == []


def test_a_build_whose_process_was_killed_is_told_by_whoever_buries_it(shop: Any, hook: Callable[..., Channel]) -> None:
    hook("group", project="shop")
    build = claimed(world.build(shop, "running"))
    BuildEngine().advance(build)
    assert told() == [("build.failed", "group")]


def test_a_build_that_ops_give_up_is_told_too(shop: Any, hook: Callable[..., Channel]) -> None:
    hook("group", project="shop")
    build = claimed(world.build(shop, "running"))
    runs.park_for_ops(build, S("It stopped."), code="no_progress")
    build_actions.settle_for_ops(actor=world.ops(), build=build, retry=False)
    assert told() == [("build.failed", "group")]


def test_an_end_that_did_not_happen_is_not_told(shop: Any, hook: Callable[..., Channel]) -> None:
    hook("group", project="shop")
    build = claimed(world.build(shop, "running"))
    with transaction.atomic():
        runs.fail(build, S("A step failed."))
        transaction.set_rollback(True)
    assert told() == []
    assert Build.objects.get(pk=build.pk).state == "running"


def test_a_mistake_in_the_news_never_keeps_a_run_from_ending(
    shop: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.RUN_ENDINGS = {"builds": f"{__name__}.mistaken"}
    build = world.build(shop, "running")
    with caplog.at_level(logging.ERROR):
        runs.fail(claimed(build), S("A step failed."))
    assert Build.objects.get(pk=build.pk).state == "failed"
    assert not Delivery.objects.exists()
    assert "was not told to anybody" in caplog.text


def mistaken(build: Build) -> None:
    Delivery.objects.create(dedupe_key="half done", event="x", route="x", deadline_at="2026-01-01T00:00Z")
    raise ZeroDivisionError


@pytest.fixture
def deployment(shop: Any) -> Deployment:
    sam = world.member(shop, "maintainer", "sam")
    sam.email = "sam@example.org"
    sam.save()
    machine = world.granted(shop, "prod-bj", "production")
    return start_deployment(
        actor=sam, project=shop, machine=machine, action="deploy", version=world.version(shop), reason="new"
    )


def test_a_deployment_that_reached_its_goal_is_told(deployment: Deployment, hook: Callable[..., Channel]) -> None:
    hook("group", project="shop")
    running = runs.transition(claimed(deployment), "running")
    runs.transition(running, "succeeded")
    assert told() == [("deployment.finished", "group"), ("deployment.finished", "sam")]
    row = Delivery.objects.first()
    assert row is not None
    assert row.sentence["msgid"] == "%(project)s #%(number)s runs on %(machine)s now."
    assert row.sentence["params"]["machine"] == "prod-bj"
    assert row.link == f"/deployments/{deployment.pk}/"


def test_a_deployment_that_failed_is_told_in_other_words(deployment: Deployment) -> None:
    runs.fail(claimed(deployment), S("It never became ready."))
    row = Delivery.objects.get()
    assert row.sentence["msgid"] == "Deploying %(project)s #%(number)s to %(machine)s failed."


def test_a_deployment_that_somebody_cancelled_is_not_told(deployment: Deployment) -> None:
    runs.transition(claimed(deployment), "cancelled")
    assert told() == []


def test_a_deployment_that_ops_give_up_is_told(deployment: Deployment) -> None:
    run = claimed(deployment)
    runs.park_for_ops(run, S("It stopped."), code="no_progress")
    settle_for_ops(actor=world.ops(), run=run, retry=False)
    assert told() == [("deployment.finished", "sam")]


@pytest.mark.parametrize("state", ["succeeded", "failed"])
@pytest.mark.parametrize("action", Deployment.Action.values)
def test_every_action_has_words_of_its_own(deployment: Deployment, action: str, state: str) -> None:
    run = runs.transition(claimed(deployment), "running", action=action)
    runs.transition(run, state)
    sentence = Delivery.objects.get().sentence
    text = sentence["msgid"] % sentence["params"]
    assert "shop" in text
    assert "prod-bj" in text
    assert ("failed" in text) == (state == "failed")


def test_a_starter_who_lost_the_project_learns_nothing(deployment: Deployment, shop: Any) -> None:
    shop.role_grants.filter(user__username="sam").delete()
    from projects.grants import sync

    sync(shop, deployment.started_by)
    runs.fail(claimed(deployment), S("It never became ready."))
    assert told() == []
