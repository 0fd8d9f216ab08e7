"""What a build was started or answered with may be a password: the database holds none of it in plain."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from builds.actions import answer_input, retry_build, start_build
from builds.models import Build, InputRequest
from fangduoduo_release.common.actor import SYSTEM
from tests import world

GIVEN = {"PASS": "planted-4c1d", "COUNT": 3, "DRY": True}


def stored(model: Any, field: str, pk: int) -> str:
    """What stands in the table."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{field}" FROM "{model._meta.db_table}" WHERE id = %s', [pk])
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_parameters_are_sealed_and_come_back_as_they_were() -> None:
    project = world.project(slug="shop", starter="python-http")
    build = start_build(actor=SYSTEM, project=project, parameters=GIVEN)
    assert "planted" not in stored(Build, "parameters", build.pk)
    assert Build.objects.get(pk=build.pk).parameters == GIVEN
    Build.objects.filter(pk=build.pk).update(state="failed")
    again = retry_build(actor=SYSTEM, build=Build.objects.get(pk=build.pk))
    assert Build.objects.get(pk=again.pk).parameters == GIVEN


@pytest.mark.django_db
def test_answers_to_a_pipeline_are_sealed() -> None:
    build = world.build(world.project(slug="shop"), state="running")
    asked = InputRequest.objects.create(build=build, ident="Go", message="Go on?")
    assert InputRequest.objects.get(pk=asked.pk).values is None
    answer_input(actor=SYSTEM, request=asked, proceed=True, values=GIVEN)
    assert "planted" not in stored(InputRequest, "values", asked.pk)
    assert InputRequest.objects.get(pk=asked.pk).values == GIVEN


@pytest.mark.django_db
def test_nothing_is_stored_as_nothing() -> None:
    """Most builds have no parameters, and a list of fifty is not to open fifty seals."""
    build = world.build(world.project(slug="shop"))
    assert stored(Build, "parameters", build.pk) == "{}"
    assert Build.objects.get(pk=build.pk).parameters == {}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_was_stored_in_plain_before_is_sealed_by_the_migration_and_back() -> None:
    build = world.build(world.project(slug="shop"), parameters=GIVEN)
    other = world.build(build.project)
    asked = InputRequest.objects.create(build=build, ident="Go", message="Go on?", values=GIVEN)
    try:
        call_command("migrate", "builds", "0004", verbosity=0)
        assert "planted" in stored(Build, "parameters", build.pk)
        old = MigrationExecutor(connection).loader.project_state([("builds", "0004_find_by_commit")]).apps
        assert old.get_model("builds", "Build").objects.get(pk=build.pk).parameters == GIVEN
    finally:
        call_command("migrate", verbosity=0)
    assert "planted" not in stored(Build, "parameters", build.pk)
    assert "planted" not in stored(InputRequest, "values", asked.pk)
    assert Build.objects.get(pk=build.pk).parameters == GIVEN
    assert Build.objects.get(pk=other.pk).parameters == {}
    assert InputRequest.objects.get(pk=asked.pk).values == GIVEN
