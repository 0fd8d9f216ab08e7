"""The trail is append-only for code, for admins and for whoever types SQL; one door is left, and it is written down."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from fangduoduo_release.audit.guard import open_door
from fangduoduo_release.audit.models import AppendOnly, AuditEntry, AuditHead

from .rows import write

ATTEMPTS = [
    "UPDATE audit_auditentry SET actor = 'mallory'",
    "UPDATE audit_auditentry SET digest = 'x' WHERE seq = 2",
    "DELETE FROM audit_auditentry",
    "DELETE FROM audit_auditentry WHERE seq = 1",
    "DELETE FROM audit_audithead",
    "UPDATE audit_audithead SET seq = seq - 1",
    "UPDATE audit_audithead SET digest = 'x'",
    "UPDATE audit_audithead SET id = 2, seq = seq + 1",
]
SQLITE = [
    "INSERT OR REPLACE INTO audit_auditentry SELECT * FROM audit_auditentry WHERE seq = 2",
    "UPDATE OR REPLACE audit_auditentry SET seq = 1 WHERE seq = 2",
    "INSERT OR REPLACE INTO audit_audithead SELECT id, 1, entry, digest, key, signature FROM audit_audithead",
]
POSTGRESQL = [
    "TRUNCATE audit_auditentry",
    "TRUNCATE audit_audithead",
    "INSERT INTO audit_audithead SELECT * FROM audit_audithead ON CONFLICT (id) DO UPDATE SET seq = 1",
    "WITH gone AS (DELETE FROM audit_auditentry RETURNING 1) SELECT count(*) FROM gone",
]


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ATTEMPTS + (SQLITE if connection.vendor == "sqlite" else POSTGRESQL))
def test_the_database_refuses_it(statement: str) -> None:
    write(3)
    before = list(AuditEntry.objects.values()), list(AuditHead.objects.values())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert (list(AuditEntry.objects.values()), list(AuditHead.objects.values())) == before


@pytest.mark.django_db
def test_the_door_closes_behind_whoever_opened_it() -> None:
    write(2)
    with open_door(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET actor = 'mallory'")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET actor = 'mallory'")


@pytest.mark.django_db
def test_the_door_closes_also_after_an_error() -> None:
    write(1)
    with pytest.raises(ZeroDivisionError), open_door():
        raise ZeroDivisionError
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditentry")


@pytest.mark.django_db
def test_the_model_refuses_what_is_not_an_append() -> None:
    (entry,) = write(1)
    entry.actor = "mallory"
    for attempt in (
        entry.save,
        entry.delete,
        lambda: AuditEntry.objects.update(actor="mallory"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(actor="mallory"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AuditEntry.objects.create(actor="mallory", verb="x"),
        lambda: AuditEntry.objects.get_or_create(actor="mallory"),
        lambda: AuditEntry.objects.bulk_create([entry]),
        lambda: AuditEntry.objects.bulk_update([entry], ["actor"]),
    ):
        with pytest.raises(AppendOnly):
            attempt()
    assert [row.actor for row in AuditEntry.objects.all()] == ["system"]


@pytest.mark.django_db(transaction=True)
def test_a_test_database_is_emptied_through_the_door_and_the_chain_begins_anew() -> None:
    write(3)
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    assert [row.seq for row in write(2)] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_the_test_before_this_one_left_nothing() -> None:
    assert not AuditEntry.objects.exists()


def test_a_production_is_not_emptied(settings: Any) -> None:
    settings.LOCAL = False
    with pytest.raises(CommandError, match="not flushed"):
        call_command("flush", interactive=False, verbosity=0)
