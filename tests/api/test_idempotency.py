"""The same Idempotency-Key gives the same answer; nothing happens twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from builds.models import Build
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.models import Connection, IdempotencyKey
from permissions.retention import forget_old_answers
from projects.models import Project
from tests import world

from .door import PROBLEM, Door, refused, told

pytestmark = pytest.mark.django_db
KEY = "0b8e"


def test_the_second_request_gets_the_first_answer(ann: Door, project: Project) -> None:
    path = f"projects/{project.slug}/builds/"
    first = ann.post(path, {"ref": "main"}, Idempotency_Key=KEY)
    again = ann.post(path, {"ref": "main"}, Idempotency_Key=KEY)
    assert told(first, 201) == told(again, 201)
    assert Build.objects.count() == 1
    assert AuditEntry.objects.filter(verb="build.start").count() == 1


def test_a_refusal_is_an_answer_too_and_stays_a_problem(ann: Door) -> None:
    first = ann.post("projects/", {"slug": "No Slug"}, Idempotency_Key=KEY)
    again = ann.post("projects/", {"slug": "No Slug"}, Idempotency_Key=KEY)
    assert refused(first, 422) == refused(again, 422)
    assert again["Content-Type"] == PROBLEM


def test_another_request_with_the_key_is_a_conflict(ann: Door, project: Project) -> None:
    told(ann.post(f"projects/{project.slug}/builds/", {"ref": "main"}, Idempotency_Key=KEY), 201)
    for path, body in (("builds/", {"ref": "other"}), ("builds/?a=1", {"ref": "main"}), ("deployments/", {})):
        answer = ann.post(f"projects/{project.slug}/{path}", body, Idempotency_Key=KEY)
        refused(answer, 409, "idempotency_reused")
    assert Build.objects.count() == 1


def test_the_order_of_names_in_the_body_does_not_matter(ann: Door) -> None:
    one = b'{"slug": "shop", "name": "Shop"}'
    other = b'{"name": "Shop",   "slug": "shop"}'
    first = told(ann.ask("POST", "projects/", raw=one, Idempotency_Key=KEY), 201)
    assert told(ann.ask("POST", "projects/", raw=other, Idempotency_Key=KEY), 201) == first


def test_a_key_belongs_to_its_user(ann: Door, stranger: Door) -> None:
    told(ann.post("projects/", {"slug": "one"}, Idempotency_Key=KEY), 201)
    told(stranger.post("projects/", {"slug": "two"}, Idempotency_Key=KEY), 201)
    assert Project.objects.count() == 2


def test_every_writing_verb_takes_a_key(ann: Door, ops: Door, project: Project) -> None:
    text = "pipeline { agent any\n stages { stage('a') { steps { echo 'hi' } } } }"
    path = f"projects/{project.slug}/"
    first = told(ann.put(f"{path}pipeline/", {"text": text}, Idempotency_Key="put"), 200)
    assert told(ann.put(f"{path}pipeline/", {"text": text}, Idempotency_Key="put"), 200) == first
    told(ann.patch(path, {"name": "Shop"}, Idempotency_Key="patch"), 200)
    told(ann.patch(path, {"name": "Shop"}, Idempotency_Key="patch"), 200)
    assert AuditEntry.objects.filter(verb="project.update").count() == 1
    Connection.objects.create(name="git-here", kind="git")
    assert ops.delete("connections/git-here/", Idempotency_Key="delete").status_code == 204
    again = ops.delete("connections/git-here/", Idempotency_Key="delete")
    assert (again.status_code, again.content) == (204, b"")
    refused(ops.delete("connections/git-here/"), 404)


@pytest.mark.parametrize("key", ["", "x" * 121])
def test_a_key_has_1_to_120_characters(key: str, ann: Door) -> None:
    refused(ann.post("projects/", {"slug": "shop"}, Idempotency_Key=key), 422)
    assert not Project.objects.exists()


def test_the_first_request_under_way_is_a_conflict_that_may_be_tried_again(ann: Door) -> None:
    body = {"slug": "shop"}
    told(ann.post("projects/", body, Idempotency_Key=KEY), 201)
    IdempotencyKey.objects.update(status=None, body=None)
    refused(ann.post("projects/", body, Idempotency_Key=KEY), 409, "in_progress")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=1))
    refused(ann.post("projects/", body, Idempotency_Key=KEY), 409, "outcome_unknown")


def test_an_error_of_ours_is_not_remembered(ann: Door, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(repository="http://127.0.0.1:1/gone.git")
    path = f"projects/{project.slug}/builds/"
    assert ann.post(path, {}, Idempotency_Key=KEY).status_code in {502, 504}
    assert not IdempotencyKey.objects.exists()
    Project.objects.filter(pk=project.pk).update(repository="")
    told(ann.post(path, {}, Idempotency_Key=KEY), 201)


def test_a_bug_is_not_remembered(ann: Door, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(source_kind="vanished")
    assert ann.post(f"projects/{project.slug}/builds/", {}, Idempotency_Key=KEY).status_code >= 400
    assert not IdempotencyKey.objects.filter(status=None).exists()


def test_what_was_never_begun_is_not_remembered(ann: Door, nobody: Door) -> None:
    nobody.post("projects/", {"slug": "shop"}, Idempotency_Key=KEY)
    ann.post("clusters/", {"name": "x", "kind": "local"}, Idempotency_Key=KEY)
    ann.ask("POST", "projects/", raw=b"{", Idempotency_Key=KEY)
    assert not IdempotencyKey.objects.exists()


def test_old_answers_are_forgotten(ann: Door) -> None:
    told(ann.post("projects/", {"slug": "shop"}, Idempotency_Key=KEY), 201)
    assert forget_old_answers() == 0
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert forget_old_answers() == 1


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_do_it_once() -> None:
    owner = world.person("ann")
    project = world.project(owner, "shop")
    doors = [Door(owner) for _ in range(10)]
    gate = threading.Barrier(len(doors))
    answers: list[Any] = []

    def ask(door: Door) -> None:
        gate.wait(120)
        answers.append(door.post(f"projects/{project.slug}/builds/", {"ref": "main"}, Idempotency_Key=KEY))
        connection.close()

    threads = [threading.Thread(target=ask, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [told(answer, 201) for answer in answers if answer.status_code == 201]
    assert made
    assert all(answer == made[0] for answer in made)
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
    assert Build.objects.count() == 1
