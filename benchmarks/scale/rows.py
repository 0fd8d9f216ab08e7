"""Very many rows in one statement, on SQLite and PostgreSQL alike. Knows no table of its own."""

from __future__ import annotations

from typing import Any

from django.db import connection, models


def expression(name: str) -> str:
    """SQL for what the two databases say differently: `uuid` (as Django stores it) and `sha1` (40 random hex digits)."""
    if connection.vendor == "sqlite":
        return {"uuid": "lower(hex(randomblob(16)))", "sha1": "lower(hex(randomblob(20)))"}[name]
    return {"uuid": "gen_random_uuid()", "sha1": "substr(md5(random()::text) || md5(random()::text), 1, 40)"}[name]


def insert(model: type[models.Model], source: str, columns: dict[str, str], series: int = 1, **values: Any) -> int:
    """Insert a row per row of `source` (what follows FROM); the number of rows.

    `columns` maps fields to SQL over the source, `values` to constants; all other fields get their defaults. The
    source may name a table `series` with the numbers 1 to `series` as n.
    """
    names, taken, parameters = [], [], []
    for field in model._meta.concrete_fields:
        if field.primary_key and isinstance(field, models.AutoField):
            continue
        names.append(connection.ops.quote_name(str(field.column)))
        if field.name in columns:
            taken.append(columns[field.name].replace("%", "%%"))
        else:
            given = values[field.name] if field.name in values else field.get_default()
            given = "" if given is None and not field.null else given
            taken.append("%s")
            parameters.append(field.get_db_prep_save(given, connection))
    numbers = f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {series:d})"
    statement = f"{numbers} INSERT INTO {model._meta.db_table} ({', '.join(names)}) SELECT "
    with connection.cursor() as cursor:
        cursor.execute(f"{statement}{', '.join(taken)} FROM {source.replace('%', '%%')}", parameters)
        return int(cursor.rowcount)


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
