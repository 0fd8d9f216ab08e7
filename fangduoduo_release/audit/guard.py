"""The database's own refusal to change the trail, and the one door through it.

Triggers of the migration refuse UPDATE, DELETE and TRUNCATE of entries, and every move of the head but one on. They let
pass while a row stands in `audit_door`, which is no model, so that nobody meets it by accident. Who opens it: `manage.py
flush` (test databases), and `verify_audit --accept` (a new head after damage that ops have looked at).
The door stops mistakes, not somebody who may write to the database: that is what the chain is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction


@contextmanager
def open_door(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Within this transaction the triggers let pass; nobody else sees the door open, and it closes with it."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        there = "audit_door" in connections[using].introspection.table_names(cursor)  # not before its migration
        if there:
            cursor.execute("INSERT INTO audit_door (open) VALUES (1)")
        yield
        if there:
            cursor.execute("DELETE FROM audit_door")
