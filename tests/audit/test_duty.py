"""Once a day the trail is verified; what is found reaches ops and the log."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone
from django.utils.module_loading import import_string

from fangduoduo_release.audit import verifying
from fangduoduo_release.audit.models import AuditCheck
from fangduoduo_release.notifications import outbox
from permissions import audit_duty
from tests import world

from .rows import change, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was written down to be told (who sends it is another room's promise)."""
    said: list[tuple[Any, ...]] = []

    def note(event: str, sentence: Any, *, people: Any = (), link: str = "", once: str = "", **more: Any) -> None:
        said.append((event, str(sentence), sorted(person.username for person in people), link, once))

    monkeypatch.setattr(outbox, "tell", note)
    return said


def last() -> AuditCheck:
    check = verifying.last_check()
    assert check is not None
    return check


def test_it_is_a_duty_of_the_watch() -> None:
    (duty,) = [duty for duty in configured.DUTIES if duty.name == "audit.verify"]
    assert import_string(duty.path) is audit_duty.verify_trail
    assert duty.every_s == 86_400


def test_the_first_time_all_is_read_then_what_is_new_and_all_again_after_a_week() -> None:
    write(3)
    audit_duty.verify_trail()
    assert (last().rows, last().whole_at) == (3, last().at)
    write(2)
    audit_duty.verify_trail()
    assert (last().rows, last().seq) == (2, 5)
    AuditCheck.objects.update(whole_at=timezone.now() - timedelta(days=8))
    audit_duty.verify_trail()
    assert last().rows == 5


def test_nothing_is_told_while_all_is_well(told: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    write(3)
    audit_duty.verify_trail()
    assert told == []
    assert [record.getMessage() for record in caplog.records if record.thread == threading.get_ident()] == []


def test_ops_and_the_log_are_told_what_was_found(told: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    world.ops("olga")
    world.person("root", is_superuser=True)
    world.person("dev")
    gone = world.ops("left")
    gone.is_active = False
    gone.save()
    write(3)
    change(2, "actor", "mallory")
    caplog.set_level(logging.ERROR)
    audit_duty.verify_trail()
    ((event, sentence, people, link, once),) = told
    assert (event, people, link) == ("security", ["olga", "root"], "/audit/")
    assert "Row 2" in sentence
    assert "Row 2" in once
    assert "Row 2" in caplog.text
    assert last().sound is False


def test_the_same_finding_bears_the_same_mark_the_next_day(told: list[Any]) -> None:
    write(3)
    change(2, "actor", "mallory")
    audit_duty.verify_trail()
    audit_duty.verify_trail()
    assert told[0][-1] == told[1][-1] != ""


def test_ops_by_their_own_permission_are_ops_too() -> None:
    from django.contrib.auth.models import Permission

    nina = world.person("nina")
    nina.user_permissions.add(Permission.objects.get(codename="ops", content_type__app_label="permissions"))
    assert [person.username for person in audit_duty.ops_people()] == ["nina"]
