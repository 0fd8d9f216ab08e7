"""A trail that was written before there was a chain is chained as it is, and locked."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from fangduoduo_release.audit import verifying
from fangduoduo_release.audit.guard import open_door
from fangduoduo_release.audit.models import AuditEntry, AuditHead

from .rows import change, write

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BEFORE, NOW = [("audit", "0001_initial")], [("audit", "0002_chain")]


def migrate(to: list[tuple[str, str]]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(to)
    return executor.loader.project_state(to).apps


@pytest.fixture
def old_rows() -> Any:
    """Rows of the old table, with gaps in their ids; migrated up again afterwards, whatever happened."""
    entry = migrate(BEFORE).get_model("audit", "AuditEntry")
    facts = {"actor": "ann", "object_id": "1", "address": "", "user_agent": "", "request_id": ""}
    rows = [
        ("project.update", "projects.project", "shop", {"name": "shop", "b": 1.0, "a": [1e22]}, {"name": "Läden"}),
        ("build.start", "builds.build", "shop #12", None, {"ref": "main"}),
        ("deployment.deploy", "deployments.deployment", "shop @ prod deploy 3", {}, {}),
        ("machine.create", "clusters.machine", "prod", None, None),
    ]
    for number, (verb, kind, label, before, after) in enumerate(rows):
        entry.objects.create(
            pk=10 + number * 7, at=timezone.now(), verb=verb, object_kind=kind, object_label=label, before=before,
            after=after, **facts,
        )  # fmt: skip
    try:
        yield
    finally:
        migrate(NOW)


@pytest.mark.usefixtures("old_rows")
def test_old_rows_are_chained_as_they_are() -> None:
    migrate(NOW)
    rows = list(AuditEntry.objects.order_by("id"))
    assert [(row.pk, row.seq) for row in rows] == [(10, 1), (17, 2), (24, 3), (31, 4)]
    assert [row.project for row in rows] == ["shop", "shop", "shop", ""]
    assert rows[0].before == {"name": "shop", "b": 1.0, "a": [1e22]}
    assert rows[3].after is None
    assert verifying.verify().sound
    assert (AuditHead.objects.get().seq, AuditHead.objects.get().entry) == (4, 31)
    assert [(row.pk, row.seq) for row in write(1)] == [(32, 5)]
    assert verifying.verify().rows == 5
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditentry")
    change(2, "actor", "mallory")
    assert not verifying.verify().sound


def test_an_empty_trail_stays_empty_and_is_locked() -> None:
    migrate(BEFORE)
    migrate(NOW)
    assert not AuditHead.objects.exists()
    write(2)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET actor = 'x'")


def test_the_way_back_takes_lock_and_door_along() -> None:
    write(2)
    entry = migrate(BEFORE).get_model("audit", "AuditEntry")
    try:
        assert entry.objects.count() == 2
        entry.objects.all().delete()
        with open_door():
            pass  # there is none now, and nobody minds
    finally:
        migrate(NOW)
